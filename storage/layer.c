/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   fd ── read_fd: hash, count ──▶ [gunzip, or unzstd] ── on_read_raw: hash, count ──▶ tar
 *
 * Decompression is a step of its own, so that the bytes between the two can be hashed; a plain tar
 * skips it.
 */
#include "storage/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/gunzip.h"
#include "storage/tar_names.h"

#define CHUNK        (256u << 10)
#define XATTRS_MAX   128 /* of one entry */
#define MAGIC_LENGTH 6

struct layer {
        int fd;
        const struct image_limits *limits;
        struct gunzip *gunzip; /* NULL: not gzip */
        struct archive *raw;   /* NULL: not zstd */
        struct archive *tar;
        struct tar_names *names;
        struct digest *blob_hash, *tar_hash; /* NULL: not wanted, or the same */
        int64_t blob_bytes, tar_bytes;
        enum layer_compression compression;
        size_t pending; /* bytes in chunk that nobody was given yet */
        uint8_t chunk[CHUNK];
        uint8_t inflated[CHUNK];
        struct tree_xattr xattrs[XATTRS_MAX];
        struct err err; /* of a callback: libarchive would lose its text */
};

static void hash(struct digest *digest, const void *data, size_t n)
{
        if (digest)
                digest_update(digest, data, n);
}

static ssize_t read_fd(struct layer *layer, struct err *err)
{
        ssize_t n;

        do {
                n = read(layer->fd, layer->chunk, sizeof(layer->chunk));
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return err_errno(err, errno, "read");
        hash(layer->blob_hash, layer->chunk, (size_t)n);
        layer->blob_bytes += n;
        return n;
}

/* The first bytes decide about the compression, so they are read before libarchive asks. */
static int read_ahead(struct layer *layer, struct err *err)
{
        while (layer->pending < MAGIC_LENGTH) {
                ssize_t n = read(layer->fd, layer->chunk + layer->pending,
                                 sizeof(layer->chunk) - layer->pending);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, errno, "read");
                if (n == 0)
                        break;
                layer->pending += (size_t)n;
        }
        hash(layer->blob_hash, layer->chunk, layer->pending);
        layer->blob_bytes = (int64_t)layer->pending;
        return 0;
}

static int account(struct layer *layer, size_t n)
{
        layer->tar_bytes += (int64_t)n;
        if (layer->tar_bytes > layer->limits->layer_size)
                return err_set(&layer->err, E2BIG,
                               "larger than %lld MiB uncompressed (limits.layer_size)",
                               (long long)(layer->limits->layer_size >> 20));
        if (layer->tar_bytes > LIMITS_RATIO_FROM &&
            layer->tar_bytes / layer->limits->ratio > layer->blob_bytes)
                return err_set(&layer->err, E2BIG,
                               "inflates to more than %lld times its size: looks like a bomb "
                               "(limits.ratio)",
                               (long long)layer->limits->ratio);
        return 0;
}

static la_ssize_t on_read_fd(struct archive *a, void *ctx, const void **ret)
{
        struct layer *layer = ctx;
        ssize_t n = (ssize_t)layer->pending;

        (void)a;
        layer->pending = 0;
        if (n == 0)
                n = read_fd(layer, &layer->err);
        *ret = layer->chunk;
        if (n < 0)
                return -1;
        return layer->compression != LAYER_PLAIN || account(layer, (size_t)n) == 0 ? n : -1;
}

static int broken(struct layer *layer, struct archive *a, struct err *err)
{
        const char *text = archive_error_string(a);

        if (layer->err.code) {
                *err = layer->err;
                return -err->code;
        }
        return err_set(err, EINVAL, "broken archive: %.200s", text ? text : "unknown reason");
}

static la_ssize_t on_read_gzip(struct archive *a, void *ctx, const void **ret)
{
        struct layer *layer = ctx;
        size_t n = 0;
        int r = 0;

        *ret = layer->inflated;
        while (r == 0 && n == 0) {
                if (gunzip_wants_input(layer->gunzip)) {
                        const void *data = NULL;
                        la_ssize_t got = on_read_fd(a, layer, &data);

                        if (got <= 0)
                                return got < 0 ? -1 : gunzip_end(layer->gunzip, &layer->err);
                        gunzip_feed(layer->gunzip, data, (size_t)got);
                }
                r = gunzip_read(layer->gunzip, layer->inflated, sizeof(layer->inflated), &n,
                                &layer->err);
        }
        if (r < 0)
                return -1;
        hash(layer->tar_hash, *ret, n);
        return account(layer, n) < 0 ? -1 : (la_ssize_t)n;
}

