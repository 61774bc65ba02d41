/* SPDX-License-Identifier: Apache-2.0 */
/* What index.json (OCI layout) and manifest.json (docker save) say about the members. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/blob.h"
#include "storage/load_internal.h"

static int no_name(const struct load *load, struct err *err)
{
        (void)load;
        return err_set(err, EINVAL,
                       "the archive does not name its image; give a name with the command");
}

/* A tag alone says nothing about the image; "latest" is what tools write when nobody named it. */
static const char *entry_name(const json_t *entry)
{
        const json_t *notes = json_object_get(entry, "annotations");
        const char *name = json_str(notes, OCI_NOTE_NAME, NULL);

        if (!name)
                name = json_str(notes, OCI_NOTE_REF, NULL);
        return name && !streq(name, "latest") && *name ? name : NULL;
}

/* Follow an index down to the manifest for this machine. */
static int to_manifest(struct load *load, const json_t *entry, struct oci_descriptor *ret,
                       struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        struct platform here;
        int r = oci_descriptor_parse(entry, "index.json", ret, err);

        if (r == 0)
                r = platform_parse(NULL, &here, err);

        for (int depth = 0; r == 0 && oci_is_index(ret->media_type); depth++) {
                AUTO_FREE char *text = NULL;
                const json_t *child;
                json_t *next = NULL;
                size_t len;

                if (depth == OCI_NESTING_MAX)
                        return err_set(err, E2BIG, "%s: more than %d indexes in each other",
                                       ret->digest, OCI_NESTING_MAX);
                r = blob_read(load->staging, ret->digest, &text, &len, err);
                if (r == 0)
                        r = oci_parse(text, len, ret->digest, &next, err);
                if (r < 0)
                        return r;
                json_decref(index);
                index = next;
                r = oci_index_choose(index, &here, ret->digest, &child, err);
                if (r == 0)
                        r = oci_descriptor_parse(child, "index", ret, err);
        }
        return r;
}

static bool is_image(const json_t *entry)
{
        const char *type = json_str(entry, "mediaType", OCI_TYPE_MANIFEST);
        const char *os = json_str(json_object_get(entry, "platform"), "os", "");

        return (oci_is_index(type) || oci_is_manifest(type)) && !streq(os, "unknown");
}

static int load_entry(struct load *load, const json_t *entry, const char *name, struct err *err)
{
        struct oci_descriptor descriptor;
        int r = to_manifest(load, entry, &descriptor, err);

        if (r == 0 && !*descriptor.media_type)
                (void)snprintf(descriptor.media_type, sizeof(descriptor.media_type), "%s",
                               OCI_TYPE_MANIFEST); /* fits */
        if (r == 0)
                r = load_keep_manifest(load, &descriptor, err);
        if (r == 0)
                r = name ? load_name(load, name, &descriptor, err) : no_name(load, err);
        return r;
}

static int check_layout(struct load *load, struct err *err)
{
        AUTO_JSON json_t *layout = NULL;
        int r = load_document(load, "oci-layout", &layout, err);

        if (r < 0)
                return r;
        if (!has_prefix(json_str(layout, "imageLayoutVersion", ""), "1."))
                return err_set(err, EINVAL, "oci-layout: not of version 1");
        return 0;
}

int load_oci(struct load *load, struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        const json_t *entries;
        size_t images = 0;
        int r = check_layout(load, err);

        if (r == 0)
                r = load_document(load, "index.json", &index, err);
        if (r < 0)
                return r;
        entries = json_object_get(index, "manifests");
        if (!json_is_array(entries) || json_array_size(entries) > OCI_ENTRIES_MAX)
                return err_set(err, EINVAL, "index.json: not an image index");
        for (size_t i = 0; i < json_array_size(entries); i++)
                images += is_image(json_array_get(entries, i));
        if (images == 0)
                return err_set(err, EINVAL, "index.json: no image in it");
        if (load->ref && images > 1)
                return err_set(err, EINVAL, "%zu images in the archive, so one name cannot do",
                               images);
        for (size_t i = 0; r == 0 && i < json_array_size(entries); i++) {
                const json_t *entry = json_array_get(entries, i);

                if (is_image(entry))
                        r = load_entry(load, entry, load->ref ? load->ref : entry_name(entry), err);
        }
        return r;
}

