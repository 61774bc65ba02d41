/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/registry.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/http.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "storage/registry_internal.h"

struct registry *registry_new(const struct registry_context *context,
                              const struct registry_endpoint *endpoint,
                              const struct credentials *credentials, const char *repository,
                              const char *actions)
{
        struct registry *registry = xnew(struct registry);

        registry->context = context;
        registry->endpoint = endpoint;
        registry->credentials = credentials;
        registry->repository = xstrdup(repository);
        if (*repository)
                registry->scope = xasprintf("repository:%s:%s", repository, actions);
        registry->http = endpoint->http_first;
        return registry;
}

void registry_free(struct registry *registry)
{
        if (!registry)
                return;
        free(registry->repository);
        free(registry->scope);
        free(registry->authorization);
        free(registry);
}

char *registry_url(const struct registry *registry, const char *tail)
{
        bool named = registry->ns && tail;

        return xasprintf("%s://%s/v2/%s%s%s%s%s", registry->http ? "http" : "https",
                         registry->endpoint->host, tail ? registry->repository : "",
                         tail && *registry->repository ? "/" : "", tail ? tail : "",
                         named ? "?ns=" : "", named ? registry->ns : "");
}

/* ------------------------------------------------------------------------------------------
 * waiting */

struct alarm {
        ev_timer timer;
        bool rung;
};

static void on_alarm(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        container_of(w, struct alarm, timer)->rung = true;
}

void registry_wait_until(const struct registry_context *context, int64_t at_ms)
{
        struct alarm alarm = {.rung = false};
        int64_t now = clock_mono_ms();

        if (at_ms <= now)
                return;
        ev_now_update(context->loop);
        ev_timer_init(&alarm.timer, on_alarm, (double)(at_ms - now) / 1000., 0.);
        ev_timer_start(context->loop, &alarm.timer);
        while (!alarm.rung)
                ev_run(context->loop, EVRUN_ONCE);
}

void registry_on_waited(void *ctx)
{
        struct waiting *waiting = ctx;

        waiting->done = true;
}

static void on_waiting_sent(void *ctx, int64_t sent)
{
        const struct waiting *waiting = ctx;

        waiting->request->on_sent(waiting->request->ctx, sent);
}

bool registry_may_follow(void *ctx, const char *url)
{
        const struct waiting *waiting = ctx;

        return auth_redirect_allowed(url, waiting->registry->endpoint, waiting->registry->http);
}

/* ------------------------------------------------------------------------------- whole requests */

int registry_prepare(struct registry *registry, struct http_call_spec *spec, struct retry *retry,
                     struct err *err)
{
        const struct registry_config *config = registry->context->config;

        (void)err;
        /* Near its end a token is not shown any more: the challenge brings a new one. */
        if (registry->expires_ms && clock_mono_ms() >= registry->expires_ms) {
                free(registry->authorization);
                registry->authorization = NULL;
                registry->expires_ms = 0;
        }
        retry->authorisation = registry->authorisation;
        spec->authorization = registry->authorization;
        spec->tls = &registry->endpoint->tls;
        spec->connect_ms = config->connect_ms;
        spec->stall_ms = config->stall_ms;
        spec->stall_bytes = REGISTRY_STALL_BYTES;
        if (!spec->collect_max)
                spec->collect_max = REGISTRY_BODY_MAX;
        return 0;
}

static char *media_type(const char *value)
{
        char *type = value ? xstrndup(value, strcspn(value, "; \t")) : NULL;

        for (char *p = type; p && *p; p++)
                *p = (char)tolower((unsigned char)*p);
        return type;
}

static void fill_answer(const struct http_call *call, struct registry_answer *ret)
{
        const char *location = http_call_header(call, "Location", 0);
        const char *body = http_call_body(call, &ret->len);
        struct err ignored;

        ret->status = http_call_status(call);
        ret->body = xcalloc(ret->len + 1, 1);
        memcpy(ret->body, body, ret->len);
        ret->type = media_type(http_call_header(call, "Content-Type", 0));
        ret->digest = xstrdup(http_call_header(call, "Docker-Content-Digest", 0));
        ret->range = xstrdup(http_call_header(call, "Range", 0));
        if (http_call_header(call, "OCI-Chunk-Min-Length", 0))
                (void)value_int(http_call_header(call, "OCI-Chunk-Min-Length", 0), 0,
                                INT64_C(1) << 40, &ret->chunk_min, &ignored); /* 0 when odd */
        ret->location = location ? http_url_join(http_call_url(call), location) : NULL;
}

void registry_answer_release(struct registry_answer *answer)
{
        free(answer->body);
        free(answer->type);
        free(answer->digest);
        free(answer->location);
        free(answer->range);
        *answer = (struct registry_answer){0};
}

static struct http_call *start_request(struct registry *registry,
                                       const struct registry_request *request,
                                       struct waiting *waiting, struct retry *retry,
                                       struct err *err)
{
        AUTO_FREE char *url =
                request->url ? xstrdup(request->url) : registry_url(registry, request->tail);
        struct http_call_spec spec = {
                .method = request->method,
                .url = url,
                .headers = request->headers,
                .body = request->body,
                .body_len = request->body_len,
                .upload = request->upload,
                .upload_fd = request->upload_fd,
                .upload_at = request->upload_at,
                .upload_len = request->upload_len,
                .may_follow = registry_may_follow,
                .on_sent = request->on_sent ? on_waiting_sent : NULL,
                .on_done = registry_on_waited,
                .ctx = waiting,
        };
        AUTO_FREE char *own = registry_url(registry, NULL);

        waiting->request = request;
        (void)registry_prepare(registry, &spec, retry, err);
        if (!http_url_same_origin(url, own)) { /* an upload may go elsewhere, without our secrets */
                if (!auth_redirect_allowed(url, registry->endpoint, registry->http)) {
                        err_set(err, EPROTO, "%s: refused to go on at %.150s",
                                registry->endpoint->host, url);
                        return NULL;
                }
                spec.authorization = NULL;
                spec.tls = NULL;
        }
        return http_call_start(registry->context->pool, &spec);
}

/* Nobody knows how much of the request was done. */
static bool is_unsure(const struct http_call *call)
{
        enum http_failure failure = http_call_failure(call, NULL);

        return failure == HTTP_CUT || failure == HTTP_STALLED ||
               (failure == HTTP_ANSWERED && http_call_status(call) >= 500);
}

int registry_call(struct registry *registry, const struct registry_request *request,
                  struct registry_answer *ret, struct err *err)
{
        struct retry retry = {0};

        *ret = (struct registry_answer){0};
        for (;;) {
                AUTO(http_call) struct http_call *call = NULL;
                struct waiting waiting = {.registry = registry};
                enum verdict verdict;

                call = start_request(registry, request, &waiting, &retry, err);
                if (!call)
                        return -err->code;
                while (!waiting.done)
                        ev_run(registry->context->loop, EVRUN_ONCE);
                verdict = registry_judge(registry, call, &retry, 0, err);
                if (verdict == VERDICT_ANSWER) {
                        fill_answer(call, ret);
                        return 0;
                }
                if (verdict == VERDICT_FAILED || (request->once && is_unsure(call)))
                        return -err->code;
                registry_wait_until(registry->context, retry.at_ms);
        }
}
