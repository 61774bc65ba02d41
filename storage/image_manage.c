/* SPDX-License-Identifier: Apache-2.0 */
/* What people do with images besides running them: names, looking, cleaning up. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "storage/image.h"
#include "storage/oci.h"
#include "storage/reference.h"
#include "storage/store.h"

#define PRUNE_PARTIAL_S 3600 /* a pull that ended longer ago will not be gone on with */

/* The index entry behind an image that image_find() found. */
static const json_t *entry_of(const json_t *index, const struct image *image)
{
        const json_t *entries = json_object_get(index, "manifests");
        const json_t *entry = store_index_find(index, image->ref);

        for (size_t i = 0; !entry && i < json_array_size(entries); i++)
                if (streq(json_str(json_array_get(entries, i), "digest", ""), image->digest))
                        entry = json_array_get(entries, i);
        return entry;
}

int image_tag(struct image_store *store, const char *source, const char *target, struct err *err)
{
        AUTO(image) struct image *image = NULL;
        AUTO(reference) struct reference *reference = NULL;
        AUTO_JSON json_t *index = NULL;
        AUTO_JSON json_t *images = NULL;
        AUTO_CLOSE int lock = -1;
        struct oci_descriptor descriptor;
        int r = reference_parse(target, &reference, err);

        if (r == 0 && reference->digest)
                r = err_set(err, EINVAL, "%s: a name with a digest cannot be given away", target);
        if (r == 0)
                r = store_lock(store, &lock, err);
        if (r == 0)
                r = image_find(store, source, &image, err);
        if (r == 0)
                r = store_index_read(store, &index, err);
        if (r == 0)
                r = oci_descriptor_parse(entry_of(index, image), source, &descriptor, err);
        if (r < 0)
                return r;
        images = json_pack("[{s:s, s:o}]", "ref", reference->text, "descriptor",
                           oci_descriptor_json(&descriptor));
        return store_publish_refs(store, images, err);
}

json_t *image_reference(struct image_store *store, const char *ref)
{
        AUTO_JSON json_t *index = NULL;
        struct err ignored;

        if (store_index_read(store, &index, &ignored) < 0)
                return NULL;
        return json_deep_copy(store_index_find(index, ref));
}

int image_withdraw(struct image_store *store, const char *ref, const char *digest,
                   const json_t *before, struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        AUTO_CLOSE int lock = -1;
        json_t *entry, *entries;
        int r = store_lock(store, &lock, err);

        if (r == 0)
                r = store_index_read(store, &index, err);
        if (r < 0)
                return r;
        entry = store_index_find(index, ref);
        if (!entry || !streq(json_str(entry, "digest", ""), digest))
                return 0;
        entries = json_object_get(index, "manifests");
        for (size_t i = json_array_size(entries); i > 0; i--)
                if (json_array_get(entries, i - 1) == entry)
                        (void)json_array_remove(entries, i - 1); /* the index is in range */
        if (before)
                (void)json_array_append_new(entries, json_deep_copy(before)); /* OOM only */
        return store_index_write(store, index, err);
}

/* ---------------------------------------------------------------------------------------- prune */

static bool listed(const char *const *list, size_t len, const char *text)
{
        for (size_t i = 0; i < len; i++)
                if (streq(list[i], text))
                        return true;
        return false;
}

static void drop_names(json_t *index, const json_t *users, const char *const *in_use, size_t len,
                       json_t *names)
{
        json_t *entries = json_object_get(index, "manifests");

        for (size_t i = json_array_size(entries); i > 0; i--) {
                const json_t *entry = json_array_get(entries, i - 1);
                const char *ref = store_entry_ref(entry);

                if (listed(in_use, len, json_str(entry, "digest", "")) ||
                    json_object_get(users, json_str(entry, "digest", "")))
                        continue;
                if (ref)
                        (void)json_array_append_new(names, json_string(ref)); /* OOM only */
                (void)json_array_remove(entries, i - 1); /* the index is in range */
        }
}

int image_prune(struct image_store *store, bool references_too, const char *const *in_use,
                size_t in_use_len, int64_t *ret_bytes, json_t **ret_names, struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        AUTO_JSON json_t *names = json_array();
        AUTO_JSON json_t *users = NULL;
        AUTO_CLOSE int lock = -1;
        int64_t before, after;
        int r = store_lock(store, &lock, err);

        if (r == 0)
                r = store_index_read(store, &index, err);
        if (r < 0)
                return r;
        before = store_bytes(store);
        if (references_too) {
                users = store_users(store);
                drop_names(index, users, in_use, in_use_len, names);
                r = store_index_write(store, index, err);
        }
        if (r == 0)
                r = store_collect(store, index, in_use, in_use_len, err);
        if (r < 0)
                return r;
        after = store_bytes(store);
        *ret_bytes = before - after + store_partial_sweep(store, PRUNE_PARTIAL_S);
        if (ret_names)
                *ret_names = STEAL(names);
        return 0;
}

