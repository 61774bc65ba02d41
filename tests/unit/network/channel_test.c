/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "network/channel.h"
#include "tests/tap.h"

struct side {
        struct channel *ch;
        int messages, fds, closed;
        int last_fd;
        int64_t last_id, sum;
        size_t last_size;
        char reason[512];
        bool close_at_once;
};

static void on_message(void *ctx, const json_t *message, int fd)
{
        struct side *s = ctx;

        s->messages++;
        s->last_id = json_int(message, "id", -1);
        s->sum += s->last_id;
        s->last_size = strlen(json_str(message, "text", ""));
        if (fd >= 0) {
                s->fds++;
                if (s->last_fd >= 0)
                        (void)close(s->last_fd);
                s->last_fd = fd;
        }
        if (s->close_at_once)
                channel_close(STEAL(s->ch));
}

static void on_closed(void *ctx, const struct err *err)
{
        struct side *s = ctx;

        s->closed++;
        (void)snprintf(s->reason, sizeof(s->reason), "%s", err->msg);
        channel_close(STEAL(s->ch));
}

static struct ev_loop *loop;

static void turns(int n)
{
        for (int i = 0; i < n; i++)
                ev_run(loop, EVRUN_NOWAIT);
}

static void side_start(struct side *s, int fd)
{
        const struct channel_events events = {on_message, on_closed, s};

        *s = (struct side){.last_fd = -1};
        s->ch = channel_new(loop, fd, &events);
}

static void send_id(struct side *s, int64_t id, const char *text, int fd)
{
        AUTO_JSON json_t *j = json_object();

        json_set_int(j, "id", id);
        json_set_str(j, "text", text);
        (void)channel_send(s->ch, j, fd, NULL);
}

static void pair(struct side *a, struct side *b)
{
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                abort();
        side_start(a, fds[0]);
        side_start(b, fds[1]);
}

static void side_end(struct side *s)
{
        channel_close(STEAL(s->ch));
        if (s->last_fd >= 0)
                (void)close(s->last_fd);
        turns(2);
}

static void test_messages(void)
{
        enum { N = 2000 };

        char *big = xcalloc(1, (1 << 20) + 1);
        struct side a, b;

        pair(&a, &b);
        send_id(&a, 1, "x", -1);
        turns(2);
        is_int(b.messages, 1, "a message arrives");
        is_int(b.last_id, 1, "with its content");
        memset(big, 'x', 1 << 20);
        send_id(&a, 2, big, open("/dev/null", O_RDONLY | O_CLOEXEC));
        for (int i = 3; i <= N; i++)
                send_id(&a, i, "y", i % 500 ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC));
        turns(1000);
        is_int(b.messages, N, "a long one and many short ones, more than a socket holds");
        is_int(b.sum, (int64_t)N * (N + 1) / 2, "all of them");
        is_int(b.last_id, N, "in order");
        is_int(b.fds, 5, "and every descriptor with its message");
        ok(b.last_fd >= 0 && fcntl(b.last_fd, F_GETFD) == FD_CLOEXEC, "close-on-exec");
        side_end(&a);
        turns(2);
        is_int(b.closed, 1, "the end is told");
        side_end(&b);
        free(big);
}

static void test_full(void)
{
        char *big = xcalloc(1, (1 << 20) + 1);
        AUTO_JSON json_t *j = json_object();
        struct err err = ERR_INIT;
        int fds[2], r = 0;
        struct side a;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                abort();
        side_start(&a, fds[0]); /* nobody reads fds[1] */
        memset(big, 'x', 1 << 20);
        json_set_str(j, "text", big);
        for (int i = 0; i < 16 && r == 0; i++)
                r = channel_send(a.ch, j, -1, &err);
        is_int(r, -ENOBUFS, "a peer that does not read: the queue is bounded");
        has_str(err.msg, "no room", "and says so");
        side_end(&a);
        (void)close(fds[1]);
        free(big);
}

static void test_malformed(const char *bytes, size_t n, const char *reason, const char *what)
{
        struct side a;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                abort();
        side_start(&a, fds[0]);
        (void)fd_set_nonblock(fds[1], NULL);
        for (size_t done = 0; done < n && !a.closed;) {
                ssize_t sent = send(fds[1], bytes + done, n - done, MSG_NOSIGNAL);

                done += sent > 0 ? (size_t)sent : 0;
                turns(1);
        }
        turns(200);
        is_int(a.closed, 1, "%s: closed, once", what);
        has_str(a.reason, reason, "%s: the reason", what);
        side_end(&a);
        (void)close(fds[1]);
}

static void test_close_in_callback(void)
{
        struct side a, b;

        pair(&a, &b);
        b.close_at_once = true;
        send_id(&a, 1, "x", -1);
        send_id(&a, 2, "x", -1);
        turns(3);
        is_int(b.messages, 1, "closed in its callback: nothing comes after");
        is_int(a.closed, 1, "and the peer is told");
        side_end(&a);
        side_end(&b);
}

int main(void)
{
        size_t huge_len = CHANNEL_LINE_MAX + 10;
        char *huge = xcalloc(1, huge_len);

        loop = ev_default_loop(EVFLAG_AUTO);
        test_messages();
        test_full();
        memset(huge, 'x', huge_len);
        test_malformed(huge, huge_len, "above", "a line without end");
        test_malformed("{\"id\":\n", 7, "control message", "broken JSON");
        test_malformed("{\"id\":1,\"fd\":true}\n", 19, "descriptor",
                       "a descriptor that is missing");
        test_close_in_callback();
        free(huge);
        ev_loop_destroy(loop);
        return tap_done();
}
