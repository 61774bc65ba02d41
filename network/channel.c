/* SPDX-License-Identifier: Apache-2.0 */
#include "network/channel.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define CHANNEL_READ_SIZE 16384
/* Descriptors that may arrive ahead of the message that names them. */
#define CHANNEL_FDS_MAX 16

struct out_message {
        struct out_message *next;
        char *text;
        size_t len, sent;
        int fd;
};

struct channel {
        struct ev_loop *loop;
        int fd;
        ev_io reader, writer;
        ev_timer failure; /* tells on_closed from the loop */
        struct channel_events events;
        struct strbuf in;
        size_t scanned; /* bytes of `in` that hold no newline */
        int fds[CHANNEL_FDS_MAX];
        size_t fds_len;
        struct out_message *out, **out_tail;
        size_t out_bytes;
        struct err err;
        bool closed;
};

static void out_message_free(struct out_message *m)
{
        if (m->fd >= 0)
                (void)close(m->fd); /* nothing was written to it here */
        free(m->text);
        free(m);
}

static void channel_free(void *p)
{
        struct channel *ch = p;

        strbuf_release(&ch->in);
        free(ch);
}

static void channel_fail(struct channel *ch, const struct err *err)
{
        if (ch->closed || ch->err.code)
                return;
        ch->err = *err;
        ev_io_stop(ch->loop, &ch->reader);
        ev_io_stop(ch->loop, &ch->writer);
        ev_timer_start(ch->loop, &ch->failure);
}

static void on_failure_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct channel *ch = container_of(w, struct channel, failure);

        (void)loop;
        (void)revents;
        ch->events.on_closed(ch->events.ctx, &ch->err);
}

static int take_fd(struct channel *ch)
{
        int fd;

        if (!ch->fds_len)
                return -1;
        fd = ch->fds[0];
        memmove(ch->fds, ch->fds + 1, --ch->fds_len * sizeof(int));
        return fd;
}

static void deliver_line(struct channel *ch, const char *line, size_t n)
{
        AUTO_JSON json_t *message = NULL;
        struct err err = ERR_INIT;
        int fd = -1;

        if (json_parse(line, n, CHANNEL_LINE_MAX, "control message", &message, &err) < 0) {
                channel_fail(ch, &err);
                return;
        }
        if (json_bool(message, "fd", false)) {
                fd = take_fd(ch);
                if (fd < 0) {
                        (void)err_set(&err, EPROTO, "control message without its descriptor");
                        channel_fail(ch, &err);
                        return;
                }
        }
        ch->events.on_message(ch->events.ctx, message, fd);
}

static void deliver_lines(struct channel *ch)
{
        char *end;

        while (!ch->closed && !ch->err.code && ch->in.len > ch->scanned &&
               (end = memchr(ch->in.data + ch->scanned, '\n', ch->in.len - ch->scanned))) {
                size_t n = (size_t)(end - ch->in.data);

                deliver_line(ch, ch->in.data, n);
                ch->scanned = 0;
                strbuf_consume(&ch->in, n + 1);
        }
        ch->scanned = ch->in.len;
        if (!ch->in.len)
                strbuf_release(&ch->in); /* a long zone must not stay in memory */
}

static void keep_fds(struct channel *ch, const int *fds)
{
        for (size_t i = 0; i < FD_PASS_MAX; i++) {
                if (fds[i] < 0)
                        continue;
                if (ch->fds_len < CHANNEL_FDS_MAX)
                        ch->fds[ch->fds_len++] = fds[i];
                else
                        (void)close(fds[i]); /* more than any peer of ours sends */
        }
}

static void channel_read(struct channel *ch)
{
        char chunk[CHANNEL_READ_SIZE];
        struct err err = ERR_INIT;
        int fds[FD_PASS_MAX];
        ssize_t n = fd_recv(ch->fd, chunk, sizeof(chunk), fds, &err);

        if (n == -EAGAIN)
                return;
        if (n == 0)
                (void)err_set(&err, ECONNRESET, "the other end closed the control connection");
        if (n <= 0) {
                channel_fail(ch, &err);
                return;
        }
        keep_fds(ch, fds);
        strbuf_add(&ch->in, chunk, (size_t)n);
        if (strbuf_failed(&ch->in)) {
                (void)err_set(&err, EFBIG, "control message above %d bytes", CHANNEL_LINE_MAX);
                channel_fail(ch, &err);
                return;
        }
        deliver_lines(ch);
}

