/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/unpack.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/layer_source.h"
#include "storage/unpack_internal.h"

static bool keep_xattr(const char *name)
{
        if (has_prefix(name, "user."))
                return !has_prefix(name, "user.overlay.");
        if (has_prefix(name, "trusted."))
                return !has_prefix(name, "trusted.overlay.");
        return streq(name, "security.capability"); /* labels of other hosts mean nothing here */
}

static int take_entry(struct unpack *u, const struct wire_frame *frame, struct err *err)
{
        struct tree_xattr xattrs[WIRE_XATTRS_MAX];
        struct tree_entry entry;
        bool regular;
        size_t kept = 0;
        int r = wire_entry_parse(frame, &entry, xattrs, &regular, err);

        if (r < 0)
                return r;
        if (++u->entries > u->request->limits->entries)
                return err_set(err, E2BIG, "more than %lld entries (limits.entries)",
                               (long long)u->request->limits->entries);
        for (size_t i = 0; i < entry.xattrs_len; i++)
                if (keep_xattr(xattrs[i].name))
                        xattrs[kept++] = xattrs[i];
        entry.xattrs_len = kept;
        u->block = 0;
        return tree_add(u->tree, &entry, &u->file, err);
}

/* Blocks of the present file: they lie at u->place. */
static int take_run(struct unpack *u, struct wire_run run, struct err *err)
{
        const struct tree_run placed = {run.block, (uint32_t)u->place, run.len};
        uint64_t blocks;

        assert(u->file);
        blocks = (u->file->size + EXT4_BLOCK - 1) / EXT4_BLOCK;
        if (run.len == 0 || run.block < u->block || run.block > blocks ||
            run.len > blocks - run.block)
                return err_set(err, EINVAL, "content passes the size of its file");
        if (u->place + run.len > (uint64_t)u->request->limits->image_size / EXT4_BLOCK)
                return err_set(err, E2BIG, "more than %lld MiB in an image (limits.image_size)",
                               (long long)(u->request->limits->image_size >> 20));
        tree_inode_add_run(u->file, &placed, EXT4_RUN_MAX);
        u->block = run.block + run.len;
        u->place += run.len;
        return 0;
}

static int take_data(struct unpack *u, const struct wire_frame *frame, struct err *err)
{
        const struct wire_header header = {.kind = WIRE_RUN, .len = sizeof(struct wire_run)};
        struct wire_run run;
        int r;

        if (frame->header.len < sizeof(run))
                return err_set(err, EPROTO, "malformed content");
        memcpy(&run, frame->payload, sizeof(run));
        run.len = (uint32_t)((frame->header.len - sizeof(run)) / EXT4_BLOCK);
        if (!u->file)
                return 0; /* nobody wants it */
        r = take_run(u, run, err);
        if (r == 0)
                r = content_add(&u->content, frame->payload + sizeof(run), run.len, err);
        return r < 0 ? r : map_put(u->map, &header, &run, err);
}

static int check_end(const struct unpack *u, size_t i, const struct wire_frame *frame,
                     struct err *err)
{
        char digests[2][DIGEST_TEXT_MAX];

        if (frame->header.len != sizeof(digests))
                return err_set(err, EPROTO, "a malformed end");
        memcpy(digests, frame->payload, sizeof(digests));
        digests[0][DIGEST_TEXT_MAX - 1] = digests[1][DIGEST_TEXT_MAX - 1] = '\0';
        if (!streq(digests[0], u->manifest->layers[i].digest))
                return err_set(err, EINVAL, "its content is %s", digests[0]);
        if (!streq(digests[1], u->diff_ids[i]))
                return err_set(err, EINVAL, "uncompressed it is %s, but the config says %s",
                               digests[1], u->diff_ids[i]);
        return 0;
}

static void report(const struct unpack *u, size_t i, uint64_t consumed)
{
        char stage[64];

        (void)snprintf(stage, sizeof(stage), "unpack layer %zu/%zu", i + 1,
                       u->manifest->layers_len); /* fits */
        job_progress_report(u->request->progress, stage, (int64_t)consumed,
                            u->manifest->layers[i].size);
}

static int take_frames(struct unpack *u, size_t i, struct layer_source *source, struct err *err)
{
        struct wire_frame frame;
        int r;

        while ((r = layer_source_next(source, &frame, err)) == 0) {
                switch ((enum wire_kind)frame.header.kind) {
                case WIRE_ENTRY:
                        r = take_entry(u, &frame, err);
                        if (r == 0)
                                r = map_put(u->map, &frame.header, frame.payload, err);
                        break;
                case WIRE_DATA:
                        r = take_data(u, &frame, err);
                        break;
                case WIRE_END:
                        return check_end(u, i, &frame, err);
                case WIRE_RUN:
                case WIRE_FAIL:
                        return err_set(err, EPROTO, "an unexpected frame");
                }
                if (r < 0)
                        return r;
                report(u, i, frame.header.consumed);
        }
        return r < 0 ? r : err_set(err, EIO, "its reader ended early; try again");
}

static int start_reader(struct unpack *u, size_t i, struct layer_source *ret, struct err *err)
{
        AUTO_CLOSE int fd = -1;
        int r = unpack_blob_wait(u, u->manifest->layers[i].digest, err);

        if (r == 0)
                r = unpack_blob_open(u, &u->manifest->layers[i], &fd, err);
        return r < 0 ? r : layer_source_start(ret, fd, u->request->limits, err);
}

