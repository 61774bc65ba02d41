/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the server: one connection, shared by server.c (accepting, reading, routing),
 * response.c, upload.c and upgrade.c. See server.h for the life of a request.
 *
 *   READING ──whole request──▶ BUSY ──answered──▶ FLUSH ──sent──▶ READING (keep-alive)
 *                               │  │                └──────────▶ LINGER ──▶ dead
 *                               │  └─stream─▶ STREAM ──end──▶ FLUSH
 *                               └─upgrade─▶ UPGRADED ──close─▶ FLUSH
 *
 * LINGER: everything is sent and our side is shut down; what the client still sends is thrown away
 * until it closes, because closing a unix socket with unread bytes would take our last words away
 * from it. A dead connection is taken apart in the loop's next turn (conn_kill), never on the spot.
 */
#ifndef ORCHESTRATOR_API_CONN_H
#define ORCHESTRATOR_API_CONN_H

#include "orchestrator/api/http.h"
#include "orchestrator/api/server.h"

/* How long a client may take to close after our last word. */
#define CONN_LINGER_MS 2000
/* Read at a time; also what may wait unparsed beside one frame. */
#define CONN_READ_BYTES ((size_t)65536)

enum conn_state { CONN_READING, CONN_BUSY, CONN_STREAM, CONN_UPGRADED, CONN_FLUSH, CONN_LINGER };

struct request {
        struct conn *conn;
        struct http_match params[HTTP_SEGMENTS_MAX];
        size_t params_len;
        json_t *json;
        bool body_taken; /* request_body_fd() was called */
        void (*on_close)(struct request *req, void *arg);
        void *on_close_arg;
        void (*on_drain)(struct request *req, void *arg);
        void *on_drain_arg;
};

struct upgrade_conn {
        struct conn *conn;
        struct upgrade_callbacks callbacks;
        bool paused;
};

/* The body of a ROUTE_UPLOAD on its way into a pipe. */
struct upload {
        bool active;  /* until the body's end is passed on or thrown away */
        bool discard; /* nobody reads it any more */
        int pipe_fd;  /* write end; -1: none (yet) */
        ev_io writer;
};

struct conn {
        struct server *server;
        struct conn *prev, *next;
        int fd;
        enum conn_state state;
        bool close_after; /* FLUSH ends in LINGER */
        bool dead;
        bool eof;       /* the client has shut down its side */
        bool no_stall;  /* what is being flushed may take its time (end of a stream) */
        bool parser_on; /* parser is initialised: the first byte of a request has come */
        ev_io reader, writer;
        ev_timer timer;  /* what it means depends on the state */
        ev_timer reaper; /* 0 s: take a dead connection apart */
        struct http_parser parser;
        struct strbuf in; /* bytes behind the request, or not yet a whole frame */
        struct strbuf out;
        size_t out_sent; /* of out */
        const struct route *route;
        struct request *req; /* BUSY and STREAM */
        struct upgrade_conn *upgrade;
        struct upload upload;
};

struct server {
        struct ev_loop *loop;
        int fd;
        const struct route *routes;
        size_t routes_len;
        void *ctx;
        ev_io acceptor;
        ev_timer accept_retry; /* out of descriptors: try again */
        struct conn *conns;
        size_t conns_len;
        bool stopping;
        ev_timer stop_timer;
        void (*on_done)(void *arg);
        void *on_done_arg;
};

static inline size_t conn_pending(const struct conn *conn)
{
        return conn->out.len - conn->out_sent;
}

/* conn.c: watchers, output, end */

/** A connection over fd (taken), in state READING, in the server's list. */
struct conn *conn_new(struct server *server, int fd);

/** Take apart now: on_close, close, out of the list; then conn_free(). Only from the reaper and
 * server_free(). */
void conn_destroy(struct conn *conn);
void conn_free(void *p);

/** The connection is over: no more reading or writing; conn_destroy() comes with the next turn. */
void conn_kill(struct conn *conn);

/** Queue bytes for the client. bounded: past RESPONSE_PENDING_MAX the connection is killed. */
void conn_queue(struct conn *conn, const void *data, size_t n, bool bounded);

/** Start and stop the watchers as the state asks; after every change of it. */
void conn_update(struct conn *conn);

/** Arm the timer: seconds from now; 0: none. */
void conn_set_timer(struct conn *conn, unsigned timeout_ms);

/** The request is answered (req freed here) or the upgrade closed: flush, then go on or close. */
void conn_finish(struct conn *conn);

/** All was sent and the request is wholly read: the next one, or the end. */
void conn_next(struct conn *conn);

/** Free a request without telling anyone. */
void request_free(struct request *req);

/* server.c: input */

/** Bytes came (or wait in conn->in): parse, route, pass on. */
void conn_input(struct conn *conn, const char *data, size_t len);

/** A connection left the list: tell who waits for the last one. */
void server_conn_gone(struct server *server);

/* response.c */

/** Queue a whole response with a JSON body (taken). headers: "" or more lines, each with CRLF. */
void conn_respond(struct conn *conn, int status, const char *headers, json_t *body);

/* upload.c */

/** Pass on what the parser has collected of the body; ends the upload at the body's end. */
void upload_flush(struct conn *conn);

/** Bytes wait for room in the pipe (or for a pipe): the socket is not to be read. */
bool upload_blocked(const struct conn *conn);

/** Nobody wants the rest: close the pipe, throw away. */
void upload_discard(struct conn *conn);

/* upgrade.c */

struct frame {
        uint8_t type;
        const char *body; /* inside the data that was parsed */
        size_t len;       /* of body */
        size_t size;      /* of the whole frame */
};

/** The first frame of data, if it is whole. false: more bytes are needed, or (err set) it is too
 * long. */
bool frame_parse(const char *data, size_t len, struct frame *ret, struct err *err);

/** Hand whole frames in conn->in to their owner. */
void upgrade_input(struct conn *conn);

#endif