static la_ssize_t on_read_raw(struct archive *a, void *ctx, const void **ret)
{
        struct layer *layer = ctx;
        la_int64_t offset;
        size_t n;
        int r;

        (void)a;
        do {
                r = archive_read_data_block(layer->raw, ret, &n, &offset);
        } while (r == ARCHIVE_OK && n == 0);
        if (r == ARCHIVE_EOF)
                return 0;
        if (r != ARCHIVE_OK) {
                (void)broken(layer, layer->raw, &layer->err);
                return -1;
        }
        hash(layer->tar_hash, *ret, n);
        return account(layer, n) < 0 ? -1 : (la_ssize_t)n;
}

static int open_raw(struct layer *layer, struct err *err)
{
        struct archive_entry *entry;
        int r;

        layer->raw = archive_read_new();
        if (!layer->raw)
                bug("no memory for an archive reader");
        r = archive_read_support_filter_zstd(layer->raw);
        if (r != ARCHIVE_OK) /* a warning means: by an external program */
                return err_set(err, ENOTSUP, "this libarchive cannot decompress it by itself");
        if (archive_read_support_format_raw(layer->raw) != ARCHIVE_OK ||
            archive_read_support_format_empty(layer->raw) != ARCHIVE_OK)
                return broken(layer, layer->raw, err);
        if (archive_read_open(layer->raw, layer, NULL, on_read_fd, NULL) != ARCHIVE_OK)
                return broken(layer, layer->raw, err);
        r = archive_read_next_header(layer->raw, &entry);
        return r == ARCHIVE_OK || r == ARCHIVE_EOF ? 0 : broken(layer, layer->raw, err);
}

static int choose_compression(struct layer *layer, struct err *err)
{
        static const struct {
                const char *magic;
                size_t len;
                const char *name; /* NULL: supported */
                enum layer_compression compression;
        } known[] = {
                {"\x1f\x8b", 2, NULL, LAYER_GZIP},
                {"\x28\xb5\x2f\xfd", 4, NULL, LAYER_ZSTD},
                {"BZh", 3, "bzip2", LAYER_PLAIN},
                {"\xfd"
                 "7zXZ",
                 5, "xz", LAYER_PLAIN},
        };

        bool skippable = layer->pending >= 4 && (layer->chunk[0] & 0xf0) == 0x50 &&
                         memcmp(layer->chunk + 1, "\x2a\x4d\x18", 3) == 0;

        layer->compression = skippable ? LAYER_ZSTD : LAYER_PLAIN;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (layer->pending < known[i].len ||
                    memcmp(layer->chunk, known[i].magic, known[i].len) != 0)
                        continue;
                if (known[i].name)
                        return err_set(err, EINVAL,
                                       "compressed by %s: only gzip, zstd and plain tar are read",
                                       known[i].name);
                layer->compression = known[i].compression;
        }
        return 0;
}

/* The bytes of the tar, as they come. */
static archive_read_callback *reader_of(const struct layer *layer)
{
        switch (layer->compression) {
        case LAYER_GZIP:
                return on_read_gzip;
        case LAYER_ZSTD:
                return on_read_raw;
        case LAYER_PLAIN:
                break;
        }
        return on_read_fd;
}

/* What libarchive reads of the tar, seen by both. */
static la_ssize_t on_read_tar(struct archive *a, void *ctx, const void **ret)
{
        struct layer *layer = ctx;
        la_ssize_t n = reader_of(layer)(a, ctx, ret);

        if (n > 0)
                tar_names_feed(layer->names, *ret, (size_t)n);
        return n;
}

static int open_tar(struct layer *layer, struct err *err)
{
        layer->names = tar_names_new();
        layer->tar = archive_read_new();
        if (!layer->tar)
                bug("no memory for an archive reader");
        if (archive_read_support_format_tar(layer->tar) != ARCHIVE_OK ||
            archive_read_support_format_empty(layer->tar) != ARCHIVE_OK)
                return broken(layer, layer->tar, err);
        if (archive_read_open(layer->tar, layer, NULL, on_read_tar, NULL) != ARCHIVE_OK)
                return broken(layer, layer->tar, err);
        return 0;
}

int layer_open(int fd, enum layer_mode mode, const struct image_limits *limits, struct layer **ret,
               struct err *err)
{
        AUTO(layer) struct layer *layer = xnew(struct layer);
        int r;

        layer->fd = fd;
        layer->limits = limits;
        if (mode == LAYER_HASH)
                layer->blob_hash = digest_new();
        r = read_ahead(layer, err);
        if (r == 0)
                r = choose_compression(layer, err);
        if (mode == LAYER_HASH && layer->compression != LAYER_PLAIN)
                layer->tar_hash = digest_new();
        if (r == 0 && layer->compression == LAYER_GZIP)
                layer->gunzip = gunzip_new();
        if (r == 0 && layer->compression == LAYER_ZSTD)
                r = open_raw(layer, err);
        if (r == 0)
                r = open_tar(layer, err);
        if (r < 0)
                return r;
        *ret = STEAL(layer);
        return 0;
}

