/* SPDX-License-Identifier: Apache-2.0 */
/* How a call to a registry ended: an answer, another attempt, or a failure that people understand.
 */
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/http.h"
#include "base/json.h"
#include "base/mem.h"
#include "storage/registry_internal.h"

#define RETRY_MAX_MS 30000 /* where doubling the delay ends */

static void notice(const struct registry *registry, const char *why, int64_t ms)
{
        AUTO_FREE char *text = xasprintf("%s; trying again in %lld.%lld s", why,
                                         (long long)ms / 1000, (long long)ms % 1000 / 100);

        if (registry->context->on_notice)
                registry->context->on_notice(registry->context->ctx, text);
}

int64_t registry_delay_ms(int64_t first_ms, unsigned attempts, const char *retry_after)
{
        int64_t ms = first_ms, told;
        unsigned char random;

        for (unsigned i = 1; i < attempts && ms < RETRY_MAX_MS; i++)
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
enum verdict registry_again(const struct registry *registry, struct retry *retry, int64_t gained,
                            const char *retry_after, const struct err *err)
{
        int64_t ms;

        if (gained >= REGISTRY_GAIN)
                retry->attempts = 0;
        if (++retry->attempts >= registry->context->config->retries)
                return VERDICT_FAILED;
        ms = registry_delay_ms(registry->context->config->retry_ms, retry->attempts, retry_after);
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

enum verdict registry_judge_failure(struct registry *registry, const struct http_call *call,
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
                        host, REGISTRY_STALL_BYTES,
                        (registry->context->config->stall_ms + 999) / 1000);
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
        return registry_again(registry, retry, gained, NULL, err);
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
        return registry_authorise(registry, call, err) < 0 ? VERDICT_FAILED : VERDICT_AGAIN;
}

enum verdict registry_judge(struct registry *registry, const struct http_call *call,
                            struct retry *retry, int64_t gained, struct err *err)
{
        long status = http_call_status(call);
        const char *body;
        size_t len;

        if (http_call_failure(call, NULL) != HTTP_ANSWERED)
                return registry_judge_failure(registry, call, retry, gained, err);
        if (status == 401)
                return judge_401(registry, call, retry, err);
        retry->authorised = false;
        if (status != 408 && status != 429 && status != 500 && status != 502 && status != 503 &&
            status != 504 && status != 522)
                return VERDICT_ANSWER;
        body = http_call_body(call, &len);
        (void)registry_refused(registry, status, body, len, "request", err);
        return registry_again(registry, retry, gained, http_call_header(call, "Retry-After", 0),
                              err);
}
