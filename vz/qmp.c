/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/qmp.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "vz/qmp_message.h"

#define OUT_MAX   (64 << 10)
#define READ_SIZE 4096

enum state { GREETING, NEGOTIATING, READY, CLOSED };

struct pending {
        struct pending *next;
        struct qmp *qmp;
        int64_t id;
        ev_timer timer;
        qmp_reply *reply;
        void *ctx;
};

/* A descriptor that goes with the first byte of a command. */
struct parcel {
        int fd;
        size_t at; /* where in `unsent` that byte is */
};

struct qmp {
        struct ev_loop *loop;
        enum state state;
        int fd;
        bool freed; /* qmp_free was called from a callback: memory goes after this turn */
        ev_io in, out;
        ev_timer greeting;
        struct strbuf unread, unsent;
        struct parcel *parcels; /* NULL: none; each has a pending command */
        size_t parcels_len;
        int64_t last_id;
        struct pending *pending; /* commands without an answer, the last one first */
        const struct qmp_events *events;
        void *ctx;
};

static void stop(struct qmp *q)
{
        q->state = CLOSED;
        ev_io_stop(q->loop, &q->in);
        ev_io_stop(q->loop, &q->out);
        ev_timer_stop(q->loop, &q->greeting);
        if (q->fd >= 0)
                (void)close(q->fd); /* a socket has nothing to lose here */
        q->fd = -1;
        for (size_t i = 0; i < q->parcels_len; i++)
                (void)close(q->parcels[i].fd); /* a copy for the road */
        q->parcels_len = 0;
        free(STEAL(q->parcels));
}

static void forget(struct pending *p)
{
        struct pending **at = &p->qmp->pending;

        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        ev_timer_stop(p->qmp->loop, &p->timer);
        loop_defer_free(p->qmp->loop, free, p);
}

/* End a command. It is forgotten before the callback, which may send the next one. */
static void answer(struct pending *p, const json_t *value, const struct err *err)
{
        forget(p);
        p->reply(p->ctx, value, err);
}

static void fail(struct qmp *q, const struct err *why)
{
        struct err err = *why;

        if (q->state == CLOSED)
                return;
        stop(q);
        while (q->pending && !q->freed)
                answer(q->pending, NULL, &err);
        if (!q->freed)
                q->events->on_close(q->ctx, &err);
}

static void on_command_late(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct pending *p = container_of(w, struct pending, timer);
        struct err err = ERR_INIT;

        (void)loop;
        (void)revents;
        (void)err_set(&err, ETIMEDOUT, "qmp: QEMU did not answer in time");
        answer(p, NULL, &err);
}

static void on_greeting_late(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct qmp *q = container_of(w, struct qmp, greeting);
        struct err err = ERR_INIT;

        (void)loop;
        (void)revents;
        (void)err_set(&err, ETIMEDOUT, "qmp: no greeting from QEMU within %d s",
                      QMP_GREETING_MS / 1000);
        fail(q, &err);
}

/* What n sent bytes took along. */
static void sent(struct qmp *q, size_t n)
{
        size_t gone = q->parcels_len && q->parcels[0].at < n;

        if (gone)
                (void)close(q->parcels[0].fd); /* QEMU has its own */
        q->parcels_len -= gone;
        for (size_t i = 0; i < q->parcels_len; i++)
                q->parcels[i] =
                        (struct parcel){q->parcels[i + gone].fd, q->parcels[i + gone].at - n};
        if (q->parcels_len == 0)
                free(STEAL(q->parcels));
        strbuf_consume(&q->unsent, n);
        if (q->unsent.len == 0)
                strbuf_release(&q->unsent); /* nothing is said to a VM that just runs */
}

/* One piece: up to the next descriptor, which has to come with the first byte of its command. */
static ssize_t send_piece(struct qmp *q)
{
        bool with_fd = q->parcels_len && q->parcels[0].at == 0;
        size_t next = with_fd ? 1 : 0;
        struct iovec iov = {.iov_base = q->unsent.data, .iov_len = q->unsent.len};
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

        if (next < q->parcels_len)
                iov.iov_len = q->parcels[next].at;
        if (with_fd) {
                struct cmsghdr *head;

                msg.msg_control = control;
                msg.msg_controllen = sizeof(control);
                head = CMSG_FIRSTHDR(&msg);
                head->cmsg_level = SOL_SOCKET;
                head->cmsg_type = SCM_RIGHTS;
                head->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(head), &q->parcels[0].fd, sizeof(int));
        }
        return sendmsg(q->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int flush(struct qmp *q, struct err *err)
{
        while (q->unsent.len) {
                ssize_t n = send_piece(q);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0)
                        return err_errno(err, errno, "qmp: send");
                sent(q, (size_t)n);
        }
        if (q->unsent.len)
                ev_io_start(q->loop, &q->out);
        else
                ev_io_stop(q->loop, &q->out);
        return 0;
}

