/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One blob:   HEAD ─ 200 ─▶ there already
 *               │ 404
 *             POST ?mount=&from= ─ 201 ─▶ the registry took it from another repository
 *               │ 202 Location
 *             [PATCH part ─ 202 newer Location]* ─▶ PUT ?digest= ─ 201
 *
 * Each Location counts once and may carry a query. When a part is cut, the Location is asked how
 * far it came, or the blob begins again.
 */
#include "storage/push.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/http.h"
#include "base/mem.h"
#include "base/value.h"
#include "storage/blob.h"

#define BLOB_ATTEMPTS 3
#define MOUNTS_MAX    4 /* repositories that are asked for a blob */

struct sending {
        const struct push *push;
        struct registry *registry;
        const struct oci_descriptor *blob;
        int fd;
        int64_t sent; /* in former parts */
};

static void on_part_sent(void *ctx, int64_t sent)
{
        const struct sending *s = ctx;

        job_progress_layer(s->push->progress, s->blob->digest, "upload", s->sent + sent,
                           s->blob->size);
}

/* A request whose answer must have one of two statuses. */
static int expect(struct registry *registry, const struct registry_request *request,
                  const char *what, long good, long fine, struct registry_answer *ret,
                  struct err *err)
{
        int r = registry_call(registry, request, ret, err);

        if (r == 0 && ret->status != good && ret->status != fine) {
                r = registry_refused(registry, ret->status, ret->body, ret->len, what, err);
                registry_answer_release(ret);
        }
        return r;
}

static int blob_is_there(struct sending *s, bool *ret, struct err *err)
{
        AUTO_FREE char *tail = xasprintf("blobs/%s", s->blob->digest);
        const struct registry_request request = {.method = "HEAD", .tail = tail};
        struct registry_answer answer;
        int r = expect(s->registry, &request, s->blob->digest, 200, 404, &answer, err);

        if (r < 0)
                return r;
        *ret = answer.status == 200;
        registry_answer_release(&answer);
        return 0;
}

/* Begin an upload, or have the blob mounted. *ret_location NULL: mounted. */
static int open_upload(struct sending *s, const char *from, char **ret_location,
                       int64_t *ret_chunk_min, struct err *err)
{
        AUTO_FREE char *digest = http_escape(s->blob->digest);
        AUTO_FREE char *repository = from ? http_escape(from) : NULL;
        AUTO_FREE char *tail =
                from ? xasprintf("blobs/uploads/?mount=%s&from=%s", digest, repository)
                     : xstrdup("blobs/uploads/");
        const struct registry_request request = {.method = "POST", .tail = tail, .body = ""};
        struct registry_answer answer;
        int r = expect(s->registry, &request, "upload", 202, from ? 201 : 202, &answer, err);

        if (r < 0)
                return r;
        if (answer.status == 202 && !answer.location)
                r = err_set(err, EPROTO, "%s: it does not say where to upload to",
                            s->registry->endpoint->host);
        *ret_location = answer.status == 202 ? STEAL(answer.location) : NULL;
        *ret_chunk_min = answer.chunk_min;
        registry_answer_release(&answer);
        return r;
}

static int take_location(char **location, struct registry_answer *answer)
{
        if (answer->location) {
                free(*location);
                *location = STEAL(answer->location);
        }
        return 0;
}

/*
 * Where an upload stands: "Range: 0-N" of its Location. -1: it is gone, or nobody knows:
 * docker-registry says 0-0 of one that has nothing yet.
 */
static int64_t ask_offset(struct sending *s, char **location)
{
        const struct registry_request request = {.method = "GET", .url = *location};
        struct registry_answer answer;
        struct err ignored;
        int64_t last = -1;

        if (registry_call(s->registry, &request, &answer, &ignored) < 0)
                return -1;
        if (answer.status == 204 && answer.range) {
                const char *dash = strchr(answer.range, '-');

                if (!dash || value_int(dash + 1, 0, INT64_C(1) << 50, &last, &ignored) < 0)
                        last = -1;
                (void)take_location(location, &answer);
        }
        registry_answer_release(&answer);
        return last <= 0 ? -1 : last + 1;
}

