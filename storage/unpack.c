/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/unpack.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/blob.h"
#include "storage/ext4.h"
#include "storage/layer.h"
#include "storage/oci.h"
#include "storage/tree.h"

#define XATTRS_MAX 128

struct unpack {
        int blobs;
        struct job_progress *progress;
        struct oci_manifest *manifest;
        char (*diff_ids)[DIGEST_TEXT_MAX];
        struct tree *tree;
        uint64_t blocks;             /* of all content seen, alive or not */
        struct tree_inode **content; /* alive, by layer and entry */
        size_t content_len;
};

static bool keep_xattr(const char *name)
{
        if (has_prefix(name, "user."))
                return !has_prefix(name, "user.overlay.");
        if (has_prefix(name, "trusted."))
                return !has_prefix(name, "trusted.overlay.");
        return streq(name, "security.capability"); /* labels of other hosts mean nothing here */
}

static int add_entry(struct unpack *u, const struct tree_entry *entry,
                     struct tree_inode **ret_inode, struct err *err)
{
        struct tree_xattr kept[XATTRS_MAX];
        struct tree_entry filtered = *entry;
        size_t len = 0;

        for (size_t i = 0; i < entry->xattrs_len && len < XATTRS_MAX; i++)
                if (keep_xattr(entry->xattrs[i].name))
                        kept[len++] = entry->xattrs[i];
        filtered.xattrs = kept;
        filtered.xattrs_len = len;
        return tree_add(u->tree, &filtered, ret_inode, err);
}

/* Reads a file's content to know what it takes. inode NULL: nobody wants it. */
static int count_content(struct unpack *u, struct layer *layer, struct tree_inode *inode,
                         struct err *err)
{
        struct ext4_count count = {0};
        const void *data;
        int64_t offset;
        size_t len;
        int r;

        while ((r = layer_data(layer, &data, &len, &offset, err)) == 0) {
                if (!inode)
                        continue;
                if (offset < 0 || (uint64_t)offset + len > inode->size)
                        return err_set(err, EINVAL, "content passes the size of its file");
                ext4_count_data(&count, data, len, offset);
        }
        if (r < 0 || !inode)
                return r < 0 ? r : 0;
        ext4_count_end(&count);
        inode->data_blocks = count.blocks;
        inode->data_runs = count.runs;
        u->blocks += count.blocks;
        if (u->blocks > UNPACK_SIZE_MAX / EXT4_BLOCK)
                return err_set(err, E2BIG, "more than %llu GiB in an image",
                               (unsigned long long)(UNPACK_SIZE_MAX >> 30));
        return 0;
}

static void report(struct unpack *u, const char *verb, size_t i, const struct layer *layer)
{
        char stage[64];

        (void)snprintf(stage, sizeof(stage), "%s layer %zu/%zu", verb, i + 1,
                       u->manifest->layers_len); /* fits */
        job_progress_report(u->progress, stage, layer_consumed(layer), u->manifest->layers[i].size);
}

static int index_entries(struct unpack *u, size_t i, struct layer *layer, struct err *err)
{
        struct tree_entry entry;
        bool regular;
        int r;

        for (uint32_t n = 0; (r = layer_next(layer, &entry, &regular, err)) == 0; n++) {
                struct tree_inode *inode;

                if (n >= TREE_NODES_MAX)
                        return err_set(err, E2BIG, "more than %u entries", TREE_NODES_MAX);
                r = add_entry(u, &entry, &inode, err);
                if (r == 0 && inode) {
                        inode->source_layer = (int32_t)i;
                        inode->source_entry = n;
                }
                if (r == 0 && regular) {
                        r = count_content(u, layer, inode, err);
                        if (r < 0)
                                (void)err_wrap(err, "%.200s", entry.path);
                }
                if (r < 0)
                        return r;
                report(u, "reading layers", i, layer);
        }
        return r < 0 ? r : 0;
}

static int index_layer(struct unpack *u, size_t i, struct err *err)
{
        const struct oci_descriptor *descriptor = &u->manifest->layers[i];
        AUTO(layer) struct layer *layer = NULL;
        char digest[DIGEST_TEXT_MAX], diff_id[DIGEST_TEXT_MAX];
        AUTO_CLOSE int fd = -1;
        int r;

        r = blob_open(u->blobs, descriptor, &fd, err);
        if (r < 0)
                return r;
        r = layer_open(fd, LAYER_HASH, &layer, err);
        if (r == 0) {
                tree_begin_layer(u->tree);
                r = index_entries(u, i, layer, err);
        }
        if (r == 0)
                r = layer_finish(layer, digest, diff_id, err);
        if (r == 0 && !streq(digest, descriptor->digest))
                r = err_set(err, EINVAL, "its content is %s; load the image again", digest);
        if (r == 0 && !streq(diff_id, u->diff_ids[i]))
                r = err_set(err, EINVAL, "uncompressed it is %s, but the config says %s", diff_id,
                            u->diff_ids[i]);
        return r < 0 ? err_wrap(err, "layer %s", descriptor->digest) : 0;
}

