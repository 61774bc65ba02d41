/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/save.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "storage/blob.h"
#include "storage/reference.h"

#define TAR_BLOCK 512
#define COPY_SIZE 65536

struct save {
        int blobs, output;
        struct job_progress *progress;
        json_t *written; /* digests as keys */
        json_t *index;   /* descriptors */
        json_t *docker;  /* of manifest.json */
        int64_t done;
};

/* ------------------------------------------------------------------------------------------ tar */

/* A number in octal; past what fits, in base 256 as GNU and pax readers know it. */
static void put_number(char *field, size_t len, uint64_t value)
{
        if (value >> (3 * (len - 1)) == 0) {
                field[len - 1] = '\0';
                for (size_t i = len - 1; i > 0; i--, value >>= 3)
                        field[i - 1] = (char)('0' + (value & 7));
                return;
        }
        for (size_t i = len; i > 1; i--, value >>= 8)
                field[i - 1] = (char)(value & 0xff);
        field[0] = (char)0x80;
}

static int put_header(const struct save *s, const char *name, int64_t size, bool folder,
                      struct err *err)
{
        char h[TAR_BLOCK] = {0};
        unsigned sum = 0;

        /* NOLINTBEGIN(bugprone-not-null-terminated-result): a header has no terminators */
        memcpy(h, name, strlen(name)); /* ours, and shorter than 100 bytes */
        put_number(h + 100, 8, folder ? 0755 : 0644);
        put_number(h + 108, 8, 0);
        put_number(h + 116, 8, 0);
        put_number(h + 124, 12, (uint64_t)size);
        put_number(h + 136, 12, 0);
        memset(h + 148, ' ', 8);
        h[156] = folder ? '5' : '0';
        memcpy(h + 257, "ustar\00000", 8);
        /* NOLINTEND(bugprone-not-null-terminated-result) */
        for (size_t i = 0; i < sizeof(h); i++)
                sum += (unsigned char)h[i];
        put_number(h + 148, 7, sum);
        return fd_write_all(s->output, h, sizeof(h), err);
}

static int put_padding(const struct save *s, int64_t size, struct err *err)
{
        static const char zeros[TAR_BLOCK];
        size_t rest = (size_t)(size % TAR_BLOCK);

        return rest ? fd_write_all(s->output, zeros, TAR_BLOCK - rest, err) : 0;
}

static int put_text(const struct save *s, const char *name, const char *text, struct err *err)
{
        int64_t size = (int64_t)strlen(text);
        int r = put_header(s, name, size, false, err);

        if (r == 0)
                r = fd_write_all(s->output, text, (size_t)size, err);
        return r < 0 ? r : put_padding(s, size, err);
}

/* ---------------------------------------------------------------------------------------- blobs */

static int copy(struct save *s, int fd, const struct oci_descriptor *blob, struct err *err)
{
        AUTO(digest) struct digest *digest = digest_new();
        AUTO_FREE char *chunk = xcalloc(1, COPY_SIZE);
        char actual[DIGEST_TEXT_MAX];
        int64_t left = blob->size;

        while (left) {
                size_t want = left < COPY_SIZE ? (size_t)left : COPY_SIZE;
                ssize_t n = read(fd, chunk, want);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return err_set(err, EIO, "blob %s: ends too early", blob->digest);
                digest_update(digest, chunk, (size_t)n);
                r = fd_write_all(s->output, chunk, (size_t)n, err);
                if (r < 0)
                        return r;
                left -= n;
                s->done += n;
                job_progress_report(s->progress, "save", s->done, 0);
        }
        digest_final_text(digest, actual);
        return streq(actual, blob->digest)
                       ? 0
                       : err_set(err, EBADMSG,
                                 "blob %s: its content is damaged; pull or load the "
                                 "image again",
                                 blob->digest);
}

static int put_blob(struct save *s, const struct oci_descriptor *blob, struct err *err)
{
        AUTO_FREE char *name = xasprintf("blobs/sha256/%s", blob->digest + strlen("sha256:"));
        AUTO_CLOSE int fd = -1;
        int r;

        if (json_object_get(s->written, blob->digest))
                return 0;
        (void)json_object_set_new(s->written, blob->digest, json_true()); /* OOM only */
        r = blob_open(s->blobs, blob, &fd, err);
        if (r == 0)
                r = put_header(s, name, blob->size, false, err);
        if (r == 0)
                r = copy(s, fd, blob, err);
        return r < 0 ? r : put_padding(s, blob->size, err);
}