static void on_socket_writable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct qmp *q = container_of(w, struct qmp, out);
        struct err err = ERR_INIT;

        (void)loop;
        (void)revents;
        if (flush(q, &err) < 0)
                fail(q, &err);
}

static size_t count_pending(const struct qmp *q)
{
        size_t n = 0;

        for (const struct pending *p = q->pending; p; p = p->next)
                n++;
        return n;
}

static void expect_answer(struct qmp *q, unsigned timeout_ms, qmp_reply *reply, void *ctx)
{
        struct pending *p = xnew(struct pending);

        p->next = q->pending;
        q->pending = p;
        p->qmp = q;
        p->id = ++q->last_id;
        p->reply = reply;
        p->ctx = ctx;
        ev_timer_init(&p->timer, on_command_late, timeout_ms / 1e3, 0.0);
        ev_timer_start(q->loop, &p->timer);
}

static int send_command(struct qmp *q, const char *command, json_t *arguments, unsigned timeout_ms,
                        qmp_reply *reply, void *ctx, struct err *err)
{
        AUTO_JSON json_t *args = arguments;
        AUTO_JSON json_t *message = json_object();
        AUTO_FREE char *text = NULL;

        if (count_pending(q) >= QMP_PENDING_MAX)
                return err_set(err, EBUSY, "qmp: %d commands wait for QEMU already",
                               QMP_PENDING_MAX);
        json_set_str(message, "execute", command);
        json_set_int(message, "id", q->last_id + 1);
        if (args)
                (void)json_object_set(message, "arguments", args); /* aborts when out of memory */
        text = json_text(message);
        if (q->unsent.len + strlen(text) + 1 > OUT_MAX)
                return err_set(err, ENOBUFS, "qmp: QEMU does not read");
        strbuf_addf(&q->unsent, "%s\n", text);
        expect_answer(q, timeout_ms, reply, ctx);
        /* Sent from the loop: a failure must not come back from inside this call. */
        ev_io_start(q->loop, &q->out);
        return 0;
}

static void on_negotiated(void *ctx, const json_t *value, const struct err *err)
{
        struct qmp *q = ctx;

        if (!value) {
                fail(q, err);
                return;
        }
        q->state = READY;
        ev_timer_stop(q->loop, &q->greeting);
        q->events->on_ready(q->ctx);
}

static int take_greeting(struct qmp *q, struct err *err)
{
        if (q->state != GREETING)
                return err_set(err, EPROTO, "qmp: a second greeting");
        q->state = NEGOTIATING;
        return send_command(q, "qmp_capabilities", NULL, QMP_GREETING_MS, on_negotiated, q, err);
}

/* An answer that nobody waits for came after its time-out: dropped. */
static void take_answer(struct qmp *q, const struct qmp_message *m)
{
        struct err err = ERR_INIT;

        for (struct pending *p = q->pending; p; p = p->next) {
                if (p->id != m->id)
                        continue;
                if (m->kind == QMP_ERROR)
                        (void)err_set(&err, EIO, "qmp: %s", m->name);
                answer(p, m->kind == QMP_RETURN ? m->data : NULL, &err);
                return;
        }
}

static int take_line(struct qmp *q, const char *line, size_t len, struct err *err)
{
        struct qmp_message m = {.id = -1};
        int r = qmp_message_parse(line, len, &m, err);

        if (r < 0)
                return r;
        if (m.kind == QMP_GREETING)
                r = take_greeting(q, err);
        else if (q->state == GREETING)
                r = err_set(err, EPROTO, "qmp: no greeting");
        else if (m.kind != QMP_EVENT)
                take_answer(q, &m);
        else if (q->state == READY)
                q->events->on_event(q->ctx, m.name, m.data);
        qmp_message_release(&m);
        return r;
}

