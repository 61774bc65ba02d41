/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A generic HTTP/1.1 server on a listening unix socket. It knows routes, not what they do.
 *
 *   accept ─▶ peer is us or root? ─▶ read ─▶ route ─▶ handler(req)
 *                                     ▲                  │ now, or later from the loop:
 *                                     │                  ├─ response_json / response_error ─┐
 *                                     │                  ├─ response_stream_begin, _line.., ┤
 *                                     │                  │           response_stream_end    │
 *                                     └──── keep-alive ──┼──────────────────────────────────┘
 *                                                        └─ response_upgrade ─▶ upgrade_conn
 *
 * Life of a request: it is valid from the call of its handler until exactly one of
 *   - the handler finished it: response_json, response_error, response_stream_end or
 *     response_upgrade (returning 0) has been called; req must not be touched after that call;
 *   - its on_close was called: the client went away, was too slow, broke the protocol, or the
 *     server is freed; req must not be touched after on_close returns.
 * on_close is never called from inside a response_* or upgrade_* function, always from the loop
 * (or from server_free), so a handler need not expect to lose its request under its hands: writes
 * to a client that is gone are swallowed until on_close comes. A handler may return without a
 * response when it answers later; it then sets request_on_close() to cancel what it started.
 * A client that shuts down its sending side counts as gone. Pipelining is not served.
 */
#ifndef ORCHESTRATOR_API_SERVER_H
#define ORCHESTRATOR_API_SERVER_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "orchestrator/api/wire.h"

/* Connections at a time; each CLI command uses one. Further ones get 503. */
#define SERVER_CONNECTIONS_MAX 256
/* A client has this long from connecting (or its last response) to the end of its headers... */
#define SERVER_HEADERS_TIMEOUT_MS 10000
/* ...this long between two requests, and this long without any progress of its body or our reply */
#define SERVER_IDLE_TIMEOUT_MS  60000
#define SERVER_STALL_TIMEOUT_MS 60000
/* Stop producing lines above this many unsent bytes and go on at on_drain... */
#define RESPONSE_HIGH_BYTES (256u << 10)
/* ...because past this many the client is dropped as too slow. */
#define RESPONSE_PENDING_MAX (16u << 20)

struct server;
struct request;
struct upgrade_conn;

enum route_flags {
        ROUTE_UPLOAD = 1, /* handler runs after the headers; body through request_body_fd() */
};

/* One line of the routing table. */
struct route {
        const char *method;  /* "GET", "PUT", "POST", "DELETE" */
        const char *pattern; /* "/v1/stacks/:stack/status": ":name" is one non-empty segment */
        void (*handler)(struct request *req, void *ctx); /* ctx: that of server_new() */
        unsigned flags;
};

/**
 * Serve on listen_fd (taken, also on failure): a listening, non-blocking unix stream socket as
 * fd_listen_unix() makes it. routes: borrowed until server_free(); first match wins.
 * Unknown path: 404; known path with another method: 405. SIGPIPE is ignored from here on.
 */
int server_new(struct ev_loop *loop, int listen_fd, const struct route *routes, size_t routes_len,
               void *ctx, struct server **ret_server, struct err *err);

/** Go on with another listening socket (taken, as in server_new()); connections are kept. */
void server_listen(struct server *server, int listen_fd);

/**
 * End gently: accept no more, close idle connections; requests under way may still be answered.
 * on_done (may be NULL) is called once, from the loop, when the last connection has sent what it
 * had, or after timeout_ms. Running streams and upgraded connections are the handlers' to end.
 */
void server_shutdown(struct server *server, unsigned timeout_ms, void (*on_done)(void *arg),
                     void *arg);

/** Close everything now; on_close of open requests and upgrades is called. Not from inside a
 * handler or callback of this server. NULL is fine. */
void server_free(struct server *server);
AUTO_TYPE(server)

/** Open connections, for display and tests. */
size_t server_connections(const struct server *server);

/* ------------------------------------------------------------------------------------- request */

/** "GET", "PUT"...; and the decoded path. Borrowed from the request. */
const char *request_method(const struct request *req);

/** The path segment that matched ":name" of the pattern, percent-decoded; never NULL for a name
 * that the pattern has. No NUL and no '/' inside. */
const char *request_param(const struct request *req, const char *name);

/** The value of ?name=value, percent-decoded ('+' stays '+'); "" for ?name; NULL when absent. */
const char *request_query(const struct request *req, const char *name);

/** ?name=1|true|yes (or ?name alone) is true, 0|false|no false, absent fallback, else EINVAL. */
int request_query_bool(const struct request *req, const char *name, bool fallback, bool *ret,
                       struct err *err);

/** A whole number within min..max; absent: fallback; else EINVAL. */
int request_query_int(const struct request *req, const char *name, int64_t min, int64_t max,
                      int64_t fallback, int64_t *ret, struct err *err);

/**
 * The body as a JSON object, parsed at the first call; an empty body is an empty object. Borrowed
 * from the request (json_incref() to keep it). EINVAL: not a JSON object. Not for ROUTE_UPLOAD.
 */
