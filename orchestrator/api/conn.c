/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/api/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"

/* Headers and small answers fit; a larger buffer is given back once it is empty. */
#define OUT_KEEP_BYTES 16384
/* Answers that are not streams: bounded by what a manifest can be, and some JSON around it. */
#define OUT_MAX (2 * (size_t)API_BODY_MAX)

static void on_conn_readable(struct ev_loop *loop, ev_io *w, int revents);
static void on_conn_writable(struct ev_loop *loop, ev_io *w, int revents);
static void on_conn_timeout(struct ev_loop *loop, ev_timer *w, int revents);
static void on_conn_reap(struct ev_loop *loop, ev_timer *w, int revents);

struct conn *conn_new(struct server *server, int fd)
{
        struct conn *conn = xnew(struct conn);

        conn->server = server;
        conn->fd = fd;
        conn->upload.pipe_fd = -1;
        conn->in.max = CONN_READ_BYTES * 3;
        conn->out.max = OUT_MAX;
        conn->next = server->conns;
        if (conn->next)
                conn->next->prev = conn;
        server->conns = conn;
        server->conns_len++;
        ev_io_init(&conn->reader, on_conn_readable, fd, EV_READ);
        ev_io_init(&conn->writer, on_conn_writable, fd, EV_WRITE);
        ev_init(&conn->timer, on_conn_timeout);
        ev_timer_init(&conn->reaper, on_conn_reap, 0.0, 0.0);
        conn_set_timer(conn, SERVER_HEADERS_TIMEOUT_MS);
        conn_update(conn);
        return conn;
}

static void conn_unlink(struct conn *conn)
{
        struct server *server = conn->server;

        if (conn->prev)
                conn->prev->next = conn->next;
        else
                server->conns = conn->next;
        if (conn->next)
                conn->next->prev = conn->prev;
        server->conns_len--;
}

void conn_free(void *p)
{
        struct conn *conn = p;

        if (conn->parser_on)
                http_parser_release(&conn->parser);
        strbuf_release(&conn->in);
        strbuf_release(&conn->out);
        free(conn);
}

void request_free(struct request *req)
{
        if (!req)
                return;
        json_decref(req->json);
        free(req);
}

/* The owner hears first: it may have to stop a worker before the upload's pipe ends. */
void conn_destroy(struct conn *conn)
{
        struct server *server = conn->server;

        conn_kill(conn);
        ev_timer_stop(server->loop, &conn->reaper);
        if (conn->req && conn->req->on_close)
                conn->req->on_close(conn->req, conn->req->on_close_arg);
        request_free(STEAL(conn->req));
        if (conn->upgrade)
                conn->upgrade->callbacks.on_close(conn->upgrade, conn->upgrade->callbacks.arg);
        free(STEAL(conn->upgrade));
        upload_discard(conn);
        (void)close(conn->fd); /* a socket; nothing left to be told */
        conn_unlink(conn);
}

void conn_kill(struct conn *conn)
{
        struct ev_loop *loop = conn->server->loop;

        if (conn->dead)
                return;
        conn->dead = true;
        ev_io_stop(loop, &conn->reader);
        ev_io_stop(loop, &conn->writer);
        ev_timer_stop(loop, &conn->timer);
        ev_timer_start(loop, &conn->reaper);
}

void conn_set_timer(struct conn *conn, unsigned timeout_ms)
{
        struct ev_loop *loop = conn->server->loop;

        ev_timer_stop(loop, &conn->timer);
        if (timeout_ms == 0 || conn->dead)
                return;
        ev_timer_set(&conn->timer, timeout_ms / 1000.0, 0.0);
        ev_timer_start(loop, &conn->timer);
}

static bool conn_wants_read(const struct conn *conn)
{
        if (conn->dead || conn->eof)
                return false;
        if (conn->upgrade && conn->upgrade->paused)
                return false;
        return !upload_blocked(conn);
}

static void io_want(struct ev_loop *loop, ev_io *w, bool want)
{
        if (want && !ev_is_active(w))
                ev_io_start(loop, w);
        else if (!want && ev_is_active(w))
                ev_io_stop(loop, w);
}

void conn_update(struct conn *conn)
{
        io_want(conn->server->loop, &conn->reader, conn_wants_read(conn));
        io_want(conn->server->loop, &conn->writer, !conn->dead && conn_pending(conn) > 0);
}