static int send_part(struct sending *s, char **location, int64_t chunk, struct err *err)
{
        int64_t left = s->blob->size - s->sent, n = left < chunk ? left : chunk;
        AUTO_FREE char *range =
                xasprintf("Content-Range: %" PRId64 "-%" PRId64, s->sent, s->sent + n - 1);
        const char *const headers[] = {"Content-Type: application/octet-stream", range, NULL};
        const struct registry_request request = {.method = "PATCH",
                                                 .url = *location,
                                                 .headers = headers,
                                                 .upload = true,
                                                 .upload_fd = s->fd,
                                                 .upload_at = s->sent,
                                                 .upload_len = n,
                                                 .on_sent = on_part_sent,
                                                 .ctx = s,
                                                 .once = true};
        struct registry_answer answer;
        int r = expect(s->registry, &request, s->blob->digest, 202, 204, &answer, err);
        int64_t offset;

        if (r == -EPIPE || r == -ETIMEDOUT || r == -EREMOTEIO) {
                offset = ask_offset(s, location);
                if (offset <= s->sent || offset > s->blob->size)
                        return r;
                s->sent = offset; /* it moved on: no attempt is lost */
                return 0;
        }
        if (r < 0)
                return r;
        (void)take_location(location, &answer);
        registry_answer_release(&answer);
        s->sent += n;
        return 0;
}

/* The last request; it carries the whole blob when that fits into one. */
static int close_upload(struct sending *s, const char *location, struct err *err)
{
        static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
        AUTO_FREE char *digest = http_escape(s->blob->digest);
        AUTO_FREE char *url = xasprintf("%s%cdigest=%s", location,
                                        location && strchr(location, '?') ? '&' : '?', digest);
        const struct registry_request request = {.method = "PUT",
                                                 .url = url,
                                                 .headers = headers,
                                                 .upload = true,
                                                 .upload_fd = s->fd,
                                                 .upload_at = s->sent,
                                                 .upload_len = s->blob->size - s->sent,
                                                 .on_sent = on_part_sent,
                                                 .ctx = s,
                                                 .once = true};
        struct registry_answer answer;
        int r = expect(s->registry, &request, s->blob->digest, 201, 204, &answer, err);

        if (r == 0)
                registry_answer_release(&answer);
        return r;
}

/* Tell the registry that nothing more comes; what it makes of that is its own affair. */
static void abandon(struct sending *s, const char *location)
{
        const struct registry_request request = {.method = "DELETE", .url = location, .once = true};
        struct registry_answer answer;
        struct err ignored;

        if (registry_call(s->registry, &request, &answer, &ignored) == 0)
                registry_answer_release(&answer);
}

static int upload(struct sending *s, char **location, int64_t chunk_min, struct err *err)
{
        int64_t chunk = chunk_min > PUSH_CHUNK ? chunk_min : PUSH_CHUNK;
        int r = 0;

        s->sent = 0;
        while (r == 0 && s->blob->size - s->sent > chunk)
                r = send_part(s, location, chunk, err);
        if (r == 0)
                r = close_upload(s, *location, err);
        if (r < 0 && r != -EACCES)
                abandon(s, *location);
        return r;
}

/* Try the repositories that may have it. 1: mounted; 0: *ret_location is an upload. */
static int mount_or_open(struct sending *s, char **ret_location, int64_t *ret_chunk_min,
                         struct err *err)
{
        for (size_t i = 0; i < json_array_size(s->push->mounts) && i < MOUNTS_MAX; i++) {
                const char *from = json_string_value(json_array_get(s->push->mounts, i));
                struct err ignored;

                if (!from || streq(from, s->registry->repository))
                        continue;
                if (open_upload(s, from, ret_location, ret_chunk_min, &ignored) < 0)
                        continue; /* no right to read it there, for instance */
                if (!*ret_location)
                        return 1;
                return 0; /* it opened an upload instead: use that */
        }
        return open_upload(s, NULL, ret_location, ret_chunk_min, err);
}

