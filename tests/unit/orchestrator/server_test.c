/* SPDX-License-Identifier: Apache-2.0 */
/* The server over a real socket: both ends in this process, driven turn by turn. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/api/server.h"
#include "tests/tap.h"

static char dir[] = "/tmp/berth-server-XXXXXX";
static char *sock_path;
static struct ev_loop *loop;
static struct server *server;

/* What the handlers noted. */
static struct {
        struct request *held; /* by the handler that answers later */
        int closed, drained, lines, body_fd, shut;
        size_t most_pending;
        bool pipe_open_at_close;
        struct upgrade_conn *up;
        int up_closed, up_drained, frames;
        bool pause_after_first;
} seen;

/* Turns until cond, at most so many that a failure ends soon. */
#define UNTIL(cond)                                          \
        do {                                                 \
                for (int i_ = 0; i_ < 5000 && !(cond); i_++) \
                        ev_run(loop, EVRUN_NOWAIT);          \
        } while (0)

/* ------------------------------------------------------------------------------------ handlers */

static void on_close(struct request *req, void *arg)
{
        (void)req;
        (void)arg;
        seen.closed++;
        seen.held = NULL;
        if (seen.body_fd >= 0) {
                char c[65536];
                ssize_t n;

                while ((n = read(seen.body_fd, c, sizeof(c))) > 0)
                        ;
                seen.pipe_open_at_close = n < 0 && errno == EAGAIN;
        }
}

static void handle_echo(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;
        bool flag = false;
        int64_t n = 0;
        json_t *body;

        if (request_json(req, &body, &err) < 0 ||
            request_query_bool(req, "flag", false, &flag, &err) < 0 ||
            request_query_int(req, "n", 1, 10, 5, &n, &err) < 0) {
                response_error(req, 0, &err, json_pack("[s]", "f.yaml:1:2: bad"));
                return;
        }
        response_json(req, 200,
                      json_pack("{s:s, s:s, s:s?, s:b, s:I, s:O, s:i}", "method",
                                request_method(req), "name", request_param(req, "name"), "q",
                                request_query(req, "q"), "flag", flag, "n", (json_int_t)n, "body",
                                body, "ctx", *(int *)ctx));
}

static void handle_hold(struct request *req, void *ctx)
{
        (void)ctx;
        request_on_close(req, on_close, NULL);
        seen.held = req;
}

static void pump(struct request *req, void *arg)
{
        (void)arg;
        seen.drained++;
        while (seen.lines < 50000) {
                size_t pending = response_stream_line(
                        req, json_pack("{s:i, s:s}", "line", seen.lines++, "text",
                                       "0123456789012345678901234567890123456789"));

                if (pending > seen.most_pending)
                        seen.most_pending = pending;
                if (pending >= RESPONSE_HIGH_BYTES)
                        return;
        }
        response_stream_end(req);
}

static void handle_stream(struct request *req, void *ctx)
{
        (void)ctx;
        response_stream_begin(req, NULL);
        response_on_drain(req, pump, NULL);
        pump(req, NULL);
}

static void handle_flood(struct request *req, void *ctx)
{
        char text[4096] = "";

        (void)ctx;
        request_on_close(req, on_close, NULL);
        response_stream_begin(req, NULL);
        memset(text, 'x', sizeof(text) - 1);
        for (int i = 0; i < 6000; i++)
                (void)response_stream_line(req, json_pack("[s]", text));
        ok(seen.closed == 0, "on_close does not come from inside");
}

static void handle_fail_in_stream(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;

        (void)ctx;
        err_set(&err, EIO, "it broke");
        response_stream_begin(req, NULL);
        response_error(req, 0, &err, NULL);
}

static void handle_upload(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;

        (void)ctx;
        request_on_close(req, on_close, NULL);
        seen.held = req;
        if (request_body_fd(req, &seen.body_fd, &err) < 0)
                ok(0, "body: %s", err.msg);
        fd_set_nonblock(seen.body_fd, &err);
}

/* Answers while the body is still coming in. */
static void handle_progress(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;

        (void)ctx;
        request_on_close(req, on_close, NULL);
        seen.held = req;
        if (request_body_fd(req, &seen.body_fd, &err) < 0)
                ok(0, "body: %s", err.msg);
        response_stream_begin(req, NULL);
        (void)response_stream_line(req, json_pack("{s:i}", "begun", 1));
}

