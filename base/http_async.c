/* SPDX-License-Identifier: Apache-2.0 */
#include "base/http_async.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/http_async_internal.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/strbuf.h"

/* One of curl's sockets. */
struct watch {
        ev_io io;
        struct http_pool *pool;
};

static void pool_check(struct http_pool *pool);

static void pool_act(struct http_pool *pool, curl_socket_t fd, int events)
{
        int running;

        if (curl_multi_socket_action(pool->multi, fd, events, &running) != CURLM_OK)
                bug("curl_multi_socket_action");
        pool_check(pool);
}

static void on_socket_ready(struct ev_loop *loop, ev_io *w, int revents)
{
        const struct watch *watch = container_of(w, struct watch, io);

        (void)loop;
        pool_act(watch->pool, w->fd,
                 (revents & EV_READ ? CURL_CSELECT_IN : 0) |
                         (revents & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)revents;
        ev_timer_stop(loop, w);
        pool_act(container_of(w, struct http_pool, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
        struct http_pool *pool = arg;

        (void)multi;
        ev_timer_stop(pool->loop, &pool->timer);
        if (timeout_ms >= 0) {
                ev_now_update(pool->loop);
                ev_timer_set(&pool->timer, (double)timeout_ms / 1000., 0.);
                ev_timer_start(pool->loop, &pool->timer);
        }
        return 0;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
        struct http_pool *pool = arg;
        struct watch *watch = socket_arg;

        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (watch) {
                        ev_io_stop(pool->loop, &watch->io);
                        loop_defer_free(pool->loop, free, watch); /* its callback may be running */
                }
                (void)curl_multi_assign(pool->multi, fd, NULL); /* the socket is known */
                return 0;
        }
        if (!watch) {
                watch = xnew(struct watch);
                watch->pool = pool;
                ev_io_init(&watch->io, on_socket_ready, fd, 0);
                (void)curl_multi_assign(pool->multi, fd, watch); /* the socket is known */
        }
        ev_io_stop(pool->loop, &watch->io);
        ev_io_set(&watch->io, fd,
                  (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
        ev_io_start(pool->loop, &watch->io);
        return 0;
}

int http_pool_new(struct ev_loop *loop, struct http_pool **ret_pool, struct err *err)
{
        struct http_pool *pool = xnew(struct http_pool);

        pool->loop = loop;
        ev_timer_init(&pool->timer, on_timer_due, 0., 0.);
        if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
                pool->multi = curl_multi_init();
        if (!pool->multi) {
                free(pool);
                return err_set(err, ENOMEM, "curl cannot be set up");
        }
        curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
        curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
        curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
        curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
        *ret_pool = pool;
        return 0;
}

void http_pool_free(struct http_pool *pool)
{
        if (!pool)
                return;
        while (pool->calls)
                http_call_free(pool->calls);
        (void)curl_multi_cleanup(pool->multi); /* nothing is attached any more */
        ev_timer_stop(pool->loop, &pool->timer);
        free(pool);
}

/* --------------------------------------------------------------------------------------------
 * calls */

static void call_detach(struct http_call *call)
{
        if (call->attached)
                (void)curl_multi_remove_handle(call->pool->multi, call->easy); /* it is there */
        call->attached = false;
}

void http_call_free(struct http_call *call)
{
        if (!call)
                return;
        call_detach(call);
        *call->link = call->next;
        if (call->next)
                call->next->link = call->link;
        curl_easy_cleanup(call->easy);
        curl_slist_free_all(call->lines);
        for (char **h = call->headers; h && *h; h++)
                free(*h);
        free(call->headers);
        free(call->method);
        free(call->origin);
        free(call->authorization);
        strbuf_release(&call->body);
        free(call);
}

long http_call_status(const struct http_call *call)
{
        long status = 0;

        (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status); /* known to curl */
        return status;
}

const char *http_call_header(const struct http_call *call, const char *name, size_t index)
{
        struct curl_header *header;

        return curl_easy_header(call->easy, name, index, CURLH_HEADER, -1, &header) == CURLHE_OK
                       ? header->value
                       : NULL;
}

const char *http_call_url(const struct http_call *call)
{
        const char *url = NULL;

        (void)curl_easy_getinfo(call->easy, CURLINFO_EFFECTIVE_URL, &url); /* known to curl */
        return url ? url : call->origin;
}

enum http_failure http_call_failure(const struct http_call *call, const char **ret_text)
{
        if (ret_text)
                *ret_text = call->text;
        return call->failure;
}

const char *http_call_body(const struct http_call *call, size_t *ret_len)
{
        if (ret_len)
                *ret_len = call->body.len;
        return strbuf_str(&call->body);
}

void http_call_resume(struct http_call *call)
{
        if (!call->done)
                (void)curl_easy_pause(call->easy, CURLPAUSE_CONT); /* fails only when it ended */
}

static void call_attach(struct http_call *call)
{
        call->text[0] = '\0';
        call->header_bytes = 0;
        call->attached = true;
        if (curl_multi_add_handle(call->pool->multi, call->easy) != CURLM_OK)
                bug("curl_multi_add_handle");
}

static char **copy_headers(const char *const *headers)
{
        char **copy = NULL;
        size_t len = 0;

        for (; headers && *headers; headers++)
                *array_push(&copy, &len) = xstrdup(*headers);
        (void)array_push(&copy, &len);
        return copy;
}

struct http_call *http_call_start(struct http_pool *pool, const struct http_call_spec *spec)
{
        struct http_call *call = xnew(struct http_call);

        assert(spec->method && spec->url && spec->on_done);
        assert(!spec->body || !spec->upload);
        call->pool = pool;
        call->spec = *spec;
        call->method = xstrdup(spec->method);
        call->origin = xstrdup(spec->url);
        call->authorization = xstrdup(spec->authorization);
        call->headers = copy_headers(spec->headers);
        call->body.max = spec->collect_max;
        call->next = pool->calls;
        call->link = &pool->calls;
        if (call->next)
                call->next->link = &call->next;
        pool->calls = call;
        call->easy = curl_easy_init();
        if (!call->easy)
                bug("out of memory");
        http_request_set(call);
        http_request_aim(call, true);
        call_attach(call);
        return call;
}

/* ------------------------------------------------------------------------------------ their end */

static enum http_failure failure_of(const struct http_call *call, CURLcode code)
{
        switch (code) {
        case CURLE_OK:
                return HTTP_ANSWERED;
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_CONNECT:
                return HTTP_UNREACHED;
        case CURLE_OPERATION_TIMEDOUT: {
                curl_off_t connected = 0;

                (void)curl_easy_getinfo(call->easy, CURLINFO_CONNECT_TIME_T, &connected);
                return connected ? HTTP_STALLED : HTTP_UNREACHED;
        }
        case CURLE_SSL_CONNECT_ERROR:
                return strstr(call->text, "wrong version") || strstr(call->text, "packet length")
                               ? HTTP_NO_TLS
                               : HTTP_TLS;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CIPHER:
        case CURLE_SSL_ISSUER_ERROR:
                return HTTP_TLS;
        default:
                return HTTP_CUT;
        }
}

static void call_finish(struct http_call *call, CURLcode code)
{
        call->failure = failure_of(call, code);
        if (call->too_large)
                call->failure = HTTP_TOO_LARGE;
        if (call->stopped)
                call->failure = HTTP_STOPPED_BY_CALLER;
        if (call->failure != HTTP_ANSWERED && !call->text[0])
                (void)snprintf(call->text, sizeof(call->text), "%s", curl_easy_strerror(code));
        call->done = true;
        call->spec.on_done(call->spec.ctx);
}

static void refuse(struct http_call *call, const char *why, const char *url)
{
        call->failure = HTTP_REFUSED;
        (void)snprintf(call->text, sizeof(call->text), "%s%.180s", why, url); /* cut is fine */
        call->done = true;
        call->spec.on_done(call->spec.ctx);
}

/* Go where a redirect leads, or end the call. */
static void call_follow(struct http_call *call, const char *url)
{
        AUTO_FREE char *to = xstrdup(url); /* of curl, gone with the next option */
        bool at_origin;

        if (++call->redirects > HTTP_REDIRECTS_MAX) {
                refuse(call, "more than 10 redirects; the last to ", to);
                return;
        }
        if (!call->spec.may_follow(call->spec.ctx, to)) {
                refuse(call, "refused a redirect to ", to);
                return;
        }
        at_origin = http_url_same_origin(to, call->origin);
        curl_easy_setopt(call->easy, CURLOPT_URL, to);
        http_request_aim(call, at_origin);
        call_attach(call);
}

static void call_ended(struct http_call *call, CURLcode code)
{
        const char *to = NULL;

        call_detach(call);
        if (code == CURLE_OK && call->spec.may_follow &&
            (streq(call->method, "GET") || streq(call->method, "HEAD")) &&
            curl_easy_getinfo(call->easy, CURLINFO_REDIRECT_URL, &to) == CURLE_OK && to) {
                call_follow(call, to);
                return;
        }
        call_finish(call, code);
}

static void pool_check(struct http_pool *pool)
{
        CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(pool->multi, &left))) {
                struct http_call *call = NULL;

                if (message->msg != CURLMSG_DONE)
                        continue;
                (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call); /* set */
                call_ended(call, message->data.result);
        }
}