/* Another try makes sense where the upload was lost, not where it was refused. */
static bool may_pass(int r)
{
        return r == -EPIPE || r == -ETIMEDOUT || r == -ENOENT || r == -EHOSTUNREACH ||
               r == -EREMOTEIO;
}

static int push_blob(const struct push *push, struct registry *registry,
                     const struct oci_descriptor *blob, struct err *err)
{
        struct sending s = {.push = push, .registry = registry, .blob = blob, .fd = -1};
        const char *how = "done";
        bool there = false;
        int r = blob_is_there(&s, &there, err);

        if (r == 0 && !there)
                r = blob_open(push->blobs, blob, &s.fd, err);
        for (unsigned attempt = 1; r == 0 && !there; attempt++) {
                AUTO_FREE char *location = NULL;
                int64_t chunk_min = 0;

                r = mount_or_open(&s, &location, &chunk_min, err);
                if (r != 0) {
                        how = "mounted";
                        there = r > 0;
                        r = r > 0 ? 0 : r;
                        break;
                }
                r = upload(&s, &location, chunk_min, err);
                there = r == 0;
                if (r < 0 && may_pass(r) && attempt < BLOB_ATTEMPTS) {
                        registry_wait_until(registry->context,
                                            clock_mono_ms() + registry->context->config->retry_ms);
                        r = 0;
                }
        }
        if (s.fd >= 0)
                (void)close(s.fd); /* read only */
        if (r == 0)
                job_progress_layer(push->progress, blob->digest, how, blob->size, blob->size);
        return r < 0 ? err_wrap(err, "blob %s", blob->digest) : 0;
}

/* What the document calls itself; else what the store's index says. */
static char *manifest_type(const struct push *push, const char *text, size_t len)
{
        AUTO_JSON json_t *json = NULL;
        struct err ignored;
        const char *type = "";

        if (oci_parse(text, len, "manifest", &json, &ignored) == 0)
                type = json_str(json, "mediaType", "");
        if (!oci_is_manifest(type))
                type = push->media_type ? push->media_type : "";
        return xstrdup(oci_is_manifest(type) ? type : OCI_TYPE_MANIFEST);
}

static int push_manifest(const struct push *push, struct registry *registry, const char *text,
                         size_t len, struct err *err)
{
        AUTO_FREE char *type = manifest_type(push, text, len);
        AUTO_FREE char *header = xasprintf("Content-Type: %s", type);
        const char *const headers[] = {header, NULL};
        AUTO_FREE char *tail = xasprintf("manifests/%s", push->reference->tag ? push->reference->tag
                                                                              : push->digest);
        const struct registry_request request = {
                .method = "PUT", .tail = tail, .headers = headers, .body = text, .body_len = len};
        struct registry_answer answer;
        int r = expect(registry, &request, "manifest", 201, 202, &answer, err);

        if (r < 0)
                return r;
        if (answer.digest && has_prefix(answer.digest, "sha256:") &&
            !streq(answer.digest, push->digest))
                r = err_set(err, EBADMSG, "%s: it made %.80s of the manifest %s",
                            registry->endpoint->host, answer.digest, push->digest);
        registry_answer_release(&answer);
        return r;
}

int push_image(const struct push *push, json_t **ret, struct err *err)
{
        AUTO(registry)
        struct registry *registry = registry_new(push->context, push->endpoint, push->credentials,
                                                 push->reference->path, "pull,push");
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO_FREE char *text = NULL;
        size_t len;
        int r = blob_read(push->blobs, push->digest, &text, &len, err);

        if (r == 0)
                r = oci_manifest_parse(text, len, push->digest, &manifest, err);
        for (size_t i = 0; r == 0 && i < manifest->layers_len; i++)
                r = push_blob(push, registry, &manifest->layers[i], err);
        if (r == 0)
                r = push_blob(push, registry, &manifest->config, err);
        if (r == 0)
                r = push_manifest(push, registry, text, len, err);
        if (r == 0)
                *ret = json_pack("{s:[{s:s, s:s}]}", "images", "ref", push->reference->text,
                                 "digest", push->digest);
        return r;
}