static void handle_refuse_upload(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;

        (void)ctx;
        err_set(&err, EEXIST, "have it");
        response_error(req, 0, &err, NULL);
}

static void on_frame(struct upgrade_conn *conn, uint8_t type, const void *body, size_t len,
                     void *arg)
{
        (void)arg;
        seen.frames++;
        if (type == 9) { /* say a last word and hang up, whatever else comes */
                upgrade_send(conn, 99, "bye", 3);
                upgrade_close(conn);
                seen.up = NULL;
                return;
        }
        upgrade_send(conn, (uint8_t)(type + 1), body, len);
        if (seen.pause_after_first)
                upgrade_pause(conn);
}

static void on_up_drain(struct upgrade_conn *conn, void *arg)
{
        (void)conn;
        (void)arg;
        seen.up_drained++;
}

static void on_up_close(struct upgrade_conn *conn, void *arg)
{
        (void)conn;
        (void)arg;
        seen.up_closed++;
        seen.up = NULL;
}

static void handle_exec(struct request *req, void *ctx)
{
        const struct upgrade_callbacks callbacks = {on_frame, on_up_drain, on_up_close, NULL};
        struct err err = ERR_INIT;

        (void)ctx;
        if (response_upgrade(req, EXEC_UPGRADE, &callbacks, &seen.up, &err) < 0)
                response_error(req, 0, &err, NULL);
}

static const struct route routes[] = {
        {"POST", "/v1/echo/:name", handle_echo, 0},
        {"GET", "/v1/echo/:name", handle_echo, 0},
        {"GET", "/v1/hold", handle_hold, 0},
        {"GET", "/v1/stream", handle_stream, 0},
        {"GET", "/v1/flood", handle_flood, 0},
        {"GET", "/v1/failing", handle_fail_in_stream, 0},
        {"POST", "/v1/upload", handle_upload, ROUTE_UPLOAD},
        {"POST", "/v1/progress", handle_progress, ROUTE_UPLOAD},
        {"POST", "/v1/refuse", handle_refuse_upload, ROUTE_UPLOAD},
        {"POST", "/v1/exec", handle_exec, 0},
};
static int context = 42;

/* -------------------------------------------------------------------------------------- client */

static int dial(void)
{
        struct err err = ERR_INIT;
        int fd = -1;

        if (fd_connect_unix(sock_path, &fd, &err) < 0)
                ok(0, "connect: %s", err.msg);
        fd_set_nonblock(fd, &err);
        return fd;
}

static void say(int fd, const char *text)
{
        ok(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text), "sent %.30s", text);
}

/* Read what comes until `until` is in it, or the end of the connection (*ret_end). */
static char *hear(int fd, const char *until, bool *ret_end)
{
        struct strbuf sb = STRBUF_INIT(64 << 20);
        char buf[65536];
        bool end = false;

        for (int idle = 0; idle < 2000 && !end; idle++) {
                size_t from;
                ssize_t n;

                ev_run(loop, EVRUN_NOWAIT);
                n = recv(fd, buf, sizeof(buf), 0);
                end = n == 0 || (n < 0 && errno != EAGAIN);
                if (n <= 0)
                        continue;
                idle = 0;
                strbuf_add(&sb, buf, (size_t)n);
                from = sb.len > (size_t)n + 64 ? sb.len - (size_t)n - 64 : 0;
                if (until && memmem(sb.data + from, sb.len - from, until, strlen(until)))
                        break;
        }
        if (ret_end)
                *ret_end = end;
        strbuf_addc(&sb, '\0');
        return strbuf_take(&sb);
}

static void expect(const char *request, const char *status, const char *part)
{
        int fd = dial();
        AUTO_FREE char *text = NULL;

        say(fd, request);
        text = hear(fd, part, NULL);
        has_str(text, status, "status of %.40s", request);
        has_str(text, part, "answer to %.40s", request);
        close(fd);
        UNTIL(server_connections(server) == 0);
}

/* --------------------------------------------------------------------------------------- tests */

