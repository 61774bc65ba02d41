/* SPDX-License-Identifier: Apache-2.0 */
/* Mark what references and users need; remove the other blobs and disks. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "storage/store.h"

/* Digests that stay: a JSON object as a set. */
static void mark(json_t *set, const char *digest)
{
        (void)json_object_set_new(set, digest, json_true()); /* fails only without memory */
}

/* A manifest that cannot be read keeps itself; it is reported when somebody wants it. */
void store_mark_image(const struct image_store *store, json_t *set, json_t *disks,
                      const char *digest)
{
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO_FREE char *text = NULL;
        struct err ignored;
        size_t len;

        mark(set, digest);
        mark(disks, digest);
        if (store_read_blob(store, digest, &text, &len, &ignored) < 0 ||
            oci_manifest_parse(text, len, digest, &manifest, &ignored) < 0)
                return;
        mark(set, manifest->config.digest);
        for (size_t i = 0; i < manifest->layers_len; i++)
                mark(set, manifest->layers[i].digest);
}

static int sweep(const struct image_store *store, const char *folder, const json_t *keep,
                 struct err *err)
{
        AUTO_FREE char *path = file_join(store->dir, folder);
        AUTO_DIR DIR *dir = opendir(path);
        struct dirent *entry;

        if (!dir)
                return err_errno(err, errno, "%s", path);
        while ((entry = readdir(dir))) {
                char digest[DIGEST_TEXT_MAX];

                (void)snprintf(digest, sizeof(digest), "sha256:%.64s", entry->d_name); /* fits */
                if (!digest_valid(digest) || json_object_get(keep, digest))
                        continue;
                if (unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != ENOENT)
                        return err_errno(err, errno, "%s/%s: remove", path, entry->d_name);
        }
        return 0;
}

json_t *store_mapped_disks(const struct image_store *store)
{
        AUTO_FREE char *path = file_join(store->dir, "maps");
        AUTO_DIR DIR *dir = opendir(path);
        json_t *list = json_array();
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                char digest[DIGEST_TEXT_MAX];

                (void)snprintf(digest, sizeof(digest), "sha256:%.64s", entry->d_name); /* fits */
                if (digest_valid(digest))
                        (void)json_array_append_new(list, json_string(digest)); /* OOM only */
        }
        return list;
}

int store_collect(const struct image_store *store, const json_t *index, const char *const *in_use,
                  size_t in_use_len, struct err *err)
{
        AUTO_JSON json_t *blobs = json_object();
        AUTO_JSON json_t *disks = json_object();
        AUTO_JSON json_t *users = store_users(store);
        const json_t *entries = json_object_get(index, "manifests");
        const char *digest;
        json_t *owner;
        int r;

        for (size_t i = 0; i < json_array_size(entries); i++) {
                digest = json_str(json_array_get(entries, i), "digest", "");
                if (digest_valid(digest))
                        store_mark_image(store, blobs, disks, digest);
        }
        json_object_foreach(users, digest, owner)
                store_mark_image(store, blobs, disks, digest);
        for (size_t i = 0; i < in_use_len; i++)
                if (digest_valid(in_use[i]))
                        store_mark_image(store, blobs, disks, in_use[i]);
        r = sweep(store, "rootfs", disks, err);
        if (r == 0)
                r = sweep(store, "maps", disks, err);
        return r < 0 ? r : sweep(store, "blobs/sha256", blobs, err);
}
