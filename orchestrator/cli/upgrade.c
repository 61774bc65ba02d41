/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/upgrade.h"

#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/daemon.h"

/* Longest head of an answer; berthd sends a few lines. */
#define HEAD_MAX 16384
/* Longest body of a refusal. */
#define REFUSAL_MAX (1 << 20)

/* "Content-Length: N" among the lines of a head. */
static int64_t content_length(const char *head, size_t n)
{
        static const char name[] = "content-length:";
        const char *line = head, *end = head + n;
        int64_t length;

        while (line < end) {
                const char *next = memchr(line, '\n', (size_t)(end - line));
                size_t len = next ? (size_t)(next - line) : (size_t)(end - line);

                if (len > sizeof(name) && strncasecmp(line, name, sizeof(name) - 1) == 0) {
                        const char *value = line + sizeof(name) - 1;
                        AUTO_FREE char *text = NULL;

                        value += strspn(value, " ");
                        text = xstrndup(value, strcspn(value, " \r\n"));
                        return value_int(text, 0, REFUSAL_MAX, &length, NULL) < 0 ? -1 : length;
                }
                line += len + 1;
        }
        return -1;
}

ssize_t upgrade_parse_head(const char *data, size_t n, long *ret_status, int64_t *ret_length,
                           struct err *err)
{
        static const char start[] = "HTTP/1.1 ";
        const char *end = memmem(data, n, "\r\n\r\n", 4);
        size_t known = n < sizeof(start) - 1 ? n : sizeof(start) - 1;
        const char *status = data + sizeof(start) - 1;

        if (memcmp(data, start, known) != 0)
                return err_set(err, EBADMSG, "berthd's answer is not HTTP/1.1");
        if (!end)
                return 0;
        for (int i = 0; i < 3; i++)
                if (status[i] < '0' || status[i] > '9')
                        return err_set(err, EBADMSG, "berthd's answer has no status");
        *ret_status = (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0');
        *ret_length = content_length(data, (size_t)(end - data));
        return end - data + 4;
}

static int send_request(int fd, const char *path, const char *protocol, const json_t *request,
                        struct err *err)
{
        AUTO_FREE char *body = json_text(request);
        AUTO_FREE char *text = xasprintf("POST %s HTTP/1.1\r\nHost: berth\r\n"
                                         "Connection: Upgrade\r\nUpgrade: %s\r\n"
                                         "Content-Type: application/json\r\n"
                                         "Content-Length: %zu\r\n\r\n%s",
                                         path, protocol, strlen(body), body);

        return fd_send(fd, text, strlen(text), NULL, 0, err); /* an end is no SIGPIPE */
}

/* Read more into buffer. 0: the other side ended. */
static ssize_t read_more(int fd, struct strbuf *buffer, struct err *err)
{
        char chunk[4096];
        ssize_t n;

        do {
                n = read(fd, chunk, sizeof(chunk));
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return err_errno(err, errno, "read from berthd");
        strbuf_add(buffer, chunk, (size_t)n);
        if (strbuf_failed(buffer))
                return err_set(err, EBADMSG, "berthd's answer is too long");
        return n;
}

static int read_refusal(int fd, long status, int64_t length, struct strbuf *buffer, struct err *err)
{
        ssize_t n = 1;

        while (n > 0 && (length < 0 || buffer->len < (size_t)length))
                n = read_more(fd, buffer, err);
        if (n < 0)
                return (int)n;
        return client_error(status, strbuf_str(buffer), buffer->len, err);
}

/* -ECONNRESET and -ECONNREFUSED: a daemon that was just ending has not read the request. */
static int try(const char *socket, const char *path, const char *protocol, const json_t *request,
               int *ret_fd, struct strbuf *rest, struct err *err)
{
        AUTO_STRBUF struct strbuf buffer = STRBUF_INIT(HEAD_MAX + REFUSAL_MAX);
        AUTO_CLOSE int fd = -1;
        int64_t length = -1;
        long status = 0;
        ssize_t head = 0;
        int r = fd_connect_unix(socket, &fd, err);

        if (r < 0)
                return r;
        r = send_request(fd, path, protocol, request, err);
        if (r == -EPIPE)
                return err_set(err, ECONNRESET, "berthd ended before it read the request");
        if (r < 0)
                return r;
        while (head == 0) {
                ssize_t n = read_more(fd, &buffer, err);

                if (n == 0 || (n == -ECONNRESET && buffer.len > 0))
                        return err_set(err, EPIPE, "berthd ended before it answered");
                if (n < 0)
                        return (int)n;
                head = upgrade_parse_head(strbuf_str(&buffer), buffer.len, &status, &length, err);
        }
        if (head < 0)
                return (int)head;
        strbuf_consume(&buffer, (size_t)head);
        if (status != 101)
                return read_refusal(fd, status, length, &buffer, err);
        strbuf_add(rest, strbuf_str(&buffer), buffer.len);
        *ret_fd = steal_fd(&fd);
        return 0;
}

int upgrade(struct cli *cli, const char *path, const char *protocol, const json_t *request,
            int *ret_fd, struct strbuf *rest, struct err *err)
{
        AUTO_FREE char *socket = roots_run_path(&cli->roots, API_SOCKET_NAME);

        for (int attempt = 1;; attempt++) {
                int r = daemon_ensure(cli, err); /* starts another when the last has ended */

                if (r == 0)
                        r = try(socket, path, protocol, request, ret_fd, rest, err);
                if ((r != -ECONNREFUSED && r != -ECONNRESET) || attempt == CLIENT_ATTEMPTS_MAX)
                        return r;
                cli->have_daemon = false;
        }
}
