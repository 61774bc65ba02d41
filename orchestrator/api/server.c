/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/api/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/conn.h"

/* When descriptors are out, accepting would only spin: wait this long. */
#define ACCEPT_RETRY_S 0.5
/* Accepted in one go, so that many clients do not starve the rest of the loop. */
#define ACCEPT_BATCH 16
#define CONTINUE     "HTTP/1.1 100 Continue\r\n\r\n"

/* ------------------------------------------------------------------------------------- routing */

/* The route of a parsed request; NULL: none, and allow lists the methods the path has. */
static const struct route *find_route(const struct conn *conn, struct http_match *params,
                                      size_t *params_len, struct strbuf *allow)
{
        const struct server *server = conn->server;

        for (size_t i = 0; i < server->routes_len; i++) {
                const struct route *route = &server->routes[i];

                if (!http_match(&conn->parser, route->pattern, params, params_len))
                        continue;
                if (strcmp(route->method, conn->parser.method) == 0)
                        return route;
                strbuf_addf(allow, "%s%s", allow->len ? ", " : "", route->method);
        }
        return NULL;
}

/* Answer a request that no handler sees, and end the connection: its body was not read. */
static void conn_refuse(struct conn *conn, int status, const char *headers, const struct err *err)
{
        conn->close_after = true;
        conn_respond(conn, status, headers, response_error_json(err, NULL));
        conn_finish(conn);
}

static void refuse_route(struct conn *conn, const struct strbuf *allow)
{
        AUTO_STRBUF struct strbuf headers = STRBUF_INIT(256);
        struct err err = ERR_INIT;

        if (allow->len == 0) {
                (void)err_set(&err, ENOENT, "no such address: %.200s", conn->parser.path);
                conn_refuse(conn, 404, "", &err);
                return;
        }
        (void)err_set(&err, EINVAL, "%.200s does not take %s, only %s", conn->parser.path,
                      conn->parser.method, strbuf_str(allow));
        strbuf_addf(&headers, "Allow: %s\r\n", strbuf_str(allow));
        conn_refuse(conn, 405, strbuf_str(&headers), &err);
}

static void conn_dispatch(struct conn *conn)
{
        conn->state = CONN_BUSY;
        if (!conn->upload.active)
                conn_set_timer(conn, 0);
        conn->route->handler(conn->req, conn->server->ctx);
}

/* The headers are whole: find who answers. Uploads begin at once, and may begin their answer. */
static void conn_headers(struct conn *conn)
{
        AUTO_STRBUF struct strbuf allow = STRBUF_INIT(128);
        struct request *req = xnew(struct request);
        struct err err = ERR_INIT;

        conn_set_timer(conn, SERVER_STALL_TIMEOUT_MS);
        req->conn = conn;
        conn->req = req;
        conn->route = find_route(conn, req->params, &req->params_len, &allow);
        if (!conn->route) {
                refuse_route(conn, &allow);
                return;
        }
        if (!(conn->route->flags & ROUTE_UPLOAD) && conn->parser.content_length > API_BODY_MAX) {
                (void)err_set(&err, EFBIG, "the body is too large: the limit is %u bytes",
                              API_BODY_MAX);
                conn_refuse(conn, 413, "", &err);
                return;
        }
        if (conn->parser.expect_continue && conn->parser.has_body)
                conn_queue(conn, CONTINUE, strlen(CONTINUE), false);
        if (conn->route->flags & ROUTE_UPLOAD) {
                conn->upload.active = true;
                conn_dispatch(conn);
        }
}

/* --------------------------------------------------------------------------------------- input */

static bool conn_parses(const struct conn *conn)
{
        if (conn->dead || (conn->parser_on && conn->parser.complete) || upload_blocked(conn))
                return false;
        return conn->state == CONN_READING || conn->upload.active;
}

static int conn_parse_step(struct conn *conn, struct err *err)
{
        size_t used;
        int r;

        if (!conn->parser_on) {
                http_parser_init(&conn->parser, API_BODY_MAX);
                conn->parser_on = true;
                conn_set_timer(conn, SERVER_HEADERS_TIMEOUT_MS);
        }
        r = http_parser_feed(&conn->parser, strbuf_str(&conn->in), conn->in.len, &used, err);
        strbuf_consume(&conn->in, used);
        return r;
}

/* A body that breaks off in the middle of bad chunks: its handler, if any, hears it by on_close. */
static void conn_parse_failed(struct conn *conn, const struct err *err)
{
        if (conn->state == CONN_READING)
                conn_refuse(conn, conn->parser.status, "", err);
        else
                conn_kill(conn);
}

static void conn_parse(struct conn *conn)
{
        struct err err = ERR_INIT;
        int r = HTTP_HEADERS;

        if (!conn->parser_on && conn->in.len == 0)
                return;
        while (r != 0 && conn_parses(conn)) {
                r = conn_parse_step(conn, &err);
                if (r < 0) {
                        conn_parse_failed(conn, &err);
                        return;
                }
                if (r == HTTP_HEADERS)
                        conn_headers(conn);
                else if (conn->parser.headers_done)
                        conn_set_timer(conn, SERVER_STALL_TIMEOUT_MS);
                if (conn->upload.active)
                        upload_flush(conn);
                else if (r == HTTP_COMPLETE && conn->state == CONN_READING)
                        conn_dispatch(conn);
        }
}