static void test_requests(void)
{
        expect("GET /v1/echo/w%65b?q=a%2Fb&flag HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK",
               "{\"body\":{},\"ctx\":42,\"flag\":true,\"method\":\"GET\",\"n\":5,\"name\":\"web\","
               "\"q\":\"a/b\"}");
        expect("POST /v1/echo/x HTTP/1.1\r\nContent-Length: 7\r\n\r\n{\"a\":1}", " 200 ",
               "\"body\":{\"a\":1}");
        expect("POST /v1/echo/x HTTP/1.1\r\nContent-Length: 5\r\n\r\n{\"a\":", " 400 ",
               "\"code\":\"EINVAL\"");
        expect("POST /v1/echo/x HTTP/1.1\r\nContent-Length: 3\r\n\r\n[1]", " 400 ",
               "\"diagnostics\":[\"f.yaml:1:2: bad\"]");
        expect("GET /v1/echo/x?n=11 HTTP/1.1\r\n\r\n", " 400 ", "\"message\":\"n: ");
        expect("GET /v1/echo/x?flag=maybe HTTP/1.1\r\n\r\n", " 400 ", "neither true nor false");
        expect("GET /v1/nothing HTTP/1.1\r\n\r\n", " 404 ", "no such address: /v1/nothing");
        expect("DELETE /v1/echo/x HTTP/1.1\r\n\r\n", " 405 ", "only POST, GET");
        expect("DELETE /v1/echo/x HTTP/1.1\r\n\r\n", "Allow: POST, GET\r\n", "does not take");
        expect("nonsense\r\n\r\n", " 400 ", "bad request");
        expect("GET / HTTP/1.0\r\n\r\n", " 505 ", "only HTTP/1.1");
        expect("POST /v1/echo/x HTTP/1.1\r\nContent-Length: 33554433\r\n\r\n", " 413 ",
               "too large");
        expect("POST /v1/echo/x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
               "HTTP/1.1 100 Continue\r\n\r\n", "100");
        expect("GET /v1/failing HTTP/1.1\r\n\r\n", " 200 ", "it broke\"}}\n\r\n0\r\n\r\n");
}

static void test_keep_alive(void)
{
        int fd = dial();
        bool end = false;
        char *text;

        say(fd, "GET /v1/echo/a HTTP/1.1\r\n\r\n");
        text = hear(fd, "\"a\"", &end);
        has_str(text, "\"a\"", "first answer");
        free(text);
        say(fd, "GET /v1/echo/b HTTP/1.1\r\n\r\nGET /v1/ec");
        text = hear(fd, "\"b\"", &end);
        has_str(text, "\"b\"", "second answer on the same connection");
        free(text);
        say(fd, "ho/c HTTP/1.1\r\nConnection: close\r\n\r\n");
        text = hear(fd, NULL, &end);
        has_str(text, "\"c\"", "a request in two pieces");
        has_str(text, "Connection: close", "the end is announced");
        ok(end, "and comes");
        free(text);
        close(fd);
        UNTIL(server_connections(server) == 0);
        is_int(server_connections(server), 0, "no connection is left");
}

static void test_async(void)
{
        int fd = dial();
        char *text;

        say(fd, "GET /v1/hold HTTP/1.1\r\n\r\n");
        UNTIL(seen.held);
        ok(seen.held, "the handler has it");
        response_json(seen.held, 200, json_pack("{s:i}", "late", 1));
        text = hear(fd, "late", NULL);
        has_str(text, "{\"late\":1}", "answered later");
        free(text);
        seen.held = NULL;
        say(fd, "GET /v1/hold HTTP/1.1\r\n\r\n");
        UNTIL(seen.held);
        seen.closed = 0;
        close(fd);
        UNTIL(seen.closed);
        is_int(seen.closed, 1, "told that the client is gone");
        UNTIL(server_connections(server) == 0);
        is_int(server_connections(server), 0, "and nothing is left");
}

static void test_stream(void)
{
        int fd = dial(), lines = 0;
        AUTO_FREE char *text = NULL;

        say(fd, "GET /v1/stream HTTP/1.1\r\n\r\n");
        UNTIL(false); /* a client that does not read for a while */
        ok(seen.lines > 100 && seen.lines < 50000, "the producer waits (at %d)", seen.lines);
        text = hear(fd, "\r\n0\r\n\r\n", NULL);
        has_str(text, "application/x-ndjson", "type");
        for (const char *at = text; (at = strchr(at, '{')); at++)
                lines += atol(at + 8) == lines;
        is_int(lines, 50000, "all lines in order");
        ok(seen.most_pending < RESPONSE_HIGH_BYTES + 200, "bounded: %zu", seen.most_pending);
        ok(seen.drained > 2, "drained %d times", seen.drained);
        close(fd);
        UNTIL(server_connections(server) == 0);

        fd = dial();
        seen.closed = 0;
        say(fd, "GET /v1/flood HTTP/1.1\r\n\r\n");
        UNTIL(seen.closed);
        is_int(seen.closed, 1, "a flood for a client that does not read ends the connection");
        close(fd);
        UNTIL(server_connections(server) == 0);
}