int request_json(struct request *req, json_t **ret_body, struct err *err);

/**
 * ROUTE_UPLOAD: the read end of a pipe with the body (the caller's, close-on-exec, blocking), for a
 * worker process. Once only. The socket is not read while the pipe is full. End of file means that
 * the whole body was passed; when the client goes away, on_close comes BEFORE the pipe is closed,
 * so that a worker killed there cannot take half a body for a whole one. A worker that closes its
 * end early does not hurt: the rest of the body is read and thrown away.
 */
int request_body_fd(struct request *req, int *ret_fd, struct err *err);

/** Tell when the request ends without its handler having finished it (see top). */
void request_on_close(struct request *req, void (*cb)(struct request *req, void *arg), void *arg);

/* ------------------------------------------------------------------------------------ response */

/** Answer with a JSON value (body: taken; NULL: {}). Ends the request. */
void response_json(struct request *req, int status, json_t *body);

/**
 * Answer {"error": {code, message, diagnostics}}. status 0: from err->code by response_status().
 * diagnostics: array of strings (taken) or NULL. Ends the request. Inside a stream that has begun
 * it becomes the stream's last line instead.
 */
void response_error(struct request *req, int status, const struct err *err, json_t *diagnostics);

/** EINVAL, EPROTO.. 400, EACCES/EPERM 403, ENOENT/ESRCH 404, EEXIST/EBUSY.. 409, EFBIG 413,
 * EAGAIN/ESHUTDOWN 503, others 500. */
int response_status(const struct err *err);

/** The {"error": ...} object by itself, a new reference; diagnostics: taken or NULL. */
json_t *response_error_json(const struct err *err, json_t *diagnostics);

/** Begin a 200 stream. content_type: NULL for application/x-ndjson. */
void response_stream_begin(struct request *req, const char *content_type);

/**
 * Add one line (line: taken). Sent by the loop, joined with others of the same turn. Past
 * RESPONSE_PENDING_MAX unsent bytes the connection is dropped and on_close follows. Returns the
 * number of unsent bytes: a producer that can wait stops at RESPONSE_HIGH_BYTES.
 */
size_t response_stream_line(struct request *req, json_t *line);

/** The same for bytes of a stream that is not lines. */
size_t response_stream_bytes(struct request *req, const void *data, size_t n);

/** Break a stream off so that the client sees it is not whole. Ends the request. */
void response_stream_abort(struct request *req);

/** Unsent bytes of the response. */
size_t response_pending(const struct request *req);

/** Call cb from the loop each time that unsent bytes have become none. Streams only. */
void response_on_drain(struct request *req, void (*cb)(struct request *req, void *arg), void *arg);

/** End the stream and the request. */
void response_stream_end(struct request *req);

/* ------------------------------------------------------------------------------------- upgrade */

/*
 * A connection that has become a channel of frames: a byte of type, three of length (big-endian),
 * the body, at most EXEC_FRAME_MAX bytes (api/wire.h). Callbacks come from the loop and may call
 * any upgrade_* function; after upgrade_close() or the return of on_close up is gone.
 */
struct upgrade_callbacks {
        /* body: borrowed, len <= EXEC_FRAME_MAX. Frames the client sent with its request come too.
         */
        void (*on_frame)(struct upgrade_conn *up, uint8_t type, const void *body, size_t len,
                         void *arg);
        void (*on_drain)(struct upgrade_conn *up, void *arg); /* nothing unsent any more; may be
                                                                   NULL */
        void (*on_close)(struct upgrade_conn *up, void *arg); /* the client is gone, or sent
                                                                   rubbish */
        void *arg;
};

/** Whether the client asked for "Upgrade: protocol". */
bool request_wants_upgrade(const struct request *req, const char *protocol);

/**
 * Answer 101 and turn the connection into frames. 0: ends the request; *ret_conn lives until
 * upgrade_close() or on_close. EINVAL: the client did not ask for it; req still needs an answer.
 * callbacks: copied. No callback comes before the next turn of the loop.
 */
int response_upgrade(struct request *req, const char *protocol,
                     const struct upgrade_callbacks *callbacks, struct upgrade_conn **ret_conn,
                     struct err *err);

/**
 * Queue one frame; len <= EXEC_FRAME_MAX. Returns the unsent bytes. Past RESPONSE_PENDING_MAX the
 * connection is dropped and on_close follows: give credit to the source at on_drain.
 */
size_t upgrade_send(struct upgrade_conn *up, uint8_t type, const void *body, size_t len);

/** Unsent bytes. */
size_t upgrade_pending(const struct upgrade_conn *up);

/** Stop and go on reading the client (back-pressure for its input). While paused its leaving is
 * noticed only by writing. */
void upgrade_pause(struct upgrade_conn *up);
void upgrade_resume(struct upgrade_conn *up);

/** Send what is queued, then close. on_close does not come; up is gone for the caller. */
void upgrade_close(struct upgrade_conn *up);

#endif
