/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of a port, against servers of our own that answer well, badly and not at all. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tap.h"
#include "vminit/port_probe.h"
#include "vminit/wire.h"

/* A listening socket of loopback, and its port as text. */
static int server(char *ret_port)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(at);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 4) ||
            getsockname(fd, (struct sockaddr *)&at, &len))
                abort();
        (void)snprintf(ret_port, 6, "%u", ntohs(at.sin_port));
        return fd;
}

/* Run a test; answer: what the server says; NULL: it is not asked. */
static int probe(const char *const *args, int listener, const char *answer, char *ret_text,
                 size_t size)
{
        int out[2], status, fd;
        char request[512];
        ssize_t n;
        pid_t pid;

        if (pipe(out))
                abort();
        pid = fork();
        if (pid == 0) {
                (void)dup2(out[1], STDOUT_FILENO);
                port_probe(args);
        }
        close(out[1]);
        if (answer) {
                fd = accept(listener, NULL, NULL);
                n = read(fd, request, sizeof(request));
                (void)!write(fd, answer, n > 0 ? strlen(answer) : 0);
                close(fd);
        }
        n = read(out[0], ret_text, size - 1);
        ret_text[n > 0 ? n : 0] = '\0';
        close(out[0]);
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_tcp(void)
{
        char port[6], text[300], expected[100];
        int fd = server(port);
        const char *const args[] = {PORT_PROBE, "tcp", "127.0.0.1", port, NULL};

        is_int(probe(args, fd, NULL, text, sizeof(text)), 0, "a port that is open");
        is_str(text, "", "nothing to say");
        close(fd);
        (void)snprintf(expected, sizeof(expected), "tcp 127.0.0.1:%s: Connection refused", port);
        is_int(probe(args, fd, NULL, text, sizeof(text)), 1, "one that is not");
        is_str(text, expected, "and why");
}

static void test_http(void)
{
        static const struct {
                const char *status, *answer, *text;
        } cases[] = {
                {"0", "HTTP/1.1 200 OK\r\n\r\nhello", ""},
                {"0", "HTTP/1.0 302 Found\r\n\r\n", ""},
                {"0", "HTTP/1.1 503 Service Unavailable\r\n\r\n",
                 "GET /up: 503 Service Unavailable"},
                {"204", "HTTP/1.1 200 OK\r\n\r\n", "GET /up: 200 OK"},
                {"204", "HTTP/1.1 204\r\n\r\n", ""},
                {"0", "SSH-2.0-OpenSSH_9.2\r\n", "GET /up: the answer is not HTTP"},
                {"0", "", "GET /up: the answer is not HTTP"},
        };

        char port[6], text[300];
        int fd = server(port);

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const char *const args[] = {PORT_PROBE, "http",          "127.0.0.1", port,
                                            "/up",      cases[i].status, NULL};

                is_int(probe(args, fd, cases[i].answer, text, sizeof(text)), *cases[i].text != '\0',
                       "exit code for '%.20s'", cases[i].answer);
                is_str(text, cases[i].text, "what is said");
        }
        close(fd);
}

static void test_odd(void)
{
        const char *const args[] = {PORT_PROBE, "udp", "127.0.0.1", "1", NULL};
        const char *const address[] = {PORT_PROBE, "tcp", "localhost", "1", NULL};
        char text[300];

        is_int(probe(args, -1, NULL, text, sizeof(text)), 1, "an unknown test");
        is_int(probe(address, -1, NULL, text, sizeof(text)), 1, "an address that is none");
        is_str(text, "tcp localhost:1: no such address", "is told");
}

int main(void)
{
        test_tcp();
        test_http();
        test_odd();
        return tap_done();
}
