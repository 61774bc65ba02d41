/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/oci.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"

void oci_manifest_free(struct oci_manifest *manifest)
{
        if (!manifest)
                return;
        free(manifest->layers);
        free(manifest);
}

/* At least as many as there are values: each but the first stands behind one of these. */
static size_t count_values(const char *text, size_t len)
{
        bool in_string = false;
        size_t count = 0;

        for (size_t i = 0; i < len; i++) {
                if (text[i] == '"')
                        in_string = !in_string;
                else if (in_string && text[i] == '\\')
                        i++;
                else if (!in_string && strchr("[{,:", text[i]))
                        count++;
        }
        return count;
}

int oci_parse(const char *text, size_t len, const char *what, json_t **ret, struct err *err)
{
        if (count_values(text, len) > OCI_VALUES_MAX)
                return err_set(err, E2BIG, "%s: more than %d values in it", what, OCI_VALUES_MAX);
        return json_parse(text, len, OCI_DOCUMENT_MAX, what, ret, err);
}

int oci_descriptor_parse(const json_t *json, const char *what, struct oci_descriptor *ret,
                         struct err *err)
{
        const char *digest = NULL, *type = json_str(json, "mediaType", "");
        int r;

        r = json_need_str(json, "digest", what, &digest, err);
        if (r < 0)
                return r;
        if (!digest_valid(digest))
                return err_set(err, EINVAL,
                               "%s: '%.90s' is not a sha256 digest; others are not supported", what,
                               digest);
        r = json_need_int(json, "size", 0, INT64_C(1) << 50, what, &ret->size, err);
        if (r < 0)
                return r;
        memcpy(ret->digest, digest, DIGEST_TEXT_MAX);
        (void)snprintf(ret->media_type, sizeof(ret->media_type), "%s", type); /* may be cut */
        return 0;
}

json_t *oci_descriptor_json(const struct oci_descriptor *descriptor)
{
        json_t *json = json_object();

        json_set_str(json, "mediaType", descriptor->media_type);
        json_set_str(json, "digest", descriptor->digest);
        json_set_int(json, "size", descriptor->size);
        return json;
}

bool oci_is_index(const char *media_type)
{
        return streq(media_type, OCI_TYPE_INDEX) ||
               streq(media_type, "application/vnd.docker.distribution.manifest.list.v2+json");
}

bool oci_is_manifest(const char *media_type)
{
        return streq(media_type, OCI_TYPE_MANIFEST) ||
               streq(media_type, "application/vnd.docker.distribution.manifest.v2+json");
}

static int check_config_type(const struct oci_descriptor *config, const char *what, struct err *err)
{
        if (streq(config->media_type, OCI_TYPE_CONFIG) || !*config->media_type ||
            streq(config->media_type, "application/vnd.docker.container.image.v1+json"))
                return 0;
        return err_set(err, EINVAL, "%s: holds a '%.100s', which is not an image that can run",
                       what, config->media_type);
}

int oci_manifest_parse(const char *text, size_t len, const char *what, struct oci_manifest **ret,
                       struct err *err)
{
        AUTO(oci_manifest) struct oci_manifest *manifest = xnew(struct oci_manifest);
        AUTO_JSON json_t *json = NULL;
        const json_t *layers;
        int64_t version;
        int r;

        r = oci_parse(text, len, what, &json, err);
        if (r == 0)
                r = json_need_int(json, "schemaVersion", 2, 2, what, &version, err);
        if (r < 0)
                return r;
        if (json_object_get(json, "manifests"))
                return err_set(err, EINVAL, "%s: both a manifest and an index", what);
        layers = json_object_get(json, "layers");
        if (!json_is_object(json_object_get(json, "config")) || !json_is_array(layers))
                return err_set(err, EINVAL, "%s: not an image manifest", what);
        if (json_array_size(layers) > OCI_LAYERS_MAX)
                return err_set(err, E2BIG, "%s: %zu layers; the limit is %d", what,
                               json_array_size(layers), OCI_LAYERS_MAX);
        r = oci_descriptor_parse(json_object_get(json, "config"), what, &manifest->config, err);
        if (r == 0)
                r = check_config_type(&manifest->config, what, err);
        for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
                struct oci_descriptor *layer = array_push(&manifest->layers, &manifest->layers_len);

