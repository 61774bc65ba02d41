/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server (docs/api.md is what it speaks): the input is what a client sends, in pieces of a
 * size that the first byte chooses, to a server with one route of each kind.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "orchestrator/api/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ev_loop *loop;
static int body_fd = -1;

static void drop_body(void)
{
        if (body_fd >= 0)
                close(body_fd);
        body_fd = -1;
}

static void on_close(struct request *req, void *arg)
{
        (void)req;
        (void)arg;
        drop_body();
}

static void handle_json(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;
        json_t *body = NULL;
        int64_t n = 0;

        (void)ctx;
        if (request_json(req, &body, &err) < 0 ||
            request_query_int(req, "n", 1, 100, 1, &n, &err) < 0)
                response_error(req, 0, &err, NULL);
        else
                response_json(req, 200, json_incref(body));
}

static void handle_stream(struct request *req, void *ctx)
{
        (void)ctx;
        response_stream_begin(req, NULL);
        (void)response_stream_line(req, json_string(request_param(req, "name")));
        response_stream_end(req);
}

static void handle_hold(struct request *req, void *ctx)
{
        (void)ctx;
        request_on_close(req, on_close, NULL);
}

static void handle_upload(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;
        const char *early = request_query(req, "early");

        (void)ctx;
        drop_body();
        request_on_close(req, on_close, NULL);
        if (early && *early == 'a') {
                response_json(req, 200, NULL);
                return;
        }
        (void)request_body_fd(req, &body_fd, &err);
        if (early && *early == 'b')
                drop_body();
        if (early && *early == 'c')
                response_json(req, 200, NULL);
}

static void on_frame(struct upgrade_conn *conn, uint8_t type, const void *body, size_t len,
                     void *arg)
{
        (void)arg;
        (void)upgrade_send(conn, type, body, len);
        if (type == 7)
                upgrade_close(conn);
        else if (type == 8)
                upgrade_pause(conn);
}

static void on_drain(struct upgrade_conn *conn, void *arg)
{
        (void)arg;
        upgrade_resume(conn);
}

static void on_upgrade_close(struct upgrade_conn *conn, void *arg)
{
        (void)conn;
        (void)arg;
}

static void handle_exec(struct request *req, void *ctx)
{
        const struct upgrade_callbacks callbacks = {on_frame, on_drain, on_upgrade_close, NULL};
        struct err err = ERR_INIT;
        struct upgrade_conn *conn;

        (void)ctx;
        if (response_upgrade(req, EXEC_UPGRADE, &callbacks, &conn, &err) < 0)
                response_error(req, 0, &err, NULL);
}

static const struct route routes[] = {
        {"POST", "/j", handle_json, 0}, {"GET", "/s/:name", handle_stream, 0},
        {"GET", "/h", handle_hold, 0},  {"POST", "/u", handle_upload, ROUTE_UPLOAD},
        {"POST", "/x", handle_exec, 0},
};

static void client_drain(int fd)
{
        char buf[65536];

        while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
                ;
        if (body_fd >= 0 && fcntl(body_fd, F_SETFL, O_NONBLOCK) == 0)
                while (read(body_fd, buf, sizeof(buf)) > 0)
                        ;
}

static void turns(int n)
{
        while (n-- > 0)
                ev_run(loop, EVRUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t step = size > 0 && data[0] ? data[0] : 65536;
        struct server *server = NULL;
        struct err err = ERR_INIT;
        int listen_pair[2], pair[2];

        if (!loop)
                loop = ev_loop_new(EVFLAG_AUTO);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, listen_pair) < 0 ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
            server_new(loop, listen_pair[0], routes, ARRAY_SIZE(routes), NULL, &server, &err) < 0)
                abort();
        (void)conn_new(server, pair[0]);
        for (size_t at = 1; at < size;) {
                size_t n = size - at < step ? size - at : step;

                if (send(pair[1], data + at, n, MSG_NOSIGNAL) < 0)
                        break;
                at += n;
                turns(2);
                client_drain(pair[1]);
        }
        turns(4);
        close(pair[1]);
        turns(3);
        server_free(server);
        turns(2);
        drop_body();
        close(listen_pair[1]);
        return 0;
}