static void on_channel_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        (void)loop;
        (void)revents;
        channel_read(container_of(w, struct channel, reader));
}

/* One sendmsg of what is left of a message; the descriptor goes with the first byte. */
static ssize_t send_some(int sock, const struct out_message *m)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = m->text + m->sent, .iov_len = m->len - m->sent};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n;

        if (m->fd >= 0) {
                struct cmsghdr *c;

                memset(&control, 0, sizeof(control));
                msg.msg_control = control.bytes;
                msg.msg_controllen = sizeof(control.bytes);
                c = CMSG_FIRSTHDR(&msg);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &m->fd, sizeof(int));
        }
        do {
                n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        return n;
}

static void channel_flush(struct channel *ch)
{
        while (ch->out) {
                struct out_message *m = ch->out;
                ssize_t n = send_some(ch->fd, m);

                if (n < 0 && errno == EAGAIN) {
                        ev_io_start(ch->loop, &ch->writer);
                        return;
                }
                if (n < 0) {
                        struct err err = ERR_INIT;

                        (void)err_errno(&err, errno, "control connection");
                        channel_fail(ch, &err);
                        return;
                }
                if (m->fd >= 0)
                        (void)close(steal_fd(&m->fd)); /* the peer has its copy */
                m->sent += (size_t)n;
                ch->out_bytes -= (size_t)n;
                if (m->sent < m->len)
                        continue;
                ch->out = m->next;
                if (!ch->out)
                        ch->out_tail = &ch->out;
                out_message_free(m);
        }
        ev_io_stop(ch->loop, &ch->writer);
}

static void on_channel_writable(struct ev_loop *loop, ev_io *w, int revents)
{
        (void)loop;
        (void)revents;
        channel_flush(container_of(w, struct channel, writer));
}

struct channel *channel_new(struct ev_loop *loop, int fd, const struct channel_events *events)
{
        struct channel *ch = xnew(struct channel);

        assert(fd >= 0);
        ch->loop = loop;
        ch->fd = fd;
        ch->events = *events;
        ch->in.max = CHANNEL_LINE_MAX;
        ch->out_tail = &ch->out;
        (void)fd_set_nonblock(fd, NULL); /* cannot fail on an open socket */
        ev_io_init(&ch->reader, on_channel_readable, fd, EV_READ);
        ev_io_init(&ch->writer, on_channel_writable, fd, EV_WRITE);
        ev_timer_init(&ch->failure, on_failure_due, 0.0, 0.0);
        ev_io_start(loop, &ch->reader);
        return ch;
}

void channel_close(struct channel *ch)
{
        if (!ch || ch->closed)
                return;
        ch->closed = true;
        ev_io_stop(ch->loop, &ch->reader);
        ev_io_stop(ch->loop, &ch->writer);
        ev_timer_stop(ch->loop, &ch->failure);
        while (ch->out) {
                struct out_message *m = ch->out;

                ch->out = m->next;
                out_message_free(m);
        }
        for (size_t i = 0; i < ch->fds_len; i++)
                (void)close(ch->fds[i]); /* nobody asked for it */
        (void)close(ch->fd);             /* queued data is given up by contract */
        loop_defer_free(ch->loop, channel_free, ch);
}

int channel_send(struct channel *ch, json_t *message, int fd, struct err *err)
{
        struct out_message *m = xnew(struct out_message);
        bool idle = !ch->out;

        assert(!ch->closed);
        if (fd >= 0)
                json_set_bool(message, "fd", true);
        m->fd = fd;
        m->text = json_text(message);
        m->len = strlen(m->text);
        m->text[m->len++] = '\n'; /* in place of the NUL */
        if (ch->out_bytes + m->len > CHANNEL_OUT_MAX || m->len > CHANNEL_LINE_MAX) {
                size_t len = m->len;

                out_message_free(m);
                return err_set(err, ENOBUFS, "control connection: no room for %zu bytes", len);
        }
        *ch->out_tail = m;
        ch->out_tail = &m->next;
        ch->out_bytes += m->len;
        if (idle && !ch->err.code)
                channel_flush(ch);
        return 0;
}