/* Send n bytes of a pattern as far as the socket takes them; returns how many it took. */
static size_t send_pattern(int fd, size_t from, size_t n)
{
        char buf[4096];
        size_t done = 0;

        while (done < n) {
                size_t part = n - done < sizeof(buf) ? n - done : sizeof(buf);
                ssize_t sent;

                for (size_t i = 0; i < part; i++)
                        buf[i] = (char)((from + done + i) % 251);
                sent = send(fd, buf, part, MSG_NOSIGNAL);
                if (sent <= 0)
                        break;
                done += (size_t)sent;
        }
        return done;
}

static void test_upload(void)
{
        size_t total = 5000000, sent, got = 0, wrong = 0;
        int fd = dial();
        char buf[8192];
        ssize_t n = -1;
        char *text;

        seen.body_fd = -1;
        say(fd, "POST /v1/upload HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n");
        UNTIL(seen.held);
        sent = send_pattern(fd, 0, total);
        for (int i = 0; i < 300; i++) {
                ev_run(loop, EVRUN_NOWAIT);
                sent += send_pattern(fd, sent, total - sent);
        }
        ok(sent < 2500000, "a reader that does not read stops the client (%zu)", sent);
        for (int i = 0; i < 100000 && n != 0; i++) {
                sent += send_pattern(fd, sent, total - sent);
                ev_run(loop, EVRUN_NOWAIT);
                n = read(seen.body_fd, buf, sizeof(buf));
                for (ssize_t k = 0; k < n; k++, got++)
                        wrong += (unsigned char)buf[k] != got % 251;
        }
        ok(got == total && wrong == 0, "the whole body went through: %zu", got);
        response_json(seen.held, 200, NULL);
        close(seen.body_fd);
        text = hear(fd, "{}", NULL);
        has_str(text, " 200 ", "and was answered");
        free(text);
        say(fd, "GET /v1/echo/again HTTP/1.1\r\n\r\n");
        text = hear(fd, "again", NULL);
        has_str(text, "again", "the connection goes on");
        free(text);
        close(fd);
        UNTIL(server_connections(server) == 0);
}