void conn_input(struct conn *conn, const char *data, size_t len)
{
        if (conn->state == CONN_LINGER ||
            (conn->state == CONN_FLUSH && conn->close_after && !conn->upload.active))
                return;
        strbuf_add(&conn->in, data, len);
        if (strbuf_failed(&conn->in)) {
                conn_kill(conn); /* the next request before this one's answer: not served */
                return;
        }
        if (conn->state == CONN_UPGRADED)
                upgrade_input(conn);
        else
                conn_parse(conn);
        if (conn->in.len == 0)
                strbuf_release(&conn->in);
}

/* ----------------------------------------------------------------------------------- accepting */

static bool peer_allowed(int fd)
{
        struct ucred peer;
        socklen_t len = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
                return false;
        return peer.uid == 0 || peer.uid == geteuid();
}

/* Say why and hang up; the connection takes no part in anything. */
static void conn_reject(struct server *server, int fd, int status, int code, const char *why)
{
        struct conn *conn = conn_new(server, fd);
        struct err err = ERR_INIT;

        (void)err_set(&err, code, "%s", why);
        conn_refuse(conn, status, "", &err);
}

static void accept_one(struct server *server, int fd)
{
        if (!peer_allowed(fd))
                conn_reject(server, fd, 403, EACCES,
                            "this berthd belongs to another user; run your own with --root");
        else if (server->conns_len >= SERVER_CONNECTIONS_MAX)
                conn_reject(server, fd, 503, EAGAIN,
                            "too many connections to berthd; end some clients and try again");
        else
                (void)conn_new(server, fd); /* lives in the server's list */
}

static void on_server_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct server *server = container_of(w, struct server, acceptor);

        (void)revents;
        for (int i = 0; i < ACCEPT_BATCH; i++) {
                int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd >= 0 && server->conns_len >= 2 * SERVER_CONNECTIONS_MAX) {
                        (void)close(fd); /* so many that not even refusals are affordable */
                } else if (fd >= 0) {
                        accept_one(server, fd);
                } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
                        ev_io_stop(loop, w);
                        ev_timer_set(&server->accept_retry, ACCEPT_RETRY_S, 0.0);
                        ev_timer_start(loop, &server->accept_retry);
                        return;
                } else if (errno != ECONNABORTED && errno != EINTR) {
                        return;
                }
        }
}

static void on_server_accept_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct server *server = container_of(w, struct server, accept_retry);

        (void)revents;
        if (!server->stopping)
                ev_io_start(loop, &server->acceptor);
}

/* ---------------------------------------------------------------------------------------- life */

static void on_server_stopped(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct server *server = container_of(w, struct server, stop_timer);
        void (*on_done)(void *arg) = STEAL(server->on_done);

        (void)loop;
        (void)revents;
        if (on_done)
                on_done(server->on_done_arg);
}

int server_new(struct ev_loop *loop, int listen_fd, const struct route *routes, size_t routes_len,
               void *ctx, struct server **ret_server, struct err *err)
{
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        struct server *server;

        if (sigaction(SIGPIPE, &ignore, NULL) < 0) {
                (void)close(listen_fd); /* was ours to close */
                return err_errno(err, errno, "ignore SIGPIPE");
        }
        server = xnew(struct server);
        server->loop = loop;
        server->fd = listen_fd;
        server->routes = routes;
        server->routes_len = routes_len;
        server->ctx = ctx;
        ev_init(&server->accept_retry, on_server_accept_retry);
        ev_init(&server->stop_timer, on_server_stopped);
        ev_io_init(&server->acceptor, on_server_acceptable, listen_fd, EV_READ);
        ev_io_start(loop, &server->acceptor);
        *ret_server = server;
        return 0;
}

void server_listen(struct server *server, int listen_fd)
{
        bool accepting = ev_is_active(&server->acceptor);

        ev_io_stop(server->loop, &server->acceptor);
        (void)close(server->fd); /* a listening socket holds no data */
        server->fd = listen_fd;
        ev_io_set(&server->acceptor, listen_fd, EV_READ);
        if (accepting)
                ev_io_start(server->loop, &server->acceptor);
}

static void server_stop_accepting(struct server *server)
{
        server->stopping = true;
        ev_io_stop(server->loop, &server->acceptor);
        ev_timer_stop(server->loop, &server->accept_retry);
}

void server_conn_gone(struct server *server)
{
        if (!server->stopping || server->conns_len > 0 || !server->on_done)
                return;
        ev_timer_stop(server->loop, &server->stop_timer);
        ev_timer_set(&server->stop_timer, 0.0, 0.0);
        ev_timer_start(server->loop, &server->stop_timer);
}

void server_shutdown(struct server *server, unsigned timeout_ms, void (*on_done)(void *arg),
                     void *arg)
{
        server_stop_accepting(server);
        server->on_done = on_done;
        server->on_done_arg = arg;
        for (struct conn *conn = server->conns; conn; conn = conn->next)
                if (conn->state == CONN_READING)
                        conn_kill(conn);
        ev_timer_stop(server->loop, &server->stop_timer);
        ev_timer_set(&server->stop_timer, timeout_ms / 1000.0, 0.0);
        ev_timer_start(server->loop, &server->stop_timer);
        server_conn_gone(server);
}

void server_free(struct server *server)
{
        if (!server)
                return;
        server_stop_accepting(server);
        ev_timer_stop(server->loop, &server->stop_timer);
        while (server->conns) {
                struct conn *conn = server->conns;

                conn_destroy(conn);
                conn_free(conn);
        }
        (void)close(server->fd); /* a listening socket holds no data */
        free(server);
}

size_t server_connections(const struct server *server)
{
        return server->conns_len;
}
