/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/pull.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "storage/blob.h"

#define TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define TYPE_DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define TYPE_SCHEMA1         "application/vnd.docker.distribution.manifest.v1"

static const char *const accept_headers[] = {"Accept: " OCI_TYPE_INDEX ", " OCI_TYPE_MANIFEST
                                             ", " TYPE_DOCKER_LIST ", " TYPE_DOCKER_MANIFEST,
                                             NULL};

/* ----------------------------------------------------------------------------------------
 * documents */

static const char *known_type(const char *type)
{
        static const char *const types[] = {OCI_TYPE_INDEX, OCI_TYPE_MANIFEST, TYPE_DOCKER_LIST,
                                            TYPE_DOCKER_MANIFEST};

        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (streq(type, types[i]))
                        return types[i];
        return NULL;
}

static int check_type(const json_t *json, const char *type, const char *what, const char **ret,
                      struct err *err)
{
        const char *own = json_str(json, "mediaType", NULL);

        if (type && own && !streq(type, own))
                return err_set(err, EPROTO, "%s: sent as %.80s, but calls itself %.80s", what, type,
                               own);
        *ret = known_type(type ? type : own ? own : "");
        if (!*ret)
                return err_set(err, EPROTO, "%s: '%.80s' is neither an image nor an index", what,
                               type  ? type
                               : own ? own
                                     : "(no type)");
        if (json_object_get(json, "manifests") &&
            (json_object_get(json, "layers") || json_object_get(json, "config")))
                return err_set(err, EPROTO, "%s: both a manifest and an index", what);
        if (oci_is_index(*ret) != (json_object_get(json, "manifests") != NULL))
                return err_set(err, EPROTO, "%s: is not what its type %s says", what, *ret);
        return 0;
}

int pull_check_document(const char *text, size_t len, const char *type, const char *what,
                        json_t **ret, const char **ret_type, struct err *err)
{
        AUTO_JSON json_t *json = NULL;
        int64_t version;
        int r;

        if (type && !known_type(type) && !has_prefix(type, TYPE_SCHEMA1))
                return err_set(err, EPROTO,
                               "%s: unexpected content type %.80s; is it a registry, or a proxy "
                               "that answers in its place?",
                               what, type);
        r = oci_parse(text, len, what, &json, err);
        if (r < 0)
                return r;
        if ((type && has_prefix(type, TYPE_SCHEMA1)) || json_int(json, "schemaVersion", 0) == 1)
                return err_set(err, EPROTO,
                               "%s: manifests of schema 1 are not supported; push the "
                               "image again with a tool of this decade",
                               what);
        r = json_need_int(json, "schemaVersion", 2, 2, what, &version, err);
        if (r == 0)
                r = check_type(json, type, what, ret_type, err);
        if (r < 0)
                return r;
        *ret = STEAL(json);
        return 0;
}

/* ----------------------------------------------------------------------------------- one source */

/* A pull from one endpoint. */
struct fetch {
        const struct pull *pull;
        struct registry *registry;
        json_t *kept; /* digests of blobs that the image needs, as keys */
        struct oci_descriptor manifest;
        char source[DIGEST_TEXT_MAX];
        int64_t received;
};

/* Keep a document in the partial folder, under the digest it was checked against. */
static int keep_document(struct fetch *f, const char *text, size_t len, const char *digest,
                         struct err *err)
{
        struct oci_descriptor made = {.size = (int64_t)len};
        int r;

        memcpy(made.digest, digest, DIGEST_TEXT_MAX);
        (void)json_object_set_new(f->kept, digest, json_true()); /* fails only without memory */
        if (blob_present(f->pull->blobs, &made))
                return 0;
        r = blob_write(f->pull->partial, text, len, &made, err);
        return r;
}

/*
 * A manifest or index by tag or digest. expected: its descriptor, when an index named it. *ret_len
 * bytes at *ret, whose digest is *ret_digest.
 */