static void test_upload_broken_off(void)
{
        int fd = dial();
        char *text;
        size_t sent;
        char c;

        seen.held = NULL;
        seen.closed = 0;
        seen.pipe_open_at_close = false;
        say(fd, "POST /v1/upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        UNTIL(seen.held);
        UNTIL(false);
        close(fd);
        UNTIL(seen.closed);
        is_int(seen.closed, 1, "told that half the body is all");
        ok(seen.pipe_open_at_close, "before the pipe ends");
        UNTIL(server_connections(server) == 0);
        ok(read(seen.body_fd, &c, 1) == 0, "then it ends");
        close(seen.body_fd);
        seen.body_fd = -1;

        fd = dial();
        say(fd, "POST /v1/upload HTTP/1.1\r\nContent-Length: 3000000\r\n\r\n");
        UNTIL(seen.held);
        close(seen.body_fd);
        seen.body_fd = -1;
        sent = send_pattern(fd, 0, 1000000);
        UNTIL(false);
        response_json(seen.held, 200, json_pack("{s:i}", "enough", 1));
        for (int i = 0; i < 20000 && sent < 3000000; i++) {
                ev_run(loop, EVRUN_NOWAIT);
                sent += send_pattern(fd, sent, 3000000 - sent);
        }
        is_int(sent, 3000000, "a reader that has enough does not hold the client up");
        text = hear(fd, "enough", NULL);
        has_str(text, "enough", "and its answer arrives");
        free(text);
        say(fd, "POST /v1/refuse HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234");
        text = hear(fd, "have it", NULL);
        has_str(text, " 409 ", "an upload can be refused");
        free(text);
        say(fd, "56789GET /v1/echo/on HTTP/1.1\r\n\r\n");
        text = hear(fd, "\"on\"", NULL);
        has_str(text, "\"on\"", "its body is skipped");
        free(text);
        close(fd);
        UNTIL(server_connections(server) == 0);
}

static void test_upload_with_progress(void)
{
        int fd = dial();
        char *text, buf[10];

        seen.held = NULL;
        say(fd, "POST /v1/progress HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        text = hear(fd, "begun", NULL);
        ok(has_prefix(text, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
           "asked to go on before the answer begins");
        free(text);
        say(fd, "hello");
        UNTIL(false);
        ok(read(seen.body_fd, buf, sizeof(buf)) == 5 && read(seen.body_fd, buf, 1) == 0, "body");
        (void)response_stream_line(seen.held, json_pack("{s:i}", "done", 1));
        response_stream_end(seen.held);
        text = hear(fd, "\r\n0\r\n\r\n", NULL);
        has_str(text, "{\"done\":1}", "the answer ends after the body");
        free(text);
        close(seen.body_fd);
        seen.body_fd = -1;
        say(fd, "GET /v1/echo/then HTTP/1.1\r\n\r\n");
        text = hear(fd, "then", NULL);
        has_str(text, "\"then\"", "and the connection goes on");
        free(text);
        close(fd);
        UNTIL(server_connections(server) == 0);
}

static void test_upgrade(void)
{
        static const char request[] =
                "POST /v1/exec HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: berth-exec\r\n"
                "Content-Length: 2\r\n\r\n{}";
        static const char frame[] = "\x05\x00\x00\x03"
                                    "abc";
        int fd = dial();
        char *text;

        say(fd, "POST /v1/exec HTTP/1.1\r\n\r\n");
        text = hear(fd, "needs", NULL);
        has_str(text, " 400 ", "without asking there is no upgrade");
        free(text);
        say(fd, request);
        text = hear(fd, "\r\n\r\n", NULL);
        has_str(text, "101 Switching Protocols", "upgraded");
        free(text);
        ok(send(fd, "\x00\x01", 2, 0) == 2, "half a head");
        UNTIL(false);
        ok(seen.frames == 0 && seen.up_closed == 0, "is none");
        ok(send(fd, "\x00\x01", 2, 0) == 2, "of 65537 bytes");
        UNTIL(seen.up_closed);
        is_int(seen.up_closed, 1, "a frame past the limit ends it");
        close(fd);

        fd = dial();
        seen.frames = seen.up_drained = 0;
        ok(send(fd, request, sizeof(request) - 1, 0) > 0, "again");
        ok(send(fd, frame, 7, 0) == 7, "with a frame behind the request");
        text = hear(fd, "abc", NULL);
        has_str(text, "berth-exec\r\n\r\n\x06", "it is echoed");
        free(text);
        is_int(seen.frames, 1, "one frame");
        ok(seen.up_drained > 0, "drained");
        seen.pause_after_first = true;
        for (int i = 0; i < 3; i++)
                ok(send(fd, frame, 7, 0) == 7, "another frame");
        UNTIL(false);
        is_int(seen.frames, 2, "paused after one");
        seen.pause_after_first = false;
        upgrade_resume(seen.up);
        UNTIL(seen.frames == 4);
        is_int(seen.frames, 4, "resumed, none lost");
        for (int i = 0; i < 500; i++)
                ok(send(fd, i == 100 ? "\x09\x00\x00\x00" : "\x00\x00\x00\x00", 4, 0) == 4 ||
                           i > 99,
                   "frame %d", i);
        text = hear(fd, "bye", NULL);
        ok(text[0] || !text[0], "heard");
        free(text);
        UNTIL(server_connections(server) == 0 || seen.up == NULL);
        ok(seen.up == NULL && seen.up_closed == 1, "closed by us without on_close");
        close(fd);
        UNTIL(server_connections(server) == 0);
        is_int(server_connections(server), 0, "nothing is left");
}

/* The last word must reach a client that is still sending. */
static void test_last_word(void)
{
        int fd = dial();
        struct strbuf sb = STRBUF_INIT(1 << 20);
        char zeros[4096] = {0}, buf[4096];
        ssize_t n = -1;

        say(fd, "POST /v1/exec HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: berth-exec\r\n\r\n");
        ok(send(fd, "\x09\x00\x00\x00", 4, 0) == 4, "hang up, please");
        for (int i = 0; i < 10; i++)
                (void)!send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL);
        for (int i = 0; i < 2000; i++)
                ev_run(loop, EVRUN_NOWAIT);
        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
                strbuf_add(&sb, buf, (size_t)n);
        is_int(n, 0, "an orderly end");
        ok(memmem(sb.data, sb.len, "bye", 3), "behind the last word");
        strbuf_release(&sb);
        close(fd);
        UNTIL(server_connections(server) == 0);
}

static void test_limit(void)
{
        int fds[SERVER_CONNECTIONS_MAX + 1];
        char *text;

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                fds[i] = -1;
                fds[i] = dial();
                ev_run(loop, EVRUN_NOWAIT);
        }
        text = hear(fds[SERVER_CONNECTIONS_MAX], "too many", NULL);
        has_str(text, " 503 ", "one too many is told so");
        free(text);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close(fds[i]);
        UNTIL(server_connections(server) == 0);
        is_int(server_connections(server), 0, "all gone");
}

static void test_peer(void)
{
        int fds[2], status;
        char buf[1000] = "";
        pid_t pid;

        if (geteuid() != 0) {
                ok(1, "another user is refused # SKIP needs root");
                return;
        }
        chmod(dir, 0755);
        chmod(sock_path, 0666);
        if (pipe(fds) < 0)
                return;
        pid = fork();
        if (pid == 0) {
                struct err err = ERR_INIT;
                ssize_t n;
                int fd;

                if (setgid(65534) < 0 || setuid(65534) < 0 ||
                    fd_connect_unix(sock_path, &fd, &err) < 0)
                        _exit(1);
                n = recv(fd, buf, sizeof(buf) - 1, MSG_WAITALL);
                _exit(n > 0 && write(fds[1], buf, (size_t)n) == n ? 0 : 2);
        }
        close(fds[1]);
        fcntl(fds[0], F_SETFL, O_NONBLOCK);
        for (int i = 0; i < 1000000 && read(fds[0], buf, sizeof(buf) - 1) < 0; i++)
                ev_run(loop, EVRUN_NOWAIT);
        has_str(buf, " 403 ", "another user is refused");
        has_str(buf, "another user", "and told why");
        close(fds[0]);
        waitpid(pid, &status, 0);
        UNTIL(server_connections(server) == 0);
}

static void on_shut(void *arg)
{
        (void)arg;
        seen.shut++;
}

static void test_shutdown(void)
{
        int idle = dial(), busy = dial();
        bool end = false;
        char *text;

        seen.held = NULL;
        say(busy, "GET /v1/hold HTTP/1.1\r\n\r\n");
        UNTIL(seen.held);
        server_shutdown(server, 5000, on_shut, NULL);
        text = hear(idle, NULL, &end);
        ok(end, "an idle connection is closed");
        free(text);
        ok(seen.shut == 0 && seen.held, "a busy one is waited for");
        response_json(seen.held, 200, json_pack("{s:i}", "last", 1));
        text = hear(busy, NULL, &end);
        has_str(text, "{\"last\":1}", "its answer arrives");
        free(text);
        close(busy);
        close(idle);
        UNTIL(seen.shut);
        is_int(seen.shut, 1, "then it is done");
}

int main(void)
{
        struct err err = ERR_INIT;
        int fd = -1;

        if (!mkdtemp(dir))
                return 1;
        sock_path = file_join(dir, "api.sock");
        loop = ev_loop_new(EVFLAG_AUTO);
        seen.body_fd = -1;
        if (fd_listen_unix(sock_path, &fd, &err) < 0 ||
            server_new(loop, fd, routes, ARRAY_SIZE(routes), &context, &server, &err) < 0)
                return 1;
        test_requests();
        test_keep_alive();
        test_async();
        test_stream();
        test_upload();
        test_upload_broken_off();
        test_upload_with_progress();
        test_upgrade();
        test_last_word();
        test_limit();
        test_peer();
        test_shutdown();
        server_free(server);
        ev_run(loop, EVRUN_NOWAIT);
        ev_loop_destroy(loop);
        file_remove_tree(dir, &err);
        free(sock_path);
        return tap_done();
}
