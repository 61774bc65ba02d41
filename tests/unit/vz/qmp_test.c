/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/mem.h"
#include "tests/tap.h"
#include "vz/qmp.h"
#include "vz/qmp_message.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"

struct seen {
        struct ev_loop *loop;
        struct qmp *qmp;
        int peer;
        int ready, events, closed, replies;
        int code; /* of the last reply or close */
        char text[512];
        bool free_in_reply;
};

static void on_ready(void *ctx)
{
        ((struct seen *)ctx)->ready++;
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
        struct seen *s = ctx;

        s->events++;
        (void)snprintf(s->text, sizeof(s->text), "%s %s", name, json_str(data, "reason", "-"));
}

static void on_close(void *ctx, const struct err *err)
{
        struct seen *s = ctx;

        s->closed++;
        s->code = err->code;
        (void)snprintf(s->text, sizeof(s->text), "%s", err->msg);
}

static void on_reply(void *ctx, const json_t *value, const struct err *err)
{
        struct seen *s = ctx;

        s->replies++;
        s->code = value ? 0 : err->code;
        (void)snprintf(s->text, sizeof(s->text), "%s",
                       value ? json_str(value, "status", "") : err->msg);
        if (s->free_in_reply)
                qmp_free(STEAL(s->qmp));
}

static const struct qmp_events events = {on_ready, on_event, on_close};

static void turns(struct seen *s)
{
        for (int i = 0; i < 5; i++)
                ev_run(s->loop, EVRUN_NOWAIT);
}

static void hear(struct seen *s, const char *text)
{
        (void)fd_write_all(s->peer, text, strlen(text), NULL);
        turns(s);
}

static const char *said(struct seen *s)
{
        static char buf[4096];
        ssize_t n = recv(s->peer, buf, sizeof(buf) - 1, MSG_DONTWAIT);

        buf[n > 0 ? n : 0] = 0;
        return buf;
}

static void open_pair(struct seen *s, struct ev_loop *loop)
{
        struct err err = ERR_INIT;
        int fds[2];

        *s = (struct seen){.loop = loop};
        (void)socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
        s->peer = fds[1];
        is_int(qmp_attach_fd(loop, fds[0], &events, s, &s->qmp, &err), 0, "attached");
}

static void shake_hands(struct seen *s, struct ev_loop *loop)
{
        open_pair(s, loop);
        hear(s, GREETING);
        is_str(said(s), "{\"execute\":\"qmp_capabilities\",\"id\":1}\n", "capabilities");
        hear(s, "{\"return\": {}, \"id\": 1}\r\n");
        is_int(s->ready, 1, "ready");
}

static void finish(struct seen *s)
{
        qmp_free(STEAL(s->qmp));
        (void)close(s->peer);
        turns(s);
}

static void test_course(struct ev_loop *loop)
{
        struct err err = ERR_INIT;
        struct seen s;

        open_pair(&s, loop);
        is_int(qmp_execute(s.qmp, "stop", json_object(), 1000, on_reply, &s, &err), -ENOTCONN,
               "not before it is ready");
        finish(&s);
        shake_hands(&s, loop);
        is_int(qmp_execute(s.qmp, "query-status", NULL, 1000, on_reply, &s, &err), 0, "sent");
        is_int(s.replies, 0, "no answer yet");
        turns(&s);
        is_str(said(&s), "{\"execute\":\"query-status\",\"id\":2}\n", "a command");
        hear(&s, "{\"return\": {\"sta");
        hear(&s, "tus\": \"running\"}, \"id\": 2}\r\n{\"event\": \"SHUTDOWN\", "
                 "\"data\": {\"reason\": \"guest-reset\"}}\r\n");
        is_int(s.replies, 1, "an answer in two pieces");
        is_int(s.events, 1, "and an event behind it");
        is_str(s.text, "SHUTDOWN guest-reset", "with data");
        hear(&s, "{\"event\": \"STOP\"}\n\r\n");
        is_str(s.text, "STOP -", "an event without data");
        (void)qmp_execute(s.qmp, "nope", json_pack("{s:i}", "a", 1), 1000, on_reply, &s, &err);
        turns(&s);
        is_str(said(&s), "{\"arguments\":{\"a\":1},\"execute\":\"nope\",\"id\":3}\n", "arguments");
        hear(&s, "{\"error\": {\"class\": \"X\", \"desc\": \"no such command\"}, \"id\": 3}\n");
        is_int(s.code, EIO, "an error");
        is_str(s.text, "qmp: no such command", "in QEMU's words");
        hear(&s, "{\"return\": {}, \"id\": 3}\n{\"return\": {}}\n");
        is_int(s.replies, 2, "answers that nobody waits for are dropped");
        finish(&s);
}

