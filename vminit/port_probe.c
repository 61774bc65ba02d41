/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/port_probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REQUEST_MAX 2048
#define ANSWER_MAX  512 /* its first line is what counts */

__attribute__((format(printf, 1, 2))) _Noreturn static void fail(const char *fmt, ...)
{
        char text[REQUEST_MAX];
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        (void)!write(STDOUT_FILENO, text,
                     strlen(text)); /* if nobody reads it, nobody can be told */
        _exit(1);
}

static int connect_to(const char *kind, const char *address, const char *port)
{
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1)
                fail("%s %s:%s: no such address", kind, address, port);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
                fail("%s %s:%s: %s", kind, address, port, strerror(errno));
        return fd;
}

static void send_all(int fd, const char *text, const char *port)
{
        for (size_t len = strlen(text); len;) {
                ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

                if (n < 0 && errno != EINTR)
                        fail("http port %s: send: %s", port, strerror(errno));
                text += n > 0 ? n : 0;
                len -= n > 0 ? (size_t)n : 0;
        }
}

/* Until the first line is there, or no more comes. */
static void receive_line(int fd, char *buf, size_t size, const char *port)
{
        size_t len = 0;

        while (len < size - 1) {
                ssize_t n = recv(fd, buf + len, size - 1 - len, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        fail("http port %s: receive: %s", port, strerror(errno));
                if (n == 0)
                        break;
                len += (size_t)n;
                if (memchr(buf, '\n', len))
                        break;
        }
        buf[len] = '\0';
        buf[strcspn(buf, "\r\n")] = '\0';
}

static void get(int fd, const char *const *args)
{
        const char *address = args[2], *port = args[3], *path = args[4];
        unsigned long wanted = strtoul(args[5], NULL, 10), status;
        char buf[REQUEST_MAX], *end;
        int n = snprintf(buf, sizeof(buf),
                         "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: berth\r\nAccept: */*\r\n"
                         "Connection: close\r\n\r\n",
                         path, address, port);

        if (n < 0 || n >= (int)sizeof(buf))
                fail("http port %s: the path is too long", port);
        send_all(fd, buf, port);
        receive_line(fd, buf, ANSWER_MAX, port);
        if (strncmp(buf, "HTTP/1.", 7) != 0 || strlen(buf) < 12)
                fail("GET %s: the answer is not HTTP", path);
        status = strtoul(buf + 9, &end, 10);
        if (wanted ? status != wanted : status < 200 || status > 399)
                fail("GET %s: %.100s", path, buf + 9);
}

_Noreturn void port_probe(const char *const *args)
{
        size_t n = 0;
        int fd;

        (void)syscall(SYS_close_range, 3u, ~0u, 0u); /* what vminit has open is not for us */
        while (args[n])
                n++;
        if (!(n == 4 && strcmp(args[1], "tcp") == 0) && !(n == 6 && strcmp(args[1], "http") == 0))
                fail("unknown test");
        fd = connect_to(args[1], args[2], args[3]);
        if (n == 6)
                get(fd, args);
        _exit(0);
}