/* -------------------------------------------------------------------------------------- inspect */

static int read_json(const struct image_store *store, const char *digest, json_t **ret,
                     struct err *err)
{
        AUTO_FREE char *text = NULL;
        size_t len;
        int r = store_read_blob(store, digest, &text, &len, err);

        return r < 0 ? r : oci_parse(text, len, digest, ret, err);
}

int image_inspect(struct image_store *store, const char *ref, json_t **ret, struct err *err)
{
        AUTO(image) struct image *image = NULL;
        AUTO_JSON json_t *index = NULL;
        json_t *manifest = NULL, *config = NULL, *out;
        const json_t *entry;
        int r = image_find(store, ref, &image, err);

        if (r == 0)
                r = store_index_read(store, &index, err);
        if (r == 0)
                r = read_json(store, image->digest, &manifest, err);
        if (r == 0)
                r = read_json(store, image->config_digest, &config, err);
        if (r < 0) {
                json_decref(manifest);
                return r;
        }
        entry = entry_of(index, image);
        out = json_object();
        json_set_str(out, "ref", image->ref);
        json_set_str(out, "digest", image->digest);
        json_set_str(out, "config_digest", image->config_digest);
        json_set_str(out, "source",
                     json_str(json_object_get(entry, "annotations"), OCI_NOTE_SOURCE, NULL));
        json_set_int(out, "size_bytes", image->size_bytes);
        json_set_str(out, "architecture", image->architecture);
        json_set_str(out, "os", image->os);
        json_set_str(out, "created", image->created);
        json_set_str(out, "rootfs", image->rootfs_path);
        (void)json_object_set_new(out, "manifest", manifest); /* these fail only without memory */
        (void)json_object_set_new(out, "config", config);
        *ret = out;
        return 0;
}

/* ----------------------------------------------------------------------------- requests of jobs */

/* Repositories of the same registry that have a layer in common with the manifest. */
static json_t *find_mounts(const json_t *index, const struct reference *target)
{
        const json_t *entries = json_object_get(index, "manifests");
        json_t *mounts = json_array();

        for (size_t i = 0; i < json_array_size(entries); i++) {
                AUTO(reference) struct reference *other = NULL;
                const char *ref = store_entry_ref(json_array_get(entries, i));
                struct err ignored;

                assert(target);
                if (ref && reference_parse(ref, &other, &ignored) == 0 &&
                    streq(other->host, target->host) && !streq(other->path, target->path))
                        (void)json_array_append_new(mounts, json_string(other->path)); /* OOM */
        }
        return mounts;
}

int store_push_request(const struct image_store *store, const char *ref, json_t **ret,
                       struct err *err)
{
        AUTO(reference) struct reference *target = NULL;
        AUTO_JSON json_t *index = NULL;
        const json_t *entry;
        int r = store_index_read(store, &index, err);

        if (r == 0)
                r = reference_parse(ref, &target, err);
        if (r < 0)
                return r;
        entry = store_index_find(index, ref);
        if (!entry)
                return err_set(err, ENOENT,
                               "no image is called %s; give one that name with 'berth "
                               "image tag IMAGE %s'",
                               ref, ref);
        *ret = json_pack("{s:s, s:s, s:o}", "digest", json_str(entry, "digest", ""), "media_type",
                         json_str(entry, "mediaType", ""), "mounts", find_mounts(index, target));
        return 0;
}

int store_save_request(struct image_store *store, const json_t *refs, json_t **ret, struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        AUTO_JSON json_t *images = json_array();
        int r = store_index_read(store, &index, err);

        for (size_t i = 0; r == 0 && i < json_array_size(refs); i++) {
                const char *ref = json_string_value(json_array_get(refs, i));
                AUTO(image) struct image *image = NULL;

                r = image_find(store, ref ? ref : "", &image, err);
                if (r == 0)
                        (void)json_array_append_new(
                                images, json_pack("{s:s, s:s, s:s}", "ref", image->ref, "digest",
                                                  image->digest, "media_type",
                                                  json_str(entry_of(index, image), "mediaType",
                                                           OCI_TYPE_MANIFEST))); /* OOM only */
        }
        if (r == 0 && json_array_size(images) == 0)
                r = err_set(err, EINVAL, "no image is named");
        if (r == 0)
                *ret = json_pack("{s:O}", "images", images);
        return r;
}
