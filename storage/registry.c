/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/registry.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/http.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"

#define STALL_BYTES  1024  /* a second; less for stall_ms is a stall */
#define EXPIRY_MS    5000  /* a token is renewed that long before its end */
#define RETRY_MAX_MS 30000 /* where doubling the delay ends */
#define CLIENT_ID    "berth"

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

struct waiting {
        bool done;
        struct registry *registry;
        const struct registry_request *request;
};

static void on_waited(void *ctx)
{
        struct waiting *waiting = ctx;

        waiting->done = true;
}

static void on_waiting_sent(void *ctx, int64_t sent)
{
        const struct waiting *waiting = ctx;

        waiting->request->on_sent(waiting->request->ctx, sent);
}

static bool may_follow(void *ctx, const char *url)
{
        const struct waiting *waiting = ctx;

        return auth_redirect_allowed(url, waiting->registry->endpoint, waiting->registry->http);
}

/* -----------------------------------------------------------------------------------------
 * failures */

static void notice(const struct registry *registry, const char *why, int64_t ms)
{
        AUTO_FREE char *text = xasprintf("%s; trying again in %lld.%lld s", why,
                                         (long long)ms / 1000, (long long)ms % 1000 / 100);

        if (registry->context->on_notice)
                registry->context->on_notice(registry->context->ctx, text);
}

/* The wait before the next attempt: doubled each time, a fifth more or less, or as it was told. */
static int64_t delay_ms(const struct registry *registry, const struct retry *retry,
                        const char *retry_after)
{
        int64_t ms = registry->context->config->retry_ms, told;
        unsigned char random;

        for (unsigned i = 1; i < retry->attempts && ms < RETRY_MAX_MS; i++)
                ms *= 2;
        if (ms > RETRY_MAX_MS)
                ms = RETRY_MAX_MS;
        random_bytes(&random, 1);
        ms += ms * (random - 128) / 640;
        told = retry_after ? http_retry_after(retry_after) : -1;
        if (told >= 0)
                ms = told * 1000;
        return ms > REGISTRY_WAIT_MAX_MS ? REGISTRY_WAIT_MAX_MS : ms;
}

/* Another attempt, or the end with err as it was prepared. */
static enum verdict again(const struct registry *registry, struct retry *retry, int64_t gained,
                          const char *retry_after, const struct err *err)
{
        int64_t ms;

        if (gained >= REGISTRY_GAIN)
                retry->attempts = 0;
        if (++retry->attempts >= registry->context->config->retries)
                return VERDICT_FAILED;
        ms = delay_ms(registry, retry, retry_after);
        notice(registry, err->msg, ms);
        retry->at_ms = clock_mono_ms() + ms;
        return VERDICT_AGAIN;
}

static enum verdict judge_no_tls(struct registry *registry, struct retry *retry, const char *text,
                                 struct err *err)
{
        const struct registry_endpoint *endpoint = registry->endpoint;

        if (endpoint->insecure ||
            (endpoint->loopback && !endpoint->tls.ca && !endpoint->tls.cert)) {
                registry->http = true;
                retry->at_ms = 0;
                return VERDICT_AGAIN;
        }
        err_set(err, EPROTO,
                "%s does not speak https (%s); if plain http is meant, say "
                "{\"registries\": {\"%s\": {\"insecure\": true}}} in berth's registries.json",
                endpoint->host, text, endpoint->account);
        return VERDICT_FAILED;
}

static enum verdict judge_failure(struct registry *registry, const struct http_call *call,
                                  struct retry *retry, int64_t gained, struct err *err)
{
        const char *host = registry->endpoint->host, *text = "";

