/* SPDX-License-Identifier: Apache-2.0 */
/* A tar of a root file system becomes an image of one layer. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "storage/blob.h"
#include "storage/layer.h"
#include "storage/load_internal.h"

#define STAGED "layer"
#define CHUNK  (256u << 10)

static int copy_archive(const struct load *load, int archive, int out, struct err *err)
{
        AUTO_FREE uint8_t *chunk = xcalloc(1, CHUNK);
        int64_t done = 0, total = 0;
        struct stat st;
        ssize_t n;

        if (fstat(archive, &st) == 0 && S_ISREG(st.st_mode))
                total = st.st_size;
        while ((n = read(archive, chunk, CHUNK)) != 0) {
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, errno, "read the archive");
                done += n;
                if (done > load->limits->layer_size)
                        return err_set(err, E2BIG, "larger than %lld MiB (limits.layer_size)",
                                       (long long)(load->limits->layer_size >> 20));
                r = fd_write_all(out, chunk, (size_t)n, err);
                if (r < 0)
                        return r;
                job_progress_report(load->progress, "reading the archive", done, total);
        }
        return fsync(out) < 0 ? err_errno(err, errno, "sync") : 0;
}

/* All entries are tried on a tree: a tar that cannot be unpacked is refused now, not later. */
static int check_layer(const struct load *load, int fd, struct oci_descriptor *ret,
                       char *ret_diff_id, struct err *err)
{
        AUTO(layer) struct layer *layer = NULL;
        AUTO(tree) struct tree *tree = tree_new();
        struct tree_entry entry;
        struct tree_inode *inode;
        bool regular;
        int r;

        tree_bound(tree, (size_t)load->limits->entries, (unsigned)load->limits->depth);
        r = layer_open(fd, LAYER_HASH, load->limits, &layer, err);
        tree_begin_layer(tree);
        while (r == 0) {
                r = layer_next(layer, &entry, &regular, err);
                entry.xattrs_len = 0; /* filtered when the image is unpacked */
                if (r == 0)
                        r = tree_add(tree, &entry, &inode, err);
        }
        if (r > 0 && tree_count(tree) < 2)
                return err_set(err, EINVAL, "an empty archive");
        if (r > 0)
                r = layer_finish(layer, ret->digest, ret_diff_id, err);
        if (r < 0)
                return r;
        ret->size = layer_consumed(layer);
        (void)snprintf(ret->media_type, sizeof(ret->media_type), "%s",
                       load_layer_type((int)layer_compression(layer))); /* fits */
        return 0;
}

static int check_changes(const json_t *changes, struct err *err)
{
        static const char *const known[] = {
                "Cmd",    "Entrypoint", "Env",  "ExposedPorts", "Healthcheck",
                "Labels", "StopSignal", "User", "Volumes",      "WorkingDir"};
        json_t *value, *object = (json_t *)(uintptr_t)changes;
        const char *key;

        if (changes && !json_is_object(changes))
                return err_set(err, EINVAL, "changes: not an object");
        json_object_foreach(object, key, value) {
                bool found = false;

                for (size_t i = 0; !found && i < ARRAY_SIZE(known); i++)
                        found = streq(known[i], key);
                if (!found)
                        return err_set(err, EINVAL,
                                       "change '%.50s' is not one of Cmd, Entrypoint, Env, "
                                       "ExposedPorts, Healthcheck, Labels, StopSignal, User, "
                                       "Volumes, WorkingDir",
                                       key);
        }
        return 0;
}

static int write_json(const struct load *load, json_t *json, const char *type,
                      struct oci_descriptor *ret, struct err *err)
{
        AUTO_FREE char *text = json_text(json);

        (void)snprintf(ret->media_type, sizeof(ret->media_type), "%s", type); /* fits */
        return blob_write(load->staging, text, strlen(text), ret, err);
}

/* No time stamps: the same tar with the same changes is the same image. */
static int write_image(struct load *load, const struct oci_descriptor *layer, const char *diff_id,
                       const json_t *changes, struct err *err)
{
        struct oci_descriptor config, manifest;
        AUTO_JSON json_t *run = changes ? json_deep_copy(changes) : json_object();
        AUTO_JSON json_t *json = json_pack("{s:s, s:s, s:O, s:{s:s, s:[s]}}", "architecture",
                                           oci_architecture(), "os", "linux", "config", run,
                                           "rootfs", "type", "layers", "diff_ids", diff_id);
        AUTO_JSON json_t *document = NULL;
        int r = write_json(load, json, OCI_TYPE_CONFIG, &config, err);

        if (r < 0)
                return r;
        document = json_pack("{s:i, s:s, s:o, s:[o]}", "schemaVersion", 2, "mediaType",
                             OCI_TYPE_MANIFEST, "config", oci_descriptor_json(&config), "layers",
                             oci_descriptor_json(layer));
        r = write_json(load, document, OCI_TYPE_MANIFEST, &manifest, err);
        if (r == 0)
                r = load_keep_manifest(load, &manifest, err);
        return r < 0 ? r : load_name(load, load->ref, &manifest, err);
}

static int import(struct load *load, int archive, const json_t *changes, struct err *err)
{
        AUTO_CLOSE int out = openat(load->staging, STAGED,
                                    O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct oci_descriptor layer;
        char diff_id[DIGEST_TEXT_MAX];
        int r = check_changes(changes, err);

        if (r < 0)
                return r;
        if (out < 0)
                return err_errno(err, errno, "staging folder");
        r = copy_archive(load, archive, out, err);
        if (r == 0 && lseek(out, 0, SEEK_SET) < 0)
                r = err_errno(err, errno, "staging folder");
        if (r == 0)
                r = check_layer(load, out, &layer, diff_id, err);
        if (r == 0 &&
            renameat(load->staging, STAGED, load->staging, layer.digest + strlen("sha256:")) < 0)
                r = err_errno(err, errno, "staging folder");
        return r < 0 ? r : write_image(load, &layer, diff_id, changes, err);
}

int load_import(int archive, int staging, const struct import_request *request,
                struct job_progress *progress, json_t **ret, struct err *err)
{
        struct load load = {.staging = staging,
                            .ref = request->ref,
                            .limits = request->limits,
                            .progress = progress,
                            .blobs = json_object(),
                            .images = json_array()};
        AUTO_FREE char *normal = NULL;
        int r = image_ref_normalise(request->ref, &normal, err);

        if (r == 0)
                r = import(&load, archive, request->changes, err);
        if (r == 0)
                *ret = load_result(&load);
        json_decref(load.blobs);
        json_decref(load.images);
        return r;
}