static int member_descriptor(const struct load *load, const char *name, const char *type,
                             struct oci_descriptor *ret, struct err *err)
{
        const struct load_member *member = name ? load_find(load, name) : NULL;

        if (!name)
                return err_set(err, EINVAL, "manifest.json: a name is missing or not a string");
        if (!member)
                return err_set(err, ENOENT, "manifest.json: %.200s is missing in the archive",
                               name);
        *ret = member->blob;
        if (type)
                (void)snprintf(ret->media_type, sizeof(ret->media_type), "%s", type); /* fits */
        return 0;
}

/* Docker's own format has no manifest: it is made here, the same for the same image each time. */
static int make_manifest(struct load *load, const json_t *image, struct oci_descriptor *ret,
                         struct err *err)
{
        const json_t *layers = json_object_get(image, "Layers");
        AUTO_JSON json_t *manifest = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
                                               OCI_TYPE_MANIFEST, "layers");
        AUTO_FREE char *text = NULL;
        struct oci_descriptor part;
        int r;

        if (!json_is_array(layers) || json_array_size(layers) > OCI_LAYERS_MAX)
                return err_set(err, EINVAL, "manifest.json: Layers is not a list of at most %d",
                               OCI_LAYERS_MAX);
        r = member_descriptor(load, json_str(image, "Config", NULL), OCI_TYPE_CONFIG, &part, err);
        if (r < 0)
                return r;
        (void)json_object_set_new(manifest, "config", oci_descriptor_json(&part)); /* OOM only */
        for (size_t i = 0; i < json_array_size(layers); i++) {
                r = member_descriptor(load, json_string_value(json_array_get(layers, i)), NULL,
                                      &part, err);
                if (r < 0)
                        return r;
                (void)json_array_append_new(json_object_get(manifest, "layers"),
                                            oci_descriptor_json(&part)); /* OOM only */
        }
        text = json_text(manifest);
        (void)snprintf(ret->media_type, sizeof(ret->media_type), "%s", OCI_TYPE_MANIFEST);
        return blob_write(load->staging, text, strlen(text), ret, err);
}

static int name_docker(struct load *load, const json_t *tags, size_t images,
                       const struct oci_descriptor *descriptor, struct err *err)
{
        int r = 0;

        if (load->ref && images == 1)
                return load_name(load, load->ref, descriptor, err);
        if (load->ref)
                return err_set(err, EINVAL, "%zu images in the archive, so one name cannot do",
                               images);
        if (!json_is_array(tags) || json_array_size(tags) == 0)
                return no_name(load, err);
        for (size_t i = 0; r == 0 && i < json_array_size(tags); i++) {
                const char *tag = json_string_value(json_array_get(tags, i));

                r = load_name(load, tag ? tag : "", descriptor, err);
        }
        return r;
}

int load_docker(struct load *load, struct err *err)
{
        AUTO_JSON json_t *document = NULL;
        int r = load_document(load, "manifest.json", &document, err);
        size_t images = json_array_size(document);

        if (r < 0)
                return r;
        if (!json_is_array(document) || images == 0 || images > LOAD_IMAGES_MAX)
                return err_set(err, EINVAL, "manifest.json: not a list of images");
        for (size_t i = 0; r == 0 && i < images; i++) {
                const json_t *image = json_array_get(document, i);
                struct oci_descriptor descriptor;

                r = make_manifest(load, image, &descriptor, err);
                if (r == 0)
                        r = load_keep_manifest(load, &descriptor, err);
                if (r == 0)
                        r = name_docker(load, json_object_get(image, "RepoTags"), images,
                                        &descriptor, err);
        }
        return r;
}