        switch (http_call_failure(call, &text)) {
        case HTTP_NO_TLS:
                return judge_no_tls(registry, retry, text, err);
        case HTTP_UNREACHED:
                err_set(err, EHOSTUNREACH, "%s cannot be reached: %s", host, text);
                if (strstr(text, "resolve") && retry->attempts > 0)
                        return VERDICT_FAILED; /* a name that is wrong stays wrong */
                break;
        case HTTP_CUT:
                err_set(err, EPIPE, "%s broke the connection off: %s", host, text);
                break;
        case HTTP_STALLED:
                err_set(err, ETIMEDOUT, "%s is too slow: less than %d bytes a second for %u s",
                        host, STALL_BYTES, (registry->context->config->stall_ms + 999) / 1000);
                break;
        case HTTP_TLS:
                err_set(err, EPROTO,
                        "%s: %s; put the authority's certificate into certs.d/%s/ca.crt if it is "
                        "one of your own",
                        host, text, host);
                return VERDICT_FAILED;
        case HTTP_TOO_LARGE:
                err_set(err, EFBIG, "%s: an answer that is too large", host);
                return VERDICT_FAILED;
        default:
                err_set(err, EPROTO, "%s: %s", host, text);
                return VERDICT_FAILED;
        }
        return again(registry, retry, gained, NULL, err);
}

/* "CODE: message" of {"errors": [...]}, if that is what the body is. */
static void error_text(const char *body, size_t len, struct strbuf *into)
{
        AUTO_JSON json_t *json = NULL;
        const json_t *first;
        struct err ignored;

        if (json_parse(body, len, REGISTRY_BODY_MAX, "error", &json, &ignored) < 0)
                return;
        first = json_array_get(json_object_get(json, "errors"), 0);
        if (json_str(first, "code", NULL))
                strbuf_addf(into, " %.60s", json_str(first, "code", ""));
        if (*json_str(first, "message", ""))
                strbuf_addf(into, ": %.200s", json_str(first, "message", ""));
        else if (*json_str(json, "details", ""))
                strbuf_addf(into, ": %.200s", json_str(json, "details", ""));
}

int registry_refused(const struct registry *registry, long status, const char *body, size_t len,
                     const char *what, struct err *err)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(400);
        const char *host = registry->endpoint->host;

        error_text(body, len, &text);
        switch (status) {
        case 401:
        case 403:
                return err_set(err, EACCES,
                               "%s: %s denied (%ld%s); 'berth registry login %s' "
                               "tells it who you are",
                               host, what, status, strbuf_str(&text), registry->endpoint->account);
        case 404:
                return err_set(err, ENOENT, "%s: %s not found (404%s)", host, what,
                               strbuf_str(&text));
        case 429:
                return err_set(err, EBUSY,
                               "%s: rate limit reached (429%s); wait, or log in with "
                               "'berth registry login %s'",
                               host, strbuf_str(&text), registry->endpoint->account);
        default:
                return err_set(err, status >= 500 ? EREMOTEIO : EPROTO, "%s: %s: it answered %ld%s",
                               host, what, status, strbuf_str(&text));
        }
}

/* -------------------------------------------------------------------------------- authorisation */

static void set_authorization(struct registry *registry, char *value, int64_t seconds)
{
        free(registry->authorization);
        registry->authorization = value;
        registry->expires_ms = seconds ? clock_mono_ms() + seconds * 1000 - EXPIRY_MS : 0;
        registry->authorisation++;
}

static char *basic_value(const struct credentials *credentials)
{
        AUTO_FREE char *pair = xasprintf("%s:%s", credentials->username,
                                         credentials->password ? credentials->password : "");
        AUTO_FREE char *text = base64_encode(pair, strlen(pair));

        return xasprintf("Basic %s", text);
}

static void add_query(struct strbuf *query, const char *key, const char *value)
{
        AUTO_FREE char *escaped = value ? http_escape(value) : NULL;

        if (escaped)
                strbuf_addf(query, "%s%s=%s", query->len ? "&" : "", key, escaped);
}