static int get_document(struct fetch *f, const char *ref, const struct oci_descriptor *expected,
                        json_t **ret, struct oci_descriptor *ret_got, char **ret_text,
                        struct err *err)
{
        AUTO_FREE char *tail = xasprintf("manifests/%s", ref);
        const struct registry_request request = {
                .method = "GET", .tail = tail, .headers = accept_headers};
        AUTO_FREE char *what =
                xasprintf("%s%s%s", f->registry->repository, digest_valid(ref) ? "@" : ":", ref);
        struct registry_answer answer = {0};
        const char *type = NULL;
        int r = registry_call(f->registry, &request, &answer, err);

        if (r < 0)
                return r;
        if (answer.status != 200)
                r = registry_refused(f->registry, answer.status, answer.body, answer.len, what,
                                     err);
        if (r == 0)
                r = pull_check_document(answer.body, answer.len, answer.type, what, ret, &type,
                                        err);
        digest_text(answer.body, answer.len, ret_got->digest);
        ret_got->size = (int64_t)answer.len;
        if (r == 0 && digest_valid(ref) && !streq(ret_got->digest, ref))
                r = err_set(err, EBADMSG, "%s: what came has the digest %s", what, ret_got->digest);
        if (r == 0 && answer.digest && has_prefix(answer.digest, "sha256:") &&
            !streq(answer.digest, ret_got->digest))
                r = err_set(err, EBADMSG, "%s: announced as %.80s, but has the digest %s", what,
                            answer.digest, ret_got->digest);
        if (r == 0 && expected && ret_got->size != expected->size)
                r = err_set(err, EBADMSG, "%s: %lld bytes, its index says %lld", what,
                            (long long)ret_got->size, (long long)expected->size);
        if (r == 0) {
                (void)snprintf(ret_got->media_type, sizeof(ret_got->media_type), "%s", type);
                *ret_text = STEAL(answer.body);
        } else {
                json_decref(*ret);
                *ret = NULL;
        }
        registry_answer_release(&answer);
        return r;
}

/* From what the name is to the manifest for this machine. */
static int find_manifest(struct fetch *f, const char *ref, char **ret_text, struct err *err)
{
        struct oci_descriptor expected = {0}, *known = NULL;
        AUTO_FREE char *at = xstrdup(ref);

        for (unsigned depth = 0; depth <= OCI_NESTING_MAX; depth++) {
                AUTO_JSON json_t *json = NULL;
                AUTO_FREE char *text = NULL;
                const json_t *entry;
                int r = get_document(f, at, known, &json, &f->manifest, &text, err);

                if (r == 0 && depth == 0)
                        memcpy(f->source, f->manifest.digest, DIGEST_TEXT_MAX);
                if (r == 0 && oci_is_manifest(f->manifest.media_type)) {
                        *ret_text = STEAL(text);
                        return 0;
                }
                if (r == 0)
                        r = oci_index_choose(json, &f->pull->platform, f->pull->reference->text,
                                             &entry, err);
                if (r == 0)
                        r = oci_descriptor_parse(entry, f->pull->reference->text, &expected, err);
                if (r < 0)
                        return r;
                known = &expected;
                free(at);
                at = xstrdup(expected.digest);
        }
        return err_set(err, E2BIG, "%s: indexes nested deeper than %d", f->pull->reference->text,
                       OCI_NESTING_MAX);
}