void layer_free(struct layer *layer)
{
        if (!layer)
                return;
        (void)archive_read_free(layer->tar); /* nothing is written: no error that counts */
        (void)archive_read_free(layer->raw);
        gunzip_free(layer->gunzip);
        tar_names_free(layer->names);
        digest_free(layer->blob_hash);
        digest_free(layer->tar_hash);
        free(layer);
}

enum layer_compression layer_compression(const struct layer *layer)
{
        return layer->compression;
}

int64_t layer_consumed(const struct layer *layer)
{
        return layer->blob_bytes;
}

static int read_xattrs(struct layer *layer, struct archive_entry *entry, struct tree_entry *ret,
                       struct err *err)
{
        const char *name;
        const void *value;
        size_t len;

        ret->xattrs = layer->xattrs;
        (void)archive_entry_xattr_reset(entry); /* the count, which is not needed */
        while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
                struct tree_xattr *x = &layer->xattrs[ret->xattrs_len];

                if (ret->xattrs_len == XATTRS_MAX)
                        return err_set(err, E2BIG, "%.200s: more than %d extended attributes",
                                       ret->path, XATTRS_MAX);
                x->name = (char *)(uintptr_t)name;
                x->value = (void *)(uintptr_t)value;
                x->len = len;
                ret->xattrs_len++;
        }
        return 0;
}

int layer_next(struct layer *layer, struct tree_entry *ret, bool *ret_regular, struct err *err)
{
        struct archive_entry *entry;
        int r;

        memset(ret, 0, sizeof(*ret));
        r = archive_read_next_header(layer->tar, &entry);
        if (r == ARCHIVE_EOF)
                return 1;
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
                return broken(layer, layer->tar, err);
        ret->path = archive_entry_pathname(entry);
        ret->hardlink = archive_entry_hardlink(entry);
        ret->symlink = archive_entry_symlink(entry);
        tar_names_get(layer->names, archive_read_header_position(layer->tar), &ret->path,
                      ret->hardlink ? &ret->hardlink : &ret->symlink);
        ret->mode = (uint32_t)archive_entry_filetype(entry) | (archive_entry_perm(entry) & 07777);
        ret->uid = archive_entry_uid(entry);
        ret->gid = archive_entry_gid(entry);
        ret->mtime_s = archive_entry_mtime(entry);
        ret->mtime_ns = (uint32_t)archive_entry_mtime_nsec(entry);
        ret->size = archive_entry_size(entry);
        ret->major = (int64_t)archive_entry_rdevmajor(entry);
        ret->minor = (int64_t)archive_entry_rdevminor(entry);
        *ret_regular = !ret->hardlink && S_ISREG(ret->mode);
        if (!ret->path)
                return err_set(err, EINVAL, "a member's name is not valid UTF-8: %.150s",
                               archive_error_string(layer->tar) ? archive_error_string(layer->tar)
                                                                : "no name");
        if (!ret->hardlink && (ret->mode & S_IFMT) == 0)
                return err_set(err, EINVAL, "%.200s: of an unknown type", ret->path);
        return read_xattrs(layer, entry, ret, err);
}

int layer_data(struct layer *layer, const void **ret_data, size_t *ret_len, int64_t *ret_offset,
               struct err *err)
{
        la_int64_t offset = 0;
        int r = archive_read_data_block(layer->tar, ret_data, ret_len, &offset);

        if (r == ARCHIVE_EOF)
                return 1;
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
                return broken(layer, layer->tar, err);
        *ret_offset = offset;
        return 0;
}

int layer_finish(struct layer *layer, char *ret_digest, char *ret_diff_id, struct err *err)
{
        const void *data;
        la_ssize_t n;

        assert(!layer->blob_hash == !ret_digest);
        do {
                n = reader_of(layer)(layer->raw, layer, &data);
        } while (n > 0);
        if (n < 0)
                return broken(layer, layer->raw ? layer->raw : layer->tar, err);
        if (layer->compression != LAYER_PLAIN)
                do { /* bytes behind the compressed stream */
                        layer->pending = 0;
                        n = read_fd(layer, err);
                } while (n > 0);
        if (n < 0)
                return (int)n;
        if (!ret_digest)
                return 0;
        digest_final_text(layer->blob_hash, ret_digest);
        if (layer->tar_hash)
                digest_final_text(layer->tar_hash, ret_diff_id);
        else /* not compressed: the same bytes */
                memcpy(ret_diff_id, ret_digest, DIGEST_TEXT_MAX);
        return 0;
}
