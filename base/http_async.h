/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over the network, on a libev loop: many exchanges at a time, bodies as streams. A pool keeps
 * connections (HTTP/2 where the server has it); a call is one exchange with all its redirects.
 *
 *   http_call_start ─▶ on_data* ─▶ on_done     http_call_free: at any time but in its own callback
 *
 * What comes from a server is hostile: headers are bounded here, bodies by who takes them. A
 * redirect is followed only where its rule allows, and credentials never leave their origin
 * (scheme, host and port). Calls do not retry: who starts one knows what may be done twice.
 */
#ifndef BASE_HTTP_ASYNC_H
#define BASE_HTTP_ASYNC_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define HTTP_HEADERS_MAX   (256u << 10) /* bytes of one answer's headers */
#define HTTP_REDIRECTS_MAX 10
#define HTTP_PAUSE         1 /* of on_data: take nothing now; http_call_resume() goes on */

struct http_pool;
struct http_call;

/* TLS of one origin; texts are PEM. Borrowed while calls run. */
struct http_tls {
        char *ca; /* trusted besides the system's authorities; NULL: none */
        char *cert, *key;
        bool insecure; /* do not verify */
};

struct http_call_spec {
        const char *method; /* GET, HEAD, POST, PUT, PATCH, DELETE */
        const char *url;
        const char *const *headers; /* "Name: value", ended by NULL; may be NULL. No secrets. */
        const char *authorization;  /* sent to the origin of url only; NULL: none */
        const char *body;           /* borrowed until on_done; NULL: none, or upload */
        size_t body_len;
        bool upload; /* body is upload_len bytes of upload_fd from upload_at, read by pread() */
        int upload_fd;
        int64_t upload_at, upload_len;
        const struct http_tls *tls; /* for the origin of url only; NULL: defaults */
        unsigned connect_ms;        /* to have a connection */
        unsigned stall_ms;          /* longest time below stall_bytes a second */
        unsigned stall_bytes;

        /* Whether GET and HEAD may follow to url. NULL: redirects are answers. */
        bool (*may_follow)(void *ctx, const char *url);
        /* Part of a 2xx body. 0, HTTP_PAUSE, or < 0 to end the call. NULL: collect body_max. */
        int (*on_data)(void *ctx, const void *data, size_t n);
        void (*on_sent)(void *ctx, int64_t sent); /* of an upload; may be NULL */
        size_t collect_max; /* bytes of a collected body (also of any status above 299) */
        void (*on_done)(void *ctx);
        void *ctx;
};

/* How a call ended, besides having an answer. */
enum http_failure {
        HTTP_ANSWERED,  /* whatever its status */
        HTTP_CUT,       /* the body ended early, or the connection broke */
        HTTP_STALLED,   /* too slow for too long */
        HTTP_UNREACHED, /* no such name, refused, no route, timed out while connecting */
        HTTP_TLS,       /* certificate or handshake */
        HTTP_NO_TLS,    /* the other side does not speak TLS */
        HTTP_REFUSED,   /* a redirect that may not be followed, or too many */
        HTTP_TOO_LARGE, /* headers or a collected body */
        HTTP_STOPPED_BY_CALLER,
};

/** Connections and calls on a loop. The loop stays the caller's. */
int http_pool_new(struct ev_loop *loop, struct http_pool **ret_pool, struct err *err);
/** Ends all calls without a callback. */
void http_pool_free(struct http_pool *pool);
AUTO_TYPE(http_pool)

/** Start; spec is copied but for what it calls borrowed. Callbacks come from the loop only. */
struct http_call *http_call_start(struct http_pool *pool, const struct http_call_spec *spec);

/** Give the call up, or free an ended one; no callback comes. NULL is fine. */
void http_call_free(struct http_call *call);
AUTO_TYPE(http_call)

/** Go on reading the body of a call whose on_data asked to wait. */
void http_call_resume(struct http_call *call);

/** Known once on_data or on_done was called. 0: no answer came. */
long http_call_status(const struct http_call *call);
/** The index-th header of that name in the last answer; NULL: no more. Borrowed until the next. */
const char *http_call_header(const struct http_call *call, const char *name, size_t index);
/** Where the last answer came from. */
const char *http_call_url(const struct http_call *call);
/** After on_done. *ret_text: why, for people; borrowed. */
enum http_failure http_call_failure(const struct http_call *call, const char **ret_text);
/** The collected body, NUL-terminated. Borrowed. */
const char *http_call_body(const struct http_call *call, size_t *ret_len);

/* A URL taken apart. All on the heap. */
struct http_url {
        char *scheme, *host, *port, *path, *query; /* port: always; query: NULL when absent */
};

/** EINVAL: not an absolute http or https URL, or one with a user in it. */
int http_url_parse(const char *text, struct http_url *ret, struct err *err);
void http_url_release(struct http_url *url);

/** reference (absolute or relative) as seen from base; NULL: not a URL. On the heap. */
char *http_url_join(const char *base, const char *reference);

/** Same scheme, host and port. */
bool http_url_same_origin(const char *a, const char *b);

/** Seconds of a Retry-After value (a number or an HTTP date); -1: neither. */
int64_t http_retry_after(const char *value);

#endif