static bool layer_type_known(const char *type)
{
        static const char *const types[] = {
                "",
                OCI_TYPE_LAYER,
                OCI_TYPE_LAYER "+gzip",
                OCI_TYPE_LAYER "+zstd",
                "application/vnd.docker.image.rootfs.diff.tar",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "application/vnd.docker.image.rootfs.diff.tar.zstd",
                /* "not to be distributed", but some registries do have them */
                "application/vnd.docker.image.rootfs.foreign.diff.tar",
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "application/vnd.oci.image.layer.nondistributable.v1.tar",
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (streq(type, types[i]))
                        return true;
        return false;
}

static int check_layers(struct fetch *f, const struct oci_manifest *manifest, struct err *err)
{
        int r = image_limits_layers(f->pull->limits, manifest->layers_len, f->pull->reference->text,
                                    err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < manifest->layers_len; i++) {
                if (!layer_type_known(manifest->layers[i].media_type))
                        return err_set(err, EINVAL,
                                       "%s: layer %zu is a '%.100s': this is not an image that "
                                       "can run",
                                       f->pull->reference->text, i + 1,
                                       manifest->layers[i].media_type);
                (void)json_object_set_new(f->kept, manifest->layers[i].digest,
                                          json_true()); /* fails only without memory */
        }
        return 0;
}

static int check_platform(const struct fetch *f, const struct image *image, struct err *err)
{
        const struct platform *wanted = &f->pull->platform;
        const char *os = image->os ? image->os : wanted->os;
        AUTO_FREE char *text = NULL;

        if (!image->architecture ||
            (streq(os, wanted->os) && streq(image->architecture, wanted->architecture)))
                return 0;
        text = platform_text(wanted);
        return err_set(err, EINVAL,
                       "%s is for %.30s/%.30s, wanted is %s; 'berth image pull --platform' gets an "
                       "image of another machine",
                       f->pull->reference->text, os, image->architecture, text);
}

/* The config comes like a layer, with the digest checked; then it must fit the manifest. */
static int check_config(const struct fetch *f, const struct oci_manifest *manifest, struct err *err)
{
        const char *what = f->pull->reference->text, *digest = manifest->config.digest;
        AUTO_FREE char *text = NULL, (*diff_ids)[DIGEST_TEXT_MAX] = NULL;
        AUTO(image) struct image *image = xnew(struct image);
        AUTO_JSON json_t *config = NULL;
        struct err there = ERR_INIT;
        size_t len;
        int r = blob_read(f->pull->partial, digest, &text, &len, &there);

        if (r < 0)
                r = blob_read(f->pull->blobs, digest, &text, &len, err);
        if (r == 0)
                r = oci_parse(text, len, "image config", &config, err);
        if (r == 0)
                r = oci_config_diff_ids(config, what, manifest->layers_len, &diff_ids, err);
        if (r == 0)
                r = oci_config_fill(config, image, err);
        return r < 0 ? r : check_platform(f, image, err);
}

struct telling {
        struct job_progress *progress;
        struct oci_descriptor *layers; /* reported; the config is not */
        size_t layers_len;
        int64_t *done; /* of each layer */
        int64_t total;
};

static void on_transfer_progress(void *ctx, const struct oci_descriptor *blob,
                                 enum transfer_state state, int64_t done)
{
        static const char *const names[] = {
                [TRANSFER_QUEUED] = "queued",    [TRANSFER_LOCKED] = "shared",
                [TRANSFER_RUNNING] = "download", [TRANSFER_WAITING] = "waiting",
                [TRANSFER_DONE] = "done",        [TRANSFER_PRESENT] = "present"};
        struct telling *telling = ctx;
        int64_t sum = 0;

        for (size_t i = 0; i < telling->layers_len; i++) {
                if (streq(telling->layers[i].digest, blob->digest))
                        telling->done[i] = done;
                sum += telling->done[i];
        }
        job_progress_layer(telling->progress, blob->digest, names[state], done, blob->size);
        job_progress_report(telling->progress, "pull", sum, telling->total);
}

static int fetch_blobs(struct fetch *f, const struct oci_manifest *manifest, struct err *err)
{
        struct telling telling = {.progress = f->pull->progress,
                                  .layers = manifest->layers,
                                  .layers_len = manifest->layers_len};
        struct transfers transfers = {.registry = f->registry,
                                      .blobs = f->pull->blobs,
                                      .partial = f->pull->partial,
                                      .on_progress = NULL,
                                      .ctx = &telling};
        int r;

        if (manifest->config.size > OCI_DOCUMENT_MAX)
                return err_set(err, E2BIG, "%s: its config has %lld bytes; the limit is %u",
                               f->pull->reference->text, (long long)manifest->config.size,
                               OCI_DOCUMENT_MAX);
        (void)json_object_set_new(f->kept, manifest->config.digest, json_true()); /* OOM only */
        r = transfer_all(&transfers, &manifest->config, 1, err);
        if (r == 0)
                r = check_config(f, manifest, err);
        if (r < 0)
                return r;
        job_progress_image(f->pull->progress, f->manifest.digest);
        telling.done = xcalloc(manifest->layers_len + 1, sizeof(*telling.done));
        for (size_t i = 0; i < manifest->layers_len; i++)
                telling.total += manifest->layers[i].size;
        transfers.on_progress = on_transfer_progress;
        r = transfer_all(&transfers, manifest->layers, manifest->layers_len, err);
        free(telling.done);
        f->received = transfers.received;
        return r;
}

/* Whether the name still means what it meant: one HEAD, which registries do not count. */
static bool is_unchanged(struct fetch *f, const char *ref)
{
        AUTO_FREE char *tail = xasprintf("manifests/%s", ref);
        const struct registry_request request = {
                .method = "HEAD", .tail = tail, .headers = accept_headers};
        struct registry_answer answer;
        struct err ignored;
        bool same;

        if (!f->pull->known_source || registry_call(f->registry, &request, &answer, &ignored) < 0)
                return false;
        same = answer.status == 200 && streq(answer.digest, f->pull->known_source);
        registry_answer_release(&answer);
        return same;
}

static int fetch_image(struct fetch *f, struct err *err)
{
        const struct reference *reference = f->pull->reference;
        const char *ref = reference->digest ? reference->digest : reference->tag;
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO_FREE char *text = NULL;
        int r = find_manifest(f, ref, &text, err);

        if (r == 0)
                r = oci_manifest_parse(text, (size_t)f->manifest.size, reference->text, &manifest,
                                       err);
        if (r == 0)
                r = check_layers(f, manifest, err);
        if (r == 0)
                r = keep_document(f, text, (size_t)f->manifest.size, f->manifest.digest, err);
        if (r == 0)
                r = fetch_blobs(f, manifest, err);
        return r;
}

static json_t *result_of(const struct fetch *f)
{
        json_t *blobs = json_array(), *value;
        const char *digest;

        json_object_foreach(f->kept, digest, value)
                (void)json_array_append_new(blobs, json_string(digest)); /* OOM only */
        return json_pack("{s:o, s:[{s:s, s:o, s:s, s:s*}], s:I}", "blobs", blobs, "images", "ref",
                         f->pull->reference->text, "descriptor", oci_descriptor_json(&f->manifest),
                         "source", f->source, "platform", f->pull->platform_said, "received",
                         (json_int_t)f->received);
}

static int pull_from(const struct pull *pull, size_t i, json_t **ret, struct err *err)
{
        const struct reference *reference = pull->reference;
        struct fetch f = {.pull = pull, .kept = json_object()};
        int r = 0;

        f.registry = registry_new(pull->context, &pull->endpoints[i], &pull->credentials[i],
                                  reference->path, "pull");
        if (pull->endpoints[i].mirror)
                f.registry->ns = reference->host;
        if (is_unchanged(&f, reference->digest ? reference->digest : reference->tag)) {
                *ret = json_pack("{s:[], s:[], s:b}", "blobs", "images", "unchanged", 1);
        } else {
                r = fetch_image(&f, err);
                if (r == 0)
                        *ret = result_of(&f);
        }
        json_decref(f.kept);
        registry_free(f.registry);
        return r;
}

int pull_image(const struct pull *pull, json_t **ret, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < pull->endpoints_len; i++) {
                r = pull_from(pull, i, ret, err);
                if (r == 0 || i + 1 == pull->endpoints_len)
                        break;
                if (pull->context->on_notice)
                        pull->context->on_notice(pull->context->ctx, err->msg);
        }
        return r;
}