/* --------------------------------------------------------------------------------------- images */

/* index.json names an image by its tag, and by its whole name where containerd looks. */
static void add_index(struct save *s, const struct oci_descriptor *manifest,
                      const struct reference *reference)
{
        json_t *entry = oci_descriptor_json(manifest);

        (void)json_object_set_new(entry, "annotations",
                                  json_pack("{s:s, s:s}", OCI_NOTE_NAME, reference->text,
                                            OCI_NOTE_REF,
                                            reference->tag ? reference->tag : reference->text));
        (void)json_array_append_new(s->index, entry); /* both fail only without memory */
}

static void add_docker(struct save *s, const struct oci_manifest *manifest,
                       const struct reference *reference)
{
        AUTO_FREE char *config =
                xasprintf("blobs/sha256/%s", manifest->config.digest + strlen("sha256:"));
        json_t *layers = json_array(), *tags = json_array();

        for (size_t i = 0; i < manifest->layers_len; i++) {
                AUTO_FREE char *path = xasprintf("blobs/sha256/%s",
                                                 manifest->layers[i].digest + strlen("sha256:"));

                (void)json_array_append_new(layers, json_string(path)); /* OOM only */
        }
        /* The whole name: podman takes a short one for localhost's. */
        if (reference->tag)
                (void)json_array_append_new(tags, json_sprintf("%s/%s:%s", reference->host,
                                                               reference->path,
                                                               reference->tag)); /* OOM only */
        (void)json_array_append_new(s->docker,
                                    json_pack("{s:s, s:o, s:o}", "Config", config, "RepoTags", tags,
                                              "Layers", layers)); /* OOM only */
}

static int put_image(struct save *s, const json_t *image, struct err *err)
{
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO(reference) struct reference *reference = NULL;
        AUTO_FREE char *text = NULL;
        struct oci_descriptor self = {.size = 0};
        const char *digest = json_str(image, "digest", "");
        size_t len = 0;
        int r = reference_parse(json_str(image, "ref", ""), &reference, err);

        if (r == 0)
                r = blob_read(s->blobs, digest, &text, &len, err);
        if (r == 0)
                r = oci_manifest_parse(text, len, digest, &manifest, err);
        if (r < 0)
                return r;
        assert(manifest && reference);
        self.size = (int64_t)len;
        memcpy(self.digest, digest, DIGEST_TEXT_MAX); /* blob_read() has checked it */
        (void)snprintf(self.media_type, sizeof(self.media_type), "%s",
                       json_str(image, "media_type", OCI_TYPE_MANIFEST)); /* may be cut */
        r = put_blob(s, &self, err);
        if (r == 0)
                r = put_blob(s, &manifest->config, err);
        for (size_t i = 0; r == 0 && i < manifest->layers_len; i++)
                r = put_blob(s, &manifest->layers[i], err);
        add_index(s, &self, reference);
        add_docker(s, manifest, reference);
        return r;
}

static int put_all(struct save *s, const json_t *images, struct err *err)
{
        static const char zeros[2 * TAR_BLOCK];
        AUTO_FREE char *docker = NULL, *index = NULL;
        AUTO_JSON json_t *layout = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
                                             OCI_TYPE_INDEX, "manifests", s->index);
        int r = put_header(s, "blobs/", 0, true, err);

        if (r == 0)
                r = put_header(s, "blobs/sha256/", 0, true, err);
        for (size_t i = 0; r == 0 && i < json_array_size(images); i++)
                r = put_image(s, json_array_get(images, i), err);
        index = json_text(layout);
        docker = json_text(s->docker);
        if (r == 0)
                r = put_text(s, "index.json", index, err);
        if (r == 0)
                r = put_text(s, "manifest.json", docker, err);
        if (r == 0)
                r = put_text(s, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err);
        return r < 0 ? r : fd_write_all(s->output, zeros, sizeof(zeros), err);
}

int save_images(int blobs, int output, const json_t *images, struct job_progress *progress,
                json_t **ret, struct err *err)
{
        struct save s = {.blobs = blobs,
                         .output = output,
                         .progress = progress,
                         .written = json_object(),
                         .index = json_array(),
                         .docker = json_array()};
        int r = put_all(&s, images, err);

        if (r == 0)
                *ret = json_object();
        json_decref(s.written);
        json_decref(s.index);
        json_decref(s.docker);
        return r;
}