void conn_queue(struct conn *conn, const void *data, size_t n, bool bounded)
{
        if (conn->dead)
                return;
        if (conn->out_sent > conn->out.len / 2) {
                strbuf_consume(&conn->out, conn->out_sent);
                conn->out_sent = 0;
        }
        strbuf_add(&conn->out, data, n);
        if (strbuf_failed(&conn->out) || (bounded && conn_pending(conn) > RESPONSE_PENDING_MAX))
                conn_kill(conn);
        else
                conn_update(conn);
}

void conn_finish(struct conn *conn)
{
        conn->no_stall = conn->state == CONN_STREAM || conn->state == CONN_UPGRADED;
        conn->close_after |= conn->state == CONN_UPGRADED || !conn->parser.keep_alive ||
                             conn->server->stopping || conn->eof;
        request_free(STEAL(conn->req));
        free(STEAL(conn->upgrade));
        conn->state = CONN_FLUSH;
        upload_discard(conn);
        conn_set_timer(conn, conn->no_stall ? 0 : SERVER_STALL_TIMEOUT_MS);
        if (conn_pending(conn) == 0)
                conn_next(conn);
        conn_update(conn);
}

static void conn_linger(struct conn *conn)
{
        conn->state = CONN_LINGER;
        if (conn->eof || shutdown(conn->fd, SHUT_WR) < 0)
                conn_kill(conn);
        else
                conn_set_timer(conn, CONN_LINGER_MS);
}

/* Bytes that came behind the last request are the beginning of the next. */
void conn_next(struct conn *conn)
{
        if (conn->dead || conn->state != CONN_FLUSH || conn_pending(conn) > 0)
                return;
        if (conn->close_after || conn->server->stopping) {
                conn_linger(conn);
                return;
        }
        if (conn->upload.active)
                return; /* the rest of the body comes first */
        http_parser_release(&conn->parser);
        conn->parser_on = false;
        conn->route = NULL;
        conn->state = CONN_READING;
        conn_set_timer(conn, SERVER_IDLE_TIMEOUT_MS);
        if (conn->in.len > 0)
                ev_feed_event(conn->server->loop, &conn->reader, EV_READ);
}

static void on_conn_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct conn *conn = container_of(w, struct conn, reader);
        char buf[CONN_READ_BYTES];
        ssize_t n;

        (void)loop;
        (void)revents;
        if (conn->dead)
                return;
        if (conn->in.len > 0)
                conn_input(conn, "", 0);
        if (!conn_wants_read(conn))
                return;
        n = recv(conn->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n > 0)
                conn_input(conn, buf, (size_t)n);
        else if (n == 0)
                conn->eof = true;
        if (n == 0 && conn->state == CONN_FLUSH && conn_pending(conn) > 0)
                conn->close_after = true; /* it listens still: let it have its answer */
        else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                conn_kill(conn);
        conn_update(conn);
}

static void conn_drained(struct conn *conn)
{
        strbuf_reset(&conn->out);
        conn->out_sent = 0;
        if (conn->out.cap > OUT_KEEP_BYTES)
                strbuf_release(&conn->out);
        if (conn->state == CONN_STREAM && conn->req->on_drain)
                conn->req->on_drain(conn->req, conn->req->on_drain_arg);
        else if (conn->state == CONN_UPGRADED && conn->upgrade->callbacks.on_drain)
                conn->upgrade->callbacks.on_drain(conn->upgrade, conn->upgrade->callbacks.arg);
        else
                conn_next(conn);
}

static void on_conn_writable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct conn *conn = container_of(w, struct conn, writer);
        ssize_t n;

        (void)loop;
        (void)revents;
        n = send(conn->fd, conn->out.data + conn->out_sent, conn_pending(conn),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
                if (errno != EAGAIN && errno != EINTR)
                        conn_kill(conn);
                return;
        }
        conn->out_sent += (size_t)n;
        if (conn->state == CONN_FLUSH && !conn->no_stall)
                conn_set_timer(conn, SERVER_STALL_TIMEOUT_MS);
        if (conn_pending(conn) == 0)
                conn_drained(conn);
        conn_update(conn);
}

/* Whatever it waited for did not come. */
static void on_conn_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        conn_kill(container_of(w, struct conn, timer));
}

static void on_conn_reap(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct conn *conn = container_of(w, struct conn, reaper);
        struct server *server = conn->server;

        (void)revents;
        conn_destroy(conn);
        loop_defer_free(loop, conn_free, conn);
        server_conn_gone(server);
}