static int read_layer(struct unpack *u, size_t i, struct err *err)
{
        struct layer_source source = {0};
        int r = start_reader(u, i, &source, err);

        if (r == 0)
                r = take_frames(u, i, &source, err);
        layer_source_stop(&source);
        return r;
}

/* The same frames, and content that is copied in one piece. */
static int replay(struct unpack *u, const struct map *map, const struct map_layer *layer,
                  struct err *err)
{
        struct wire_frame frame;
        struct wire_in in;
        uint64_t end = u->place + layer->blocks;
        int r = 0;

        if (lseek(map->fd, (off_t)layer->at, SEEK_SET) < 0)
                return err_errno(err, errno, "disk map");
        wire_in_init(&in, map->fd, layer->len);
        while (r == 0 && (r = wire_in_next(&in, &frame, err)) == 0) {
                struct wire_run run;

                if (frame.header.kind == WIRE_ENTRY) {
                        r = take_entry(u, &frame, err);
                } else if (frame.header.kind == WIRE_RUN && frame.header.len == sizeof(run)) {
                        memcpy(&run, frame.payload, sizeof(run));
                        r = u->file ? take_run(u, run, err)
                                    : err_set(err, EPROTO, "damaged disk map");
                } else {
                        r = err_set(err, EPROTO, "damaged disk map");
                }
                if (r == 0)
                        r = map_put(u->map, &frame.header, frame.payload, err);
        }
        wire_in_release(&in);
        if (r > 0 && u->place != end)
                r = err_set(err, EPROTO, "damaged disk map");
        return r < 0 ? r : 0;
}

static int unpack_layer(struct unpack *u, size_t i, struct err *err)
{
        const char *digest = u->manifest->layers[i].digest;
        const struct map_layer *there = NULL;
        struct unpack_other *other = unpack_other_find(u, digest, &there);
        int r;

        tree_begin_layer(u->tree);
        map_begin_layer(u->map, i, digest, u->place);
        u->entries = 0;
        u->file = NULL;
        u->others_used = u->others_used || other;
        r = other ? content_copy(&u->content, other->disk, there->first, there->blocks, err) : 0;
        if (r == 0)
                r = other ? replay(u, other->map, there, err) : read_layer(u, i, err);
        map_end_layer(u->map, i, u->place);
        if (r == 0 && other && !streq(u->map->layers[i].frames, there->frames))
                r = err_set(err, EPROTO, "damaged disk map");
        if (r < 0 && !other)
                unpack_blob_blame(u, &u->manifest->layers[i], err);
        return r < 0 ? err_wrap(err, "layer %s", digest) : 0;
}

static int read_documents(struct unpack *u, const char *digest, struct err *err)
{
        AUTO_FREE char *text = NULL, *config_text = NULL;
        AUTO_JSON json_t *config = NULL;
        size_t len;
        int r;

        r = unpack_blob_read(u, digest, &text, &len, err);
        if (r == 0)
                r = oci_manifest_parse(text, len, digest, &u->manifest, err);
        if (r == 0)
                r = unpack_blob_read(u, u->manifest->config.digest, &config_text, &len, err);
        if (r == 0)
                r = oci_parse(config_text, len, "image config", &config, err);
        if (r < 0)
                return r;
        assert(u->manifest);
        tree_bound(u->tree, (size_t)u->request->limits->entries,
                   (unsigned)u->request->limits->depth);
        r = image_limits_layers(u->request->limits, u->manifest->layers_len, digest, err);
        if (r < 0)
                return r;
        if (u->manifest->layers_len == 0)
                return err_set(err, EINVAL, "image has no root filesystem: it has no layers");
        return oci_config_diff_ids(config, digest, u->manifest->layers_len, &u->diff_ids, err);
}

static void release(struct unpack *u)
{
        unpack_others_close(u);
        content_release(&u->content);
        map_free(u->map);
        json_decref(u->ready);
        free(u->diff_ids);
        oci_manifest_free(u->manifest);
        tree_free(u->tree);
}

static int attempt(const struct unpack_request *request, bool alone, json_t *ready, struct err *err)
{
        struct unpack u = {.request = request,
                           .tree = tree_new(),
                           .ready = json_incref(ready),
                           .place = EXT4_CONTENT_FIRST};
        int r = read_documents(&u, request->digest, err);

        content_init(&u.content, request->out, EXT4_CONTENT_FIRST);
        if (r == 0)
                r = map_new(request->map, u.manifest->layers_len, &u.map, err);
        if (r == 0 && !alone)
                unpack_others_open(&u);
        for (size_t i = 0; r == 0 && i < u.manifest->layers_len; i++)
                r = unpack_layer(&u, i, err);
        if (r == 0)
                r = content_flush(&u.content, err);
        if (r == 0)
                r = unpack_finish(&u, err);
        r = r < 0 && u.others_used ? 1 : r;
        release(&u);
        return r;
}

int unpack_image(const struct unpack_request *request, struct err *err)
{
        AUTO_JSON json_t *ready = json_object();
        int r = attempt(request, false, ready, err);

        if (r <= 0)
                return r;
        /* Another disk may be damaged, or on a file system that cannot copy: do without. */
        if (ftruncate(request->out, 0) < 0 || ftruncate(request->map, 0) < 0)
                return err_errno(err, errno, "staging folder");
        return attempt(request, true, ready, err);
}
