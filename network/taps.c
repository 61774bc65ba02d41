/* SPDX-License-Identifier: Apache-2.0 */
#include "network/taps.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "network/channel.h"
#include "network/net_request.h"
#include "network/proto.h"
#include "network/taps_server.h"

#define LABEL "taps that wait"

struct taps {
        struct ev_loop *loop;
        struct channel *channel; /* NULL: the process is gone */
        struct requests requests;
        struct loop_child child;
        pid_t pid;
        bool freed;
};

static void lose(struct taps *t, const struct err *err)
{
        channel_close(STEAL(t->channel));
        while (!t->freed && requests_fail_first(&t->requests, err))
                ;
}

static void on_message(void *ctx, const json_t *message, int fd)
{
        struct taps *t = ctx;

        requests_answer(&t->requests, LABEL, message, fd);
}

static void on_closed(void *ctx, const struct err *err)
{
        struct err why = *err;

        (void)err_wrap(&why, LABEL ": berth-netd");
        lose(ctx, &why);
}

static void on_server_exit(struct loop_child *child)
{
        struct taps *t = container_of(child, struct taps, child);
        int status;

        (void)spawn_reap(t->pid, &status, NULL); /* the channel's end tells */
}

static int spawn_server(struct taps *t, const char *netd, int socket, struct err *err)
{
        const char *const argv[] = {netd, TAPS_SERVER_OPTION, NULL};
        const struct spawn_fd fds[] = {{2, 2}, {socket, TAPS_SERVER_FD}};
        const struct spawn spec = {
                .argv = argv, .fds = fds, .fd_count = ARRAY_SIZE(fds), .die_with_us = true};
        int pidfd = -1, r = spawn_start(&spec, &t->pid, &pidfd, err);

        if (r == 0)
                loop_child_start(t->loop, &t->child, pidfd, on_server_exit);
        return r;
}

int taps_start(struct ev_loop *loop, const char *netd, struct taps **ret, struct err *err)
{
        const struct channel_events events = {on_message, on_closed, NULL};
        struct channel_events with = events;
        AUTO_CLOSE int ours = -1;
        AUTO_CLOSE int theirs = -1;
        struct taps *t;
        int pair[2], r;

        if (geteuid() != 0)
                return err_set(err, EPERM,
                               "an ordinary user's networks cannot take a tap from outside");
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return err_errno(err, errno, "socketpair");
        ours = pair[0];
        theirs = pair[1];
        r = fd_set_nonblock(ours, err);
        if (r < 0)
                return r;
        t = xnew(struct taps);
        t->loop = loop;
        requests_init(&t->requests);
        r = spawn_server(t, netd, theirs, err);
        if (r < 0) {
                free(t);
                return r;
        }
        with.ctx = t;
        t->channel = channel_new(loop, steal_fd(&ours), &with);
        *ret = t;
        return 0;
}

static void destroy(void *p)
{
        struct taps *t = p;

        requests_release(&t->requests);
        free(t);
}

void taps_free(struct taps *t)
{
        if (!t)
                return;
        t->freed = true;
        channel_close(STEAL(t->channel)); /* its end of file ends the process */
        loop_child_stop(t->loop, &t->child);
        loop_defer_free(t->loop, destroy, t);
}

/* r: of the request that was added. */
static int added(struct taps *t, int r, struct err *err)
{
        if (r == 0)
                r = requests_send(&t->requests, t->channel, err);
        return r < 0 ? err_wrap(err, LABEL) : 0;
}

static int check(const struct taps *t, struct err *err)
{
        return t->channel ? 0 : err_set(err, EPIPE, LABEL ": berth-netd has ended");
}

int taps_open(struct taps *t, const char *name,
              void (*cb)(void *ctx, int tap_fd, const struct err *err), void *ctx, struct err *err)
{
        int r = check(t, err);
        json_t *message;

        if (r < 0)
                return r;
        message = proto_request("tap", 0);
        json_set_str(message, "name", name);
        return added(t, requests_add_fd(&t->requests, message, false, cb, ctx, err), err);
}

int taps_move(struct taps *t, const char *name, int netns_fd,
              void (*cb)(void *ctx, int none, const struct err *err), void *ctx, struct err *err)
{
        int r = check(t, err);

        return r < 0 ? r
                     : added(t, requests_add_move(&t->requests, name, netns_fd, cb, ctx, err), err);
}
