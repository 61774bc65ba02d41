/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/image.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "storage/oci.h"
#include "storage/store.h"

#define ID_PREFIX_MIN 12 /* as Docker shows ids */

static void free_list(char **list, size_t len)
{
        for (size_t i = 0; i < len; i++)
                free(list[i]);
        free(list);
}

void image_free(struct image *image)
{
        if (!image)
                return;
        free(image->ref);
        free(image->architecture);
        free(image->os);
        free(image->created);
        free_list(image->env, image->env_len);
        free_list(image->entrypoint, image->entrypoint_len);
        free_list(image->cmd, image->cmd_len);
        free(image->user);
        free(image->working_dir);
        free(image->stop_signal);
        free_list(image->healthcheck.test, image->healthcheck.test_len);
        free(image->rootfs_path);
        free(image);
}

static int read_manifest(const struct image_store *store, const char *digest,
                         struct oci_manifest **ret, struct err *err)
{
        AUTO_FREE char *text = NULL;
        size_t len;
        int r = store_read_blob(store, digest, &text, &len, err);

        return r < 0 ? r : oci_manifest_parse(text, len, digest, ret, err);
}

static int read_image(const struct image_store *store, const char *ref, const char *digest,
                      struct image **ret, struct err *err)
{
        AUTO(image) struct image *image = xnew(struct image);
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO_JSON json_t *config = NULL;
        AUTO_FREE char *text = NULL, *rootfs = NULL;
        size_t len;
        int r;

        r = read_manifest(store, digest, &manifest, err);
        if (r == 0)
                r = store_read_blob(store, manifest->config.digest, &text, &len, err);
        if (r == 0)
                r = oci_parse(text, len, "image config", &config, err);
        if (r == 0)
                r = oci_config_fill(config, image, err);
        if (r < 0)
                return err_wrap(err, "image %.200s", ref);
        image->ref = xstrdup(ref);
        memcpy(image->digest, digest, DIGEST_TEXT_MAX);
        memcpy(image->config_digest, manifest->config.digest, DIGEST_TEXT_MAX);
        for (size_t i = 0; i < manifest->layers_len; i++)
                image->size_bytes += manifest->layers[i].size;
        rootfs = store_rootfs_path(store, digest);
        if (access(rootfs, F_OK) == 0)
                image->rootfs_path = STEAL(rootfs);
        *ret = STEAL(image);
        return 0;
}

static bool id_matches(const char *digest, const char *hex)
{
        return has_prefix(digest + strlen("sha256:"), hex);
}

/* The entry whose manifest or config begins with hex. 1: none; EINVAL: several images. */
static int find_id(const struct image_store *store, const json_t *index, const char *hex,
                   const json_t **ret, struct err *err)
{
        const json_t *entries = json_object_get(index, "manifests");

        *ret = NULL;
        for (size_t i = 0; i < json_array_size(entries); i++) {
                AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
                const json_t *entry = json_array_get(entries, i);
                const char *digest = json_str(entry, "digest", "");
                struct err ignored;

                if (!digest_valid(digest))
                        continue;
                if (!id_matches(digest, hex) &&
                    (read_manifest(store, digest, &manifest, &ignored) < 0 ||
                     !id_matches(manifest->config.digest, hex)))
                        continue;
                if (*ret && !streq(json_str(*ret, "digest", ""), digest))
                        return err_set(err, EINVAL, "%s: several images begin so; give more digits",
                                       hex);
                *ret = entry;
        }
        return *ret ? 0 : 1;
}

static const char *id_of(const char *ref)
{
        const char *hex = has_prefix(ref, "sha256:") ? ref + strlen("sha256:") : ref;
        size_t len = strlen(hex);

        return len >= ID_PREFIX_MIN && len <= 64 && strspn(hex, "0123456789abcdef") == len ? hex
                                                                                           : NULL;
}

static int missing(const char *ref, struct err *err)
{
        return err_set(
                err, ENOENT,
                "no such image: %.200s; get it with 'berth image pull NAME', 'berth image load "
                "FILE' or 'berth image import FILE NAME'",
                ref);
}

