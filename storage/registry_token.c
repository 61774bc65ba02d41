/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry is shown: basic credentials, or a token from the server that its challenge names.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/http.h"
#include "base/mem.h"
#include "storage/registry_internal.h"

#define EXPIRY_MS 5000 /* a token is renewed that long before its end, or at half its life */
#define CLIENT_ID "berth"

static void set_authorization(struct registry *registry, char *value, int64_t seconds)
{
        int64_t early_ms = seconds * 500 < EXPIRY_MS ? seconds * 500 : EXPIRY_MS;

        free(registry->authorization);
        registry->authorization = value;
        registry->expires_ms = seconds ? clock_mono_ms() + seconds * 1000 - early_ms : 0;
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
                        .may_follow = registry_may_follow,
                        .collect_max = AUTH_ANSWER_MAX,
                        .on_done = registry_on_waited,
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
                        verdict = registry_judge_failure(registry, call, &retry, 0, err);
                } else if (*ret_status == 429 || *ret_status >= 500) {
                        (void)registry_refused(registry, *ret_status, body, len, "token", err);
                        verdict = registry_again(registry, &retry, 0,
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

int registry_authorise(struct registry *registry, const struct http_call *call, struct err *err)
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