/* The scopes of a challenge may be several in one value; ours comes first, then what is new. */
static void add_scopes(struct strbuf *query, const struct registry *registry,
                       const char *challenged)
{
        const char *p = challenged ? challenged : "";

        if (registry->scope)
                add_query(query, "scope", registry->scope);
        while (*(p += strspn(p, " "))) {
                AUTO_FREE char *scope = xstrndup(p, strcspn(p, " "));

                if (!streq(scope, registry->scope))
                        add_query(query, "scope", scope);
                p += strlen(scope);
        }
}

/* One request to the token server; the session's own retries apply to it. */
static int ask_token(struct registry *registry, const char *url, const char *form,
                     const char *authorization, long *ret_status, struct strbuf *ret,
                     struct err *err)
{
        static const char *const form_headers[] = {
                "Content-Type: application/x-www-form-urlencoded", NULL};
        const struct registry_config *config = registry->context->config;
        /* a client certificate is for the registry; its authorities may speak for both */
        const struct http_tls tls = {.ca = registry->endpoint->tls.ca,
                                     .insecure = registry->endpoint->tls.insecure};
        struct retry retry = {0};

        for (;;) {
                AUTO(http_call) struct http_call *call = NULL;
                struct waiting waiting = {.registry = registry};
                const struct http_call_spec spec = {
                        .method = form ? "POST" : "GET",
                        .url = url,
                        .headers = form ? form_headers : NULL,
                        .authorization = authorization,
                        .body = form,
                        .body_len = form ? strlen(form) : 0,
                        .tls = &tls,
                        .connect_ms = config->connect_ms,
                        .stall_ms = config->stall_ms,
                        .stall_bytes = 1,
                        .may_follow = may_follow,
                        .collect_max = AUTH_ANSWER_MAX,
                        .on_done = on_waited,
                        .ctx = &waiting,
                };
                enum verdict verdict = VERDICT_ANSWER;
                const char *body;
                size_t len;

                call = http_call_start(registry->context->pool, &spec);
                while (!waiting.done)
                        ev_run(registry->context->loop, EVRUN_ONCE);
                body = http_call_body(call, &len);
                *ret_status = http_call_status(call);
                if (http_call_failure(call, NULL) == HTTP_TOO_LARGE)
                        return err_set(err, EPROTO, "bad token answer: longer than %u bytes",
                                       AUTH_ANSWER_MAX);
                if (http_call_failure(call, NULL) != HTTP_ANSWERED) {
                        verdict = judge_failure(registry, call, &retry, 0, err);
                } else if (*ret_status == 429 || *ret_status >= 500) {
                        (void)registry_refused(registry, *ret_status, body, len, "token", err);
                        verdict = again(registry, &retry, 0,
                                        http_call_header(call, "Retry-After", 0), err);
                }
                if (verdict == VERDICT_FAILED)
                        return err_wrap(err, "token server");
                if (verdict == VERDICT_ANSWER) {
                        strbuf_add(ret, body, len);
                        return 0;
                }
                registry_wait_until(registry->context, retry.at_ms);
        }
}

static int token_by_get(struct registry *registry, const struct challenge *challenge,
                        long *ret_status, struct strbuf *ret, struct err *err)
{
        AUTO_STRBUF struct strbuf query = STRBUF_INIT(8192);
        AUTO_FREE char *basic = NULL, *url = NULL;

        add_query(&query, "service", challenge->service);
        add_scopes(&query, registry, challenge->scope);
        add_query(&query, "client_id", CLIENT_ID);
        if (registry->credentials->username) {
                add_query(&query, "account", registry->credentials->username);
                basic = basic_value(registry->credentials);
        }
        if (strbuf_failed(&query))
                return err_set(err, EPROTO, "its challenge is too long");
        url = xasprintf("%s%c%s", challenge->realm, strchr(challenge->realm, '?') ? '&' : '?',
                        strbuf_str(&query));
        return ask_token(registry, url, NULL, basic, ret_status, ret, err);
}