static int by_source(const void *a, const void *b)
{
        const struct tree_inode *x = *(struct tree_inode *const *)a;
        const struct tree_inode *y = *(struct tree_inode *const *)b;

        if (x->source_layer != y->source_layer)
                return x->source_layer < y->source_layer ? -1 : 1;
        return x->source_entry < y->source_entry ? -1 : x->source_entry > y->source_entry;
}

/* The files that are left, in the order in which the layers hold them; each inode once. */
static void collect_content(struct unpack *u)
{
        size_t n = 0;

        u->content = xcalloc(tree_count(u->tree), sizeof(struct tree_inode *));
        for (struct tree_node *node = tree_root(u->tree); node; node = tree_next(node))
                if (node->inode->source_layer >= 0 && node->inode->data_blocks)
                        u->content[n++] = node->inode;
        qsort(u->content, n, sizeof(struct tree_inode *), by_source);
        for (size_t i = 0; i < n; i++)
                if (i == 0 || u->content[i] != u->content[i - 1])
                        u->content[u->content_len++] = u->content[i];
}

static int copy_content(struct layer *layer, struct ext4 *ext4, const struct tree_inode *inode,
                        struct err *err)
{
        const void *data;
        int64_t offset;
        size_t len;
        int r = ext4_file_begin(ext4, inode, err);

        while (r == 0) {
                r = layer_data(layer, &data, &len, &offset, err);
                if (r == 0)
                        r = ext4_file_data(ext4, data, len, offset, err);
        }
        return r < 0 ? r : ext4_file_end(ext4, err);
}

/* Copies the content that comes from layer i: files from *next on. */
static int write_layer(struct unpack *u, size_t i, struct ext4 *ext4, size_t *next, struct err *err)
{
        AUTO(layer) struct layer *layer = NULL;
        AUTO_CLOSE int fd = -1;
        struct tree_entry entry;
        bool regular;
        int r;

        r = blob_open(u->blobs, &u->manifest->layers[i], &fd, err);
        if (r == 0)
                r = layer_open(fd, LAYER_NO_HASH, &layer, err);
        for (uint32_t n = 0; r == 0; n++) {
                const struct tree_inode *inode = u->content[*next];

                r = layer_next(layer, &entry, &regular, err);
                if (r != 0 || n < inode->source_entry)
                        continue;
                r = copy_content(layer, ext4, inode, err);
                report(u, "write", i, layer);
                if (++*next == u->content_len || u->content[*next]->source_layer != (int32_t)i)
                        break;
        }
        if (r > 0)
                r = err_set(err, EIO, "changed while it was read");
        return r < 0 ? err_wrap(err, "layer %s", u->manifest->layers[i].digest) : 0;
}

static int write_disk(struct unpack *u, const char *digest, int out, struct err *err)
{
        AUTO(ext4) struct ext4 *ext4 = NULL;
        struct ext4_params params = {0};
        size_t next = 0;
        int r;

        ext4_measure(u->tree, &params.blocks, &params.inodes);
        for (size_t i = 0; i < sizeof(params.uuid); i++) {
                unsigned byte = 0;

                (void)sscanf(digest + strlen("sha256:") + 2 * i, "%2x", &byte); /* checked hex */
                params.uuid[i] = (uint8_t)byte;
        }
        params.now_s = 1; /* equal images make equal disks */
        r = ext4_format(out, &params, &ext4, err);
        if (r == 0)
                r = ext4_put_tree(ext4, u->tree, err);
        while (r == 0 && next < u->content_len)
                r = write_layer(u, (size_t)u->content[next]->source_layer, ext4, &next, err);
        if (r == 0)
                r = ext4_close(STEAL(ext4), err);
        if (r == 0 && fsync(out) < 0)
                r = err_errno(err, errno, "root disk: sync");
        return r;
}

static int read_documents(struct unpack *u, const char *digest, struct err *err)
{
        AUTO_FREE char *text = NULL, *config_text = NULL;
        AUTO_JSON json_t *config = NULL;
        size_t len;
        int r;

        r = blob_read(u->blobs, digest, &text, &len, err);
        if (r == 0)
                r = oci_manifest_parse(text, len, digest, &u->manifest, err);
        if (r == 0)
                r = blob_read(u->blobs, u->manifest->config.digest, &config_text, &len, err);
        if (r == 0)
                r = json_parse(config_text, len, OCI_DOCUMENT_MAX, "image config", &config, err);
        if (r < 0)
                return r;
        assert(u->manifest);
        if (u->manifest->layers_len == 0)
                return err_set(err, EINVAL, "image has no root filesystem: it has no layers");
        return oci_config_diff_ids(config, digest, u->manifest->layers_len, &u->diff_ids, err);
}

int unpack_image(int blobs, const char *digest, int out, struct job_progress *progress,
                 struct err *err)
{
        struct unpack u = {.blobs = blobs, .progress = progress, .tree = tree_new()};
        int r = read_documents(&u, digest, err);

        for (size_t i = 0; r == 0 && i < u.manifest->layers_len; i++)
                r = index_layer(&u, i, err);
        if (r == 0) {
                collect_content(&u);
                r = write_disk(&u, digest, out, err);
        }
        free(u.content);
        free(u.diff_ids);
        oci_manifest_free(u.manifest);
        tree_free(u.tree);
        return r;
}
