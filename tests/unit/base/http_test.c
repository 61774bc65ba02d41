/* SPDX-License-Identifier: Apache-2.0 */
/* Against a child process that plays a fixed part for each connection. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/http.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tests/tap.h"

static char *socket_path;

static void put(int fd, const char *text)
{
        (void)!write(fd, text, strlen(text)); /* the client's side of the test tells */
}

/* The head and a body of Content-Length or of one chunked upload, into text. */
static void read_request(int fd, struct strbuf *text)
{
        char chunk[4096];
        const char *body = NULL, *length;
        ssize_t n;

        for (;;) {
                body = strstr(strbuf_str(text), "\r\n\r\n");
                length = strstr(strbuf_str(text), "Content-Length: ");
                if (body && !length && !strstr(strbuf_str(text), "chunked"))
                        return;
                if (body && length && strlen(body + 4) >= strtoul(length + 16, NULL, 10))
                        return;
                if (body && strstr(body, "\r\n0\r\n\r\n"))
                        return;
                n = read(fd, chunk, sizeof(chunk));
                if (n <= 0)
                        return;
                strbuf_add(text, chunk, (size_t)n);
        }
}

static void play(int fd)
{
        AUTO_STRBUF struct strbuf request = STRBUF_INIT(1 << 20);
        const char *text;
        char start[9];

        if (recv(fd, start, sizeof(start), MSG_PEEK | MSG_WAITALL) == sizeof(start) &&
            memcmp(start, "GET /deaf", sizeof(start)) == 0)
                return; /* all of it is still in the socket */
        read_request(fd, &request);
        text = strbuf_str(&request);
        if (has_prefix(text, "GET /plain"))
                put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        else if (has_prefix(text, "GET /missing"))
                put(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
        else if (has_prefix(text, "GET /lines"))
                put(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "4\r\none\n\r\n2\r\ntw\r\n6\r\no\nthre\r\n2\r\ne\n\r\n0\r\n\r\n");
        else if (has_prefix(text, "GET /cut"))
                put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
        else if (has_prefix(text, "GET /silent"))
                (void)poll(NULL, 0, 10000); /* until the parent kills us or the client leaves */
        else if (has_prefix(text, "PUT") || has_prefix(text, "POST")) {
                AUTO_FREE char *answer = xasprintf(
                        "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", request.len, text);

                put(fd, answer);
        }
}

static pid_t serve(void)
{
        int listener = -1;
        pid_t pid;

        if (fd_listen_unix(socket_path, &listener, NULL) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                for (;;) {
                        struct pollfd p = {.fd = listener, .events = POLLIN};
                        int fd;

                        (void)poll(&p, 1, -1); /* accept tells */
                        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                        if (fd >= 0 && fork() == 0) {
                                alarm(20); /* whatever happens to the test */
                                play(fd);
                                _exit(0);
                        }
                        if (fd >= 0)
                                (void)close(fd); /* the grandchild has it */
                }
        }
        (void)close(listener); /* the child has it */
        return pid;
}

static int perform(const char *method, const char *path, struct http_request *request,
                   struct http_response *ret, struct err *err)
{
        request->socket = socket_path;
        request->method = method;
        request->path = path;
        return http_perform(request, ret, err);
}

static void test_collected(void)
{
        struct http_request request = {0};
        struct http_response response;
        struct err err = ERR_INIT;

        is_int(perform("GET", "/plain", &request, &response, &err), 0, "a plain answer");
        is_int(response.status, 200, "has a status");
        is_str(response.body, "hello", "and a body");
        http_response_release(&response);
        is_int(perform("GET", "/missing", &request, &response, &err), 0, "404 is an answer too");
        is_int(response.status, 404, "with its status");
        is_str(response.body, "none", "and its body");
        http_response_release(&response);
        is_int(perform("GET", "/cut", &request, &response, &err), -EPIPE,
               "an answer that breaks off is an error");
        has_str(err.msg, "lost", "that says so");
        ok(!response.unread, "and the request had been read");
        http_response_release(&response);
        is_int(perform("GET", "/gone", &request, &response, &err), -EPIPE, "no answer at all");
        ok(!response.unread, "to a request that had been read");
        http_response_release(&response);
        is_int(perform("GET", "/deaf", &request, &response, &err), -EPIPE, "nobody reads it");
        ok(response.unread, "and that is known");
        http_response_release(&response);
}

struct lines {
        struct strbuf text;
        unsigned count, stop_at, ticks;
};

static int on_line(void *arg, const char *line, size_t len)
{
        struct lines *lines = arg;

        strbuf_addf(&lines->text, "[%.*s]", (int)len, line);
        return ++lines->count == lines->stop_at;
}

static int on_tick(void *arg)
{
        struct lines *lines = arg;

        return ++lines->ticks == 3;
}

static void test_lines(void)
{
        struct lines lines = {.text = STRBUF_INIT(1000)};
        struct http_request request = {.on_line = on_line, .arg = &lines};
        struct http_response response;

        is_int(perform("GET", "/lines", &request, &response, NULL), 0, "a stream of lines");
        is_str(strbuf_str(&lines.text), "[one][two][three]", "is cut at newlines, not at chunks");
        http_response_release(&response);
        strbuf_reset(&lines.text);
        lines.count = 0;
        lines.stop_at = 2;
        is_int(perform("GET", "/lines", &request, &response, NULL), HTTP_STOPPED, "can be stopped");
        is_str(strbuf_str(&lines.text), "[one][two]", "in the middle");
        http_response_release(&response);
        is_int(perform("GET", "/missing", &request, &response, NULL), 0, "an error answer");
        is_str(response.body, "none", "is collected, not streamed");
        http_response_release(&response);
        strbuf_release(&lines.text);
}

static void test_waiting(void)
{
        struct lines lines = {0};
        struct http_request request = {.deadline_ms = clock_mono_ms() + 50};
        struct http_response response;
        int pipefd[2];

        is_int(perform("GET", "/silent", &request, &response, NULL), HTTP_DEADLINE, "a deadline");
        http_response_release(&response);
        request = (struct http_request){.on_tick = on_tick, .tick_ms = 10, .arg = &lines};
        is_int(perform("GET", "/silent", &request, &response, NULL), HTTP_STOPPED, "ticks");
        is_int(lines.ticks, 3, "until one stops it");
        http_response_release(&response);
        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return;
        put(pipefd[1], "x");
        request = (struct http_request){.wake = true, .wake_fd = pipefd[0]};
        is_int(perform("GET", "/silent", &request, &response, NULL), HTTP_WOKEN,
               "a readable descriptor wakes");
        http_response_release(&response);
        (void)close(pipefd[0]); /* pipes */
        (void)close(pipefd[1]);
}

static void test_sending(void)
{
        struct http_request request = {.body = "{\"a\":1}"};
        AUTO_CLOSE int file = memfd_create("upload", MFD_CLOEXEC);
        struct http_response response;
        int pipefd[2];

        is_int(perform("PUT", "/x", &request, &response, NULL), 0, "a body is sent");
        has_str(response.body, "\r\n\r\n{\"a\":1}", "whole");
        has_str(response.body, "application/json", "as JSON");
        ok(!strstr(response.body, "Expect"), "without asking for permission first");
        http_response_release(&response);

        put(file, "from a file");
        (void)lseek(file, 5, SEEK_SET); /* a memfd can seek */
        request = (struct http_request){.upload = true, .upload_fd = file};
        is_int(perform("POST", "/x", &request, &response, NULL), 0, "a file is sent");
        has_str(response.body, "Content-Length: 6\r\n", "with the length of what is left");
        has_str(response.body, "\r\n\r\na file", "from where it stands");
        http_response_release(&response);

        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return;
        put(pipefd[1], "from a pipe");
        (void)close(pipefd[1]); /* the end of the input */
        request.upload_fd = pipefd[0];
        is_int(perform("POST", "/x", &request, &response, NULL), 0, "a pipe is sent");
        has_str(response.body, "from a pipe", "in chunks");
        http_response_release(&response);
        (void)close(pipefd[0]); /* a pipe */
}

static void test_nobody(void)
{
        struct http_request request = {0};
        struct http_response response;
        struct err err = ERR_INIT;

        (void)unlink(socket_path); /* that is the test */
        ok(perform("GET", "/plain", &request, &response, &err) < 0, "nobody serves");
        ok(err.code == ECONNREFUSED || err.code == ENOENT, "and the code says so");
        http_response_release(&response);
}

static void test_escape(void)
{
        AUTO_FREE char *text = http_escape("a/b:c d?e&f%\xc3\xa4~");

        is_str(text, "a%2Fb%3Ac%20d%3Fe%26f%25%C3%A4~", "percent encoding");
}

int main(void)
{
        char dir[] = "/tmp/berth-http-XXXXXX";
        pid_t pid;

        if (!mkdtemp(dir))
                return 1;
        socket_path = file_join(dir, "s");
        pid = serve();
        test_collected();
        test_lines();
        test_waiting();
        test_sending();
        test_nobody();
        test_escape();
        if (pid > 0) {
                (void)kill(pid, SIGKILL); /* our child */
                (void)waitpid(pid, NULL, 0);
        }
        free(socket_path);
        is_int(file_remove_tree(dir, NULL), 0, "nothing is left");
        return tap_done();
}