/* OAuth2 with an identity token: one scope parameter, values with spaces between. */
static int token_by_post(struct registry *registry, const struct challenge *challenge,
                         long *ret_status, struct strbuf *ret, struct err *err)
{
        AUTO_STRBUF struct strbuf form = STRBUF_INIT(AUTH_TOKEN_MAX);

        add_query(&form, "grant_type", "refresh_token");
        add_query(&form, "service", challenge->service);
        add_query(&form, "client_id", CLIENT_ID);
        add_query(&form, "scope", challenge->scope ? challenge->scope : registry->scope);
        add_query(&form, "refresh_token", registry->credentials->identity_token);
        if (strbuf_failed(&form))
                return err_set(err, EPROTO, "its challenge or the identity token is too long");
        return ask_token(registry, challenge->realm, strbuf_str(&form), NULL, ret_status, ret, err);
}

static int fetch_token(struct registry *registry, const struct challenge *challenge,
                       struct err *err)
{
        AUTO_STRBUF struct strbuf body = STRBUF_INIT(AUTH_ANSWER_MAX);
        AUTO_FREE char *token = NULL;
        int64_t seconds = 0;
        long status = 404;
        int r = auth_realm_check(challenge->realm, registry->endpoint, registry->http, err);

        if (r == 0 && registry->credentials->identity_token)
                r = token_by_post(registry, challenge, &status, &body, err);
        if (r == 0 && (status == 404 || status == 405)) {
                strbuf_reset(&body);
                r = token_by_get(registry, challenge, &status, &body, err);
        }
        if (r == 0 && (status < 200 || status > 299))
                r = registry_refused(registry, status, strbuf_str(&body), body.len, "token", err);
        if (r == 0)
                r = auth_token_parse(strbuf_str(&body), body.len, &token, &seconds, err);
        if (r < 0)
                return r;
        set_authorization(registry, xasprintf("Bearer %s", token), seconds);
        return 0;
}

static int authorise(struct registry *registry, const struct http_call *call, struct err *err)
{
        struct challenge challenge = {0};
        const char *value;
        int r;

        for (size_t i = 0; (value = http_call_header(call, "WWW-Authenticate", i)); i++)
                challenge_add(&challenge, value);
        if (challenge.bearer) {
                r = fetch_token(registry, &challenge, err);
        } else if (challenge.basic && registry->credentials->username) {
                set_authorization(registry, basic_value(registry->credentials), 0);
                r = 0;
        } else {
                r = registry_refused(registry, 401, http_call_body(call, NULL), 0, "access", err);
        }
        challenge_release(&challenge);
        return r;
}

static enum verdict judge_401(struct registry *registry, const struct http_call *call,
                              struct retry *retry, struct err *err)
{
        size_t len;
        const char *body = http_call_body(call, &len);

        retry->at_ms = 0;
        /* Another call has renewed it meanwhile. */
        if (retry->authorisation != registry->authorisation)
                return VERDICT_AGAIN;
        if (retry->authorised) {
                (void)registry_refused(registry, 401, body, len, "access", err);
                return VERDICT_FAILED;
        }
        retry->authorised = true;
        return authorise(registry, call, err) < 0 ? VERDICT_FAILED : VERDICT_AGAIN;
}

enum verdict registry_judge(struct registry *registry, const struct http_call *call,
                            struct retry *retry, int64_t gained, struct err *err)
{
        long status = http_call_status(call);
        const char *body;
        size_t len;

        if (http_call_failure(call, NULL) != HTTP_ANSWERED)
                return judge_failure(registry, call, retry, gained, err);
        if (status == 401)
                return judge_401(registry, call, retry, err);
        retry->authorised = false;
        if (status != 408 && status != 429 && status != 500 && status != 502 && status != 503 &&
            status != 504 && status != 522)
                return VERDICT_ANSWER;
        body = http_call_body(call, &len);
        (void)registry_refused(registry, status, body, len, "request", err);
        return again(registry, retry, gained, http_call_header(call, "Retry-After", 0), err);
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
        spec->stall_bytes = STALL_BYTES;
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
                .may_follow = may_follow,
                .on_sent = request->on_sent ? on_waiting_sent : NULL,
                .on_done = on_waited,
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
