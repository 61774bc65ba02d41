/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/publish.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "storage/load.h"

bool publish_has_rootfs(const struct image_store *store, const char *digest)
{
        AUTO_FREE char *path = store_rootfs_path(store, digest);

        return access(path, F_OK) == 0;
}

static int check_images(const json_t *images, json_t *list, struct err *err)
{
        if (!json_is_array(images) || json_array_size(images) > LOAD_IMAGES_MAX)
                return err_set(err, EINVAL, "storage worker: a malformed result");
        for (size_t i = 0; i < json_array_size(images); i++) {
                const json_t *image = json_array_get(images, i);
                const char *ref = json_str(image, "ref", "");
                AUTO_FREE char *normal = NULL;
                struct oci_descriptor descriptor;
                int r = image_ref_normalise(ref, &normal, err);

                if (r == 0)
                        r = oci_descriptor_parse(json_object_get(image, "descriptor"),
                                                 "storage worker", &descriptor, err);
                if (r < 0)
                        return r;
                if (!streq(ref, normal))
                        return err_set(err, EINVAL, "storage worker: a malformed reference");
                (void)json_array_append_new(list, json_pack("{s:s, s:s}", "ref", ref, "digest",
                                                            descriptor.digest)); /* OOM only */
        }
        return 0;
}

int publish_images(const struct image_store *store, int staging, const json_t *made, json_t **ret,
                   struct err *err)
{
        const json_t *blobs = json_object_get(made, "blobs");
        const json_t *images = json_object_get(made, "images");
        AUTO_JSON json_t *list = json_array();
        AUTO_CLOSE int lock = -1;
        int r = check_images(images, list, err);

        if (r == 0)
                r = store_lock(store, &lock, err);
        for (size_t i = 0; r == 0 && i < json_array_size(blobs); i++) {
                const char *digest = json_string_value(json_array_get(blobs, i));

                if (!digest || !digest_valid(digest))
                        r = err_set(err, EINVAL, "storage worker: a malformed digest");
                else
                        r = store_publish_blob(store, staging, digest, err);
        }
        if (r == 0)
                r = store_sync(store, "blobs/sha256", err);
        if (r == 0)
                r = store_publish_refs(store, images, err);
        if (r < 0)
                return r;
        *ret = json_pack("{s:O}", "images", list);
        return 0;
}

/* Nothing came: the reference stays as it is, if it is still there. */
static int publish_unchanged(const struct image_store *store, const char *ref, json_t **ret,
                             struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        const json_t *entry;
        int r = store_index_read(store, &index, err);

        if (r < 0)
                return r;
        entry = store_index_find(index, ref);
        if (!entry)
                return err_set(err, EAGAIN, "%s was removed meanwhile; pull it again", ref);
        *ret = json_pack("{s:[{s:s, s:s}], s:b}", "images", "ref", ref, "digest",
                         json_str(entry, "digest", ""), "unchanged", 1);
        return 0;
}

/* When the registry was asked: for policies that go by time. */
static int note_pulled(const struct image_store *store, const char *ref, struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        AUTO_CLOSE int lock = -1;
        json_t *notes;
        int r = store_lock(store, &lock, err);

        if (r == 0)
                r = store_index_read(store, &index, err);
        if (r < 0)
                return r;
        notes = json_object_get(store_index_find(index, ref), "annotations");
        if (!notes)
                return 0; /* removed meanwhile */
        (void)json_object_set_new(notes, OCI_NOTE_PULLED,
                                  json_sprintf("%lld", (long long)clock_wall_ms())); /* OOM */
        return store_index_write(store, index, err);
}

int publish_pulled(const struct image_store *store, int staging, const json_t *made,
                   const char *ref, json_t **ret, struct err *err)
{
        bool unchanged = json_bool(made, "unchanged", false);
        int r = unchanged ? publish_unchanged(store, ref, ret, err)
                          : publish_images(store, staging, made, ret, err);

        if (r == 0)
                r = note_pulled(store, ref, err);
        if (unchanged)
                return r;
        if (r == -ENOENT)
                return err_set(err, EAGAIN,
                               "%s: a layer of it was removed meanwhile; pull it again", ref);
        if (r == 0)
                json_set_int(*ret, "received", json_int(made, "received", 0));
        return r;
}

int publish_rootfs(const struct image_store *store, int staging, const char *digest, json_t **ret,
                   struct err *err)
{
        AUTO_FREE char *path = store_rootfs_path(store, digest);
        AUTO_CLOSE int lock = -1;
        int r = store_lock(store, &lock, err);

        if (r == 0)
                r = store_publish_rootfs(store, staging, digest, err);
        if (r == 0)
                r = store_sync(store, "maps", err);
        if (r == 0)
                r = store_sync(store, "rootfs", err);
        if (r < 0)
                return r;
        *ret = json_pack("{s:s}", "path", path);
        return 0;
}