                r = oci_descriptor_parse(json_array_get(layers, i), what, layer, err);
        }
        if (r < 0)
                return r;
        *ret = STEAL(manifest);
        return 0;
}

const char *oci_architecture(void)
{
#if defined(__x86_64__)
        return "amd64";
#elif defined(__aarch64__)
        return "arm64";
#else
        return "unknown";
#endif
}

/* An entry's platform as text, for people. */
static void offer(struct strbuf *offered, const json_t *platform)
{
        const char *variant = json_str(platform, "variant", "");

        strbuf_addf(offered, " %.20s/%.20s%s%.10s", json_str(platform, "os", ""),
                    json_str(platform, "architecture", ""), *variant ? "/" : "", variant);
}

int oci_index_choose(const json_t *index, const struct platform *wanted, const char *what,
                     const json_t **ret, struct err *err)
{
        AUTO_STRBUF struct strbuf offered = STRBUF_INIT(200);
        const json_t *entries = json_object_get(index, "manifests"), *any = NULL, *best = NULL;
        int best_fit = 0;

        if (!json_is_array(entries) || json_object_get(index, "layers"))
                return err_set(err, EINVAL, "%s: not an image index", what);
        if (json_array_size(entries) > OCI_ENTRIES_MAX)
                return err_set(err, E2BIG, "%s: more than %d entries", what, OCI_ENTRIES_MAX);
        for (size_t i = 0; i < json_array_size(entries); i++) {
                const json_t *entry = json_array_get(entries, i);
                const json_t *platform = json_object_get(entry, "platform");
                const char *type = json_str(entry, "mediaType", "");
                const char *os = json_str(platform, "os", "");
                int fit = platform_fits(wanted, os, json_str(platform, "architecture", ""),
                                        json_str(platform, "variant", ""));

                if (!oci_is_manifest(type) && !oci_is_index(type))
                        continue;
                if (!platform && !any)
                        any = entry;
                if (platform && !streq(os, "unknown"))
                        offer(&offered, platform);
                if (fit > best_fit) {
                        best_fit = fit;
                        best = entry;
                }
        }
        *ret = best ? best : any;
        if (!*ret) {
                AUTO_FREE char *text = platform_text(wanted);

                return err_set(err, ENOENT, "%s: nothing for %s in it; it offers:%s", what, text,
                               offered.len ? strbuf_str(&offered) : " nothing");
        }
        return 0;
}

int oci_config_diff_ids(const json_t *config, const char *what, size_t layers,
                        char (**ret)[DIGEST_TEXT_MAX], struct err *err)
{
        const json_t *rootfs = json_object_get(config, "rootfs");
        const json_t *ids = json_object_get(rootfs, "diff_ids");

        if (!streq(json_str(rootfs, "type", ""), "layers") || !json_is_array(ids))
                return err_set(err, EINVAL, "%s: its config has no rootfs of layers", what);
        if (json_array_size(ids) != layers)
                return err_set(err, EINVAL, "%s: %zu diff_ids for %zu layers", what,
                               json_array_size(ids), layers);
        for (size_t i = 0; i < layers; i++) {
                const char *id = json_string_value(json_array_get(ids, i));

                if (!id || !digest_valid(id))
                        return err_set(err, EINVAL,
                                       "%s: diff_ids[%zu] is not a sha256 digest; others are not "
                                       "supported",
                                       what, i);
        }
        *ret = xcalloc(layers ? layers : 1, DIGEST_TEXT_MAX);
        for (size_t i = 0; i < layers; i++)
                memcpy((*ret)[i], json_string_value(json_array_get(ids, i)), DIGEST_TEXT_MAX);
        return 0;
}