/* Which index entry, or which digest, a reference means. *ret_digest is borrowed. */
static int resolve(const struct image_store *store, const json_t *index, const char *ref,
                   char **ret_ref, const char **ret_digest, struct err *err)
{
        const json_t *entry = NULL;
        const char *id = id_of(ref), *at = strchr(ref, '@');
        AUTO_FREE char *normal = NULL;
        int r = 1;

        if (!has_prefix(ref, "sha256:")) {
                r = image_ref_normalise(ref, &normal, err);
                if (r < 0)
                        return r;
                entry = store_index_find(index, normal);
        }
        if (!entry && at) {
                AUTO_FREE char *path = store_blob_path(store, at + 1);

                if (access(path, F_OK) < 0)
                        return missing(ref, err);
                *ret_digest = at + 1;
                *ret_ref = STEAL(normal);
                return 0;
        }
        r = !entry && id ? find_id(store, index, id, &entry, err) : 0;
        if (r < 0)
                return r;
        if (!entry)
                return missing(ref, err);
        *ret_digest = json_str(entry, "digest", "");
        if (!digest_valid(*ret_digest))
                return err_set(err, EINVAL, "image %.200s: its index entry has no digest", ref);
        *ret_ref = xstrdup(store_entry_ref(entry));
        return 0;
}

/* When the registry of an index entry was asked last; 0: never. */
static int64_t pulled_ms(const json_t *entry)
{
        const json_t *notes = json_object_get(entry, "annotations");
        struct err ignored;
        int64_t ms = 0;

        if (value_int(json_str(notes, OCI_NOTE_PULLED, ""), 0, INT64_MAX, &ms, &ignored) < 0)
                return 0;
        return ms;
}

int image_find(struct image_store *store, const char *ref, struct image **ret_image,
               struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        AUTO_FREE char *name = NULL;
        const char *digest = NULL;
        int r = store_index_read(store, &index, err);

        if (r == 0)
                r = resolve(store, index, ref, &name, &digest, err);
        if (r == 0)
                r = read_image(store, name ? name : ref, digest, ret_image, err);
        if (r == 0)
                (*ret_image)->pulled_ms = pulled_ms(store_index_find(index, (*ret_image)->ref));
        return r;
}

int image_list(struct image_store *store, struct image ***ret_images, size_t *ret_len,
               struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        const json_t *entries;
        struct image **images = NULL;
        size_t len = 0;
        int r = store_index_read(store, &index, err);

        if (r < 0)
                return r;
        entries = json_object_get(index, "manifests");
        for (size_t i = 0; i < json_array_size(entries); i++) {
                const json_t *entry = json_array_get(entries, i);
                const char *digest = json_str(entry, "digest", ""), *ref = store_entry_ref(entry);
                struct image *image;
                struct err ignored;

                /* One that cannot be read must not hide the others; image_find() tells why. */
                if (ref && digest_valid(digest) &&
                    read_image(store, ref, digest, &image, &ignored) == 0)
                        *array_push(&images, &len) = image;
        }
        *ret_images = images;
        *ret_len = len;
        return 0;
}

static int check_unused(const struct image_store *store, const char *ref, const char *digest,
                        const char *const *in_use, size_t len, struct err *err)
{
        AUTO_JSON json_t *users = store_users(store);
        const char *owner = json_str(users, digest, NULL);

        for (size_t i = 0; i < len; i++)
                if (streq(in_use[i], digest))
                        return err_set(err, EBUSY,
                                       "image %.200s is in use; delete what runs it first", ref);
        return owner ? err_set(err, EBUSY,
                               "image %.200s is in use by the berthd of %.200s, which shares this "
                               "store; delete what runs it there first",
                               ref, owner)
                     : 0;
}

int image_remove(struct image_store *store, const char *ref, const char *const *in_use,
                 size_t in_use_len, struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        AUTO_FREE char *name = NULL;
        AUTO_CLOSE int lock = -1;
        const char *digest = NULL;
        json_t *entries;
        int r = store_lock(store, &lock, err);

        if (r == 0)
                r = store_index_read(store, &index, err);
        if (r == 0)
                r = resolve(store, index, ref, &name, &digest, err);
        if (r < 0)
                return r;
        r = check_unused(store, ref, digest, in_use, in_use_len, err);
        if (r < 0)
                return r;
        entries = json_object_get(index, "manifests");
        for (size_t i = json_array_size(entries); i > 0; i--)
                if (streq(store_entry_ref(json_array_get(entries, i - 1)), name))
                        (void)json_array_remove(entries, i - 1); /* the index is in range */
        r = store_index_write(store, index, err);
        return r < 0 ? r : store_collect(store, index, in_use, in_use_len, err);
}