static int take_lines(struct qmp *q, struct err *err)
{
        size_t done = 0;
        int r = 0;

        while (r == 0 && !q->freed && q->state != CLOSED) {
                const char *line = q->unread.data + done;
                const char *end = memchr(line, '\n', q->unread.len - done);

                if (!end)
                        break;
                done += (size_t)(end - line) + 1;
                if (end > line + 1) /* an empty line, or "\r" alone, says nothing */
                        r = take_line(q, line, (size_t)(end - line), err);
        }
        strbuf_consume(&q->unread, done);
        if (q->unread.len == 0)
                strbuf_release(&q->unread);
        if (r == 0 && q->unread.len >= QMP_LINE_MAX)
                r = err_set(err, EPROTO, "qmp: a line longer than %d bytes", QMP_LINE_MAX);
        return r;
}

static void on_socket_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct qmp *q = container_of(w, struct qmp, in);
        struct err err = ERR_INIT;
        char chunk[READ_SIZE];
        ssize_t n = recv(q->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        int r = 0;

        (void)loop;
        (void)revents;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n < 0) {
                r = err_errno(&err, errno, "qmp: receive");
        } else if (n == 0) {
                r = err_set(&err, EPIPE, "qmp: QEMU hung up");
        } else {
                strbuf_add(&q->unread, chunk, (size_t)n);
                r = take_lines(q, &err);
        }
        if (r < 0 && !q->freed)
                fail(q, &err);
}

int qmp_attach_fd(struct ev_loop *loop, int fd, const struct qmp_events *events, void *ctx,
                  struct qmp **ret_qmp, struct err *err)
{
        AUTO_CLOSE int sock = fd;
        struct qmp *q;
        int r = fd_set_nonblock(sock, err);

        if (r < 0)
                return r;
        q = xnew(struct qmp);
        q->loop = loop;
        q->fd = steal_fd(&sock);
        q->events = events;
        q->ctx = ctx;
        q->unread = (struct strbuf)STRBUF_INIT(QMP_LINE_MAX + READ_SIZE);
        q->unsent = (struct strbuf)STRBUF_INIT(OUT_MAX);
        ev_io_init(&q->in, on_socket_readable, q->fd, EV_READ);
        ev_io_init(&q->out, on_socket_writable, q->fd, EV_WRITE);
        ev_timer_init(&q->greeting, on_greeting_late, QMP_GREETING_MS / 1e3, 0.0);
        ev_io_start(loop, &q->in);
        ev_timer_start(loop, &q->greeting);
        *ret_qmp = q;
        return 0;
}

int qmp_connect(struct ev_loop *loop, const char *path, const struct qmp_events *events, void *ctx,
                struct qmp **ret_qmp, struct err *err)
{
        int fd, r = fd_connect_unix(path, &fd, err);

        if (r < 0)
                return r;
        return qmp_attach_fd(loop, fd, events, ctx, ret_qmp, err);
}

int qmp_execute_fd(struct qmp *q, const char *command, json_t *arguments, int fd,
                   unsigned timeout_ms, qmp_reply *reply, void *ctx, struct err *err)
{
        size_t at = q->unsent.len;
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), r;

        if (copy < 0) {
                json_decref(arguments);
                return err_errno(err, errno, "qmp: %s: copy a descriptor", command);
        }
        r = qmp_execute(q, command, arguments, timeout_ms, reply, ctx, err);
        if (r < 0)
                (void)close(copy); /* not on its way */
        else
                *array_push(&q->parcels, &q->parcels_len) = (struct parcel){copy, at};
        return r;
}

int qmp_execute(struct qmp *q, const char *command, json_t *arguments, unsigned timeout_ms,
                qmp_reply *reply, void *ctx, struct err *err)
{
        assert(reply);
        assert(!q->freed);
        if (q->state != READY) {
                json_decref(arguments);
                return err_set(err, ENOTCONN, "qmp: %s: no conversation with QEMU", command);
        }
        return send_command(q, command, arguments, timeout_ms, reply, ctx, err);
}

static void destroy(void *p)
{
        struct qmp *q = p;

        strbuf_release(&q->unread);
        strbuf_release(&q->unsent);
        free(q);
}

void qmp_free(struct qmp *q)
{
        if (!q || q->freed)
                return;
        stop(q);
        while (q->pending)
                forget(q->pending);
        q->freed = true;
        loop_defer_free(q->loop, destroy, q);
}