/* A descriptor comes with the first byte of its command, which no other one can then come with. */
static void test_descriptor(struct ev_loop *loop)
{
        struct err err = ERR_INIT;
        struct seen s;
        int fds[2], got[2][FD_PASS_MAX];

        shake_hands(&s, loop);
        (void)!pipe(fds);
        (void)qmp_execute(s.qmp, "a", NULL, 1000, on_reply, &s, &err);
        for (int i = 0; i < 2; i++)
                is_int(qmp_execute_fd(s.qmp, "add-fd", NULL, fds[i], 1000, on_reply, &s, &err), 0,
                       "a command with a descriptor");
        turns(&s);
        for (int i = 0; i < 2; i++) {
                char text[200] = "";

                (void)fd_recv(s.peer, text, sizeof(text) - 1, got[i], &err);
                is_str(text,
                       i ? "{\"execute\":\"add-fd\",\"id\":4}\n"
                         : "{\"execute\":\"a\",\"id\":2}\n{\"execute\":\"add-fd\",\"id\":3}\n",
                       "a whole command");
                ok(got[i][0] >= 0, "and its descriptor");
        }
        is_int(write(got[1][0], "x", 1), 1, "the second");
        {
                char byte = 0;

                is_int(read(got[0][0], &byte, 1), 1, "and the first are what they were");
        }
        for (int i = 0; i < 2; i++) {
                (void)close(fds[i]);
                (void)close(got[i][0]);
        }
        finish(&s);
}

static void test_time_out(struct ev_loop *loop)
{
        struct err err = ERR_INIT;
        struct seen s;

        shake_hands(&s, loop);
        (void)qmp_execute(s.qmp, "slow", NULL, 1, on_reply, &s, &err);
        for (int i = 0; i < 50 && !s.replies; i++)
                ev_run(loop, EVRUN_ONCE);
        is_int(s.code, ETIMEDOUT, "a command times out");
        is_int(s.closed, 0, "the conversation goes on");
        for (int i = 0; i < QMP_PENDING_MAX; i++)
                (void)qmp_execute(s.qmp, "x", NULL, 60000, on_reply, &s, &err);
        is_int(qmp_execute(s.qmp, "x", json_object(), 1000, on_reply, &s, &err), -EBUSY, "bounded");
        s.replies = 0;
        (void)shutdown(s.peer, SHUT_RDWR);
        turns(&s);
        is_int(s.replies, QMP_PENDING_MAX, "all fail when QEMU hangs up");
        is_int(s.closed, 1, "closed once");
        finish(&s);
}

static void test_free_in_callback(struct ev_loop *loop)
{
        struct err err = ERR_INIT;
        struct seen s;

        shake_hands(&s, loop);
        s.free_in_reply = true;
        (void)qmp_execute(s.qmp, "a", NULL, 1000, on_reply, &s, &err);
        (void)qmp_execute(s.qmp, "b", NULL, 1000, on_reply, &s, &err);
        hear(&s, "{\"return\": {}, \"id\": 2}\n{\"return\": {}, \"id\": 3}\n");
        is_int(s.replies, 1, "nothing comes after qmp_free");
        is_int(s.closed, 0, "no close either");
        finish(&s);
}

static void test_nonsense(struct ev_loop *loop)
{
        static const char *const lines[] = {
                "hello\n",
                "{}\n",
                "[1]\n",
                "{\"return\": {}, \"id\": 1}\n",
                "{\"event\": \"STOP\"}\n",
                GREETING GREETING,
                GREETING "{\"event\": 1}\n",
                GREETING "{\"event\": \"A\", \"data\": 3}\n",
                GREETING "{\"error\": {}, \"id\": 1}\n",
                GREETING "{\"error\": {\"desc\": \"refused\"}, \"id\": 1}\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                struct seen s;

                open_pair(&s, loop);
                hear(&s, lines[i]);
                is_int(s.closed, 1, "nonsense %zu ends it: %s", i, s.text);
                is_int(s.ready, 0, "never ready");
                finish(&s);
        }
}

static void test_long_line(struct ev_loop *loop)
{
        AUTO_FREE char *chunk = xcalloc(1, 8193);
        struct seen s;

        open_pair(&s, loop);
        memset(chunk, 'x', 8192);
        for (int i = 0; i <= QMP_LINE_MAX / 8192 && !s.closed; i++)
                hear(&s, chunk);
        turns(&s);
        is_int(s.closed, 1, "an endless line ends it");
        has_str(s.text, "longer than", "says so");
        finish(&s);
}

int main(void)
{
        struct ev_loop *loop = ev_loop_new(0);

        test_course(loop);
        test_descriptor(loop);
        test_time_out(loop);
        test_free_in_callback(loop);
        test_nonsense(loop);
        test_long_line(loop);
        ev_loop_destroy(loop);
        return tap_done();
}
