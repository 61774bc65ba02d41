/* SPDX-License-Identifier: Apache-2.0 */
#include "network/net.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/value.h"
#include "network/channel.h"
#include "network/net_request.h"
#include "network/netd_end.h"
#include "network/netd_file.h"
#include "network/proto.h"

/* netd is up within 50 ms; on a machine that swaps, a hundred times that. */
#define NET_HELLO_TIMEOUT_S 10.0

/*
 *  net_start --somebody serves the socket--> ADOPTING --hello fits--> READY
 *      |                                        |                       |
 *      |                                   it does not: kill            |
 *      +--nobody does-----------------------> SPAWNED --hello--> READY  |
 *                                               |                       |
 *                                               +----netd ends----------+--> LOST
 */
enum net_state { NET_ADOPTING, NET_SPAWNED, NET_READY, NET_LOST };

struct net {
        struct ev_loop *loop;
        char *netd, *dir, *stack, *name;
        char *label; /* "network STACK/NAME", in front of errors */
        uint32_t subnet;
        unsigned bits;
        bool egress;
        struct net_events events;
        enum net_state state;
        bool adopted, closed;
        pid_t pid;
        int pidfd; /* -1: not known (adopting without netd.json) */
        struct loop_child child;
        struct channel *channel;
        ev_timer hello_timeout, loss;
        struct err loss_reason;
        struct requests requests;
};

static int net_spawn(struct net *net, struct err *err);

static void net_free(void *p)
{
        struct net *net = p;

        requests_release(&net->requests);
        free(net->label);
        free(net->netd);
        free(net->dir);
        free(net->stack);
        free(net->name);
        free(net);
}

static void subnet_text(const struct net *net, char *ret, size_t size)
{
        char address[VALUE_IP4_MAX];

        value_ip4_text(net->subnet, address);
        (void)snprintf(ret, size, "%s/%u", address, net->bits); /* fits: VALUE_IP4_MAX */
}

/* Kill netd for good; it is reaped when it is gone. Nothing of it needs an orderly end. */
static void net_kill(struct net *net)
{
        loop_child_stop(net->loop, &net->child);
        if (net->pidfd < 0)
                return;
        netd_end_kill(net->loop, net->pid, steal_fd(&net->pidfd));
        net->pid = 0;
}

/* Stop everything of ours that could call back, and free in the end. */
static void net_close(struct net *net)
{
        assert(!net->closed);
        net->closed = true;
        channel_close(STEAL(net->channel));
        ev_timer_stop(net->loop, &net->hello_timeout);
        ev_timer_stop(net->loop, &net->loss);
        loop_child_stop(net->loop, &net->child);
        if (net->pidfd >= 0)
                (void)close(steal_fd(&net->pidfd)); /* a pidfd has nothing to flush */
        loop_defer_free(net->loop, net_free, net);
}

static void on_loss_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct net *net = container_of(w, struct net, loss);

        (void)loop;
        (void)revents;
        while (!net->closed && requests_fail_first(&net->requests, &net->loss_reason))
                ;
        if (!net->closed)
                net->events.on_lost(net->events.ctx, &net->loss_reason);
        if (!net->closed)
                net_close(net);
}

/* The net is dead; callbacks are told from the loop. */
static void net_lose(struct net *net, const struct err *err)
{
        if (net->closed || net->state == NET_LOST)
                return;
        net->state = NET_LOST;
        net->loss_reason = *err;
        netd_end_words(net->dir, net->label, &net->loss_reason);
        channel_close(STEAL(net->channel));
        ev_timer_stop(net->loop, &net->hello_timeout);
        net_kill(net);
        netd_file_remove(net->dir);
        ev_timer_start(net->loop, &net->loss);
}

static void on_netd_exit(struct loop_child *child)
{
        struct net *net = container_of(child, struct net, child);
        struct err err = ERR_INIT;
        char how[64];

        netd_end_describe(net->pid, how, sizeof(how));
        (void)err_set(&err, EPIPE, "%s: netd (process %d) %s", net->label, (int)net->pid, how);
        net_lose(net, &err);
}

/* Ask who serves the socket to end, should his pid not be known or be another. */
static void send_stop(struct net *net)
{
        AUTO_JSON json_t *message = proto_request("stop", 0);

        if (net->channel) /* it goes out now, or nobody reads */
                (void)channel_send(net->channel, message, -1, NULL);
}

/* Who serves the socket is of no use: end it and start our own. */
static void net_replace(struct net *net)
{
        struct err err = ERR_INIT;

        send_stop(net);
        channel_close(STEAL(net->channel));
        net_kill(net);
        if (net_spawn(net, &err) < 0)
                net_lose(net, &err);
}

static void on_hello_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct net *net = container_of(w, struct net, hello_timeout);
        struct err err = ERR_INIT;

        (void)loop;
        (void)revents;
        if (net->state == NET_ADOPTING) {
                net_replace(net);
                return;
        }
        (void)err_set(&err, ETIMEDOUT, "%s: netd does not answer", net->label);
        net_lose(net, &err);
}

static void watch_netd(struct net *net)
{
        int copy = fcntl(net->pidfd, F_DUPFD_CLOEXEC, 3);

        if (copy >= 0)
                loop_child_start(net->loop, &net->child, copy, on_netd_exit);
}

/* Is what answered the network we want? Its pid is taken along. */
static bool hello_fits(struct net *net, const json_t *m)
{
        char subnet[VALUE_IP4_MAX + 4];
        int64_t pid = json_int(m, "pid", 0), start = json_int(m, "start_time", 0);

        subnet_text(net, subnet, sizeof(subnet));
        if (net->pidfd < 0 && pid > 1 && pid <= INT32_MAX &&
            netd_process_open((pid_t)pid, (uint64_t)start, &net->pidfd, NULL) == 0)
                net->pid = (pid_t)pid;
        return net->pidfd >= 0 && pid == net->pid && json_int(m, "protocol", 0) == PROTO_VERSION &&
               streq(json_str(m, "stack", NULL), net->stack) &&
               streq(json_str(m, "name", NULL), net->name) &&
               streq(json_str(m, "subnet", NULL), subnet) &&
               json_bool(m, "egress", false) == net->egress;
}

static void send_requests(struct net *net)
{
        struct err err = ERR_INIT;

        if (net->state == NET_READY && net->channel &&
            requests_send(&net->requests, net->channel, &err) < 0)
                net_lose(net, &err);
}

static void net_hello(struct net *net, const json_t *message)
{
        struct err err = ERR_INIT;

        if (!hello_fits(net, message)) {
                if (net->state == NET_ADOPTING) {
                        net_replace(net);
                        return;
                }
                (void)err_set(&err, EPROTO, "%s: %s is not the berth-netd of this berth",
                              net->label, net->netd);
                net_lose(net, &err);
                return;
        }
        ev_timer_stop(net->loop, &net->hello_timeout);
        net->adopted = net->state == NET_ADOPTING;
        net->state = NET_READY;
        if (net->adopted)
                watch_netd(net);
        send_requests(net);
        if (net->state == NET_READY)
                net->events.on_ready(net->events.ctx);
}

static void net_event(struct net *net, const json_t *message, const char *event)
{
        if (streq(event, PROTO_LINK_GONE))
                net->events.on_link_gone(net->events.ctx);
        else if (streq(event, PROTO_EGRESS))
                net->events.on_egress(net->events.ctx, json_str(message, "error", NULL));
}

static void on_net_message(void *ctx, const json_t *message, int fd)
{
        struct net *net = ctx;

        if (net->state == NET_READY && json_str(message, "event", NULL)) {
                if (fd >= 0)
                        (void)close(fd); /* an event has none */
                net_event(net, message, json_str(message, "event", NULL));
                return;
        }
        if (net->state == NET_READY) {
                requests_answer(&net->requests, net->label, message, fd);
                return;
        }
        if (fd >= 0)
                (void)close(fd); /* hello has none */
        net_hello(net, message);
}

static void on_net_closed(void *ctx, const struct err *cause)
{
        struct net *net = ctx;
        struct err err = *cause;

        if (net->state == NET_ADOPTING) {
                net_replace(net);
                return;
        }
        if (err.code == ECONNRESET && net->child.on_exit) { /* it ends, which tells more: wait */
                channel_close(STEAL(net->channel));
                (void)fd_pidfd_signal(net->pidfd, SIGKILL, NULL); /* if not, now it does */
                return;
        }
        (void)err_wrap(&err, "%s: netd", net->label);
        net_lose(net, &err);
}

static void net_connect(struct net *net, int fd)
{
        const struct channel_events events = {on_net_message, on_net_closed, net};
        AUTO_JSON json_t *hello = proto_request("hello", 0);

        net->channel = channel_new(net->loop, fd, &events);
        ev_timer_stop(net->loop, &net->hello_timeout);
        ev_timer_set(&net->hello_timeout, NET_HELLO_TIMEOUT_S, 0.0);
        ev_timer_start(net->loop, &net->hello_timeout);
        (void)channel_send(net->channel, hello, -1, NULL); /* the first one fits */
}

static int exec_netd(struct net *net, int listener, int log, struct err *err)
{
        char subnet[VALUE_IP4_MAX + 4];
        const char *argv[] = {net->netd, "--dir",    net->dir, "--stack", net->stack, "--name",
                              net->name, "--subnet", subnet,   NULL,      NULL};
        const struct spawn_fd fds[] = {{log, 2}, {listener, 3}};
        const struct spawn spec = {.argv = argv, .fds = fds, .fd_count = ARRAY_SIZE(fds)};

        if (net->egress)
                argv[ARRAY_SIZE(argv) - 2] = "--egress";
        subnet_text(net, subnet, sizeof(subnet));
        return spawn_start(&spec, &net->pid, &net->pidfd, err);
}

/* Start a netd of our own, after what another one may have left. */
static int net_spawn(struct net *net, struct err *err)
{
        AUTO_FREE char *sock = file_join(net->dir, NETD_SOCKET);
        AUTO_FREE char *log_path = file_join(net->dir, NETD_LOG);
        AUTO_CLOSE int listener = -1;
        AUTO_CLOSE int log = -1;
        AUTO_CLOSE int fd = -1;
        int r;

        netd_file_remove(net->dir);
        log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                   0600);
        if (log < 0)
                return err_errno(err, errno, "%s", log_path);
        r = fd_listen_unix(sock, &listener, err);
        if (r < 0)
                return r;
        r = fd_connect_unix(sock, &fd, err); /* waits in the queue until netd is up */
        if (r < 0)
                return r;
        r = exec_netd(net, listener, log, err);
        if (r < 0)
                return r;
        net->state = NET_SPAWNED;
        watch_netd(net);
        net_connect(net, steal_fd(&fd));
        return 0;
}

static struct net *net_new(struct ev_loop *loop, const struct net_spec *spec,
                           const struct net_events *events)
{
        struct net *net = xnew(struct net);

        net->loop = loop;
        net->netd = xstrdup(spec->netd);
        net->dir = xstrdup(spec->dir);
        net->stack = xstrdup(spec->stack);
        net->name = xstrdup(spec->name);
        net->label = xasprintf("network %s/%s", spec->stack, spec->name);
        net->subnet = spec->subnet;
        net->bits = spec->bits;
        net->egress = spec->egress;
        net->events = *events;
        net->pidfd = -1;
        requests_init(&net->requests);
        ev_timer_init(&net->hello_timeout, on_hello_timeout, NET_HELLO_TIMEOUT_S, 0.0);
        ev_timer_init(&net->loss, on_loss_due, 0.0, 0.0);
        return net;
}

int net_start(struct ev_loop *loop, const struct net_spec *spec, const struct net_events *events,
              struct net **ret_net, struct err *err)
{
        AUTO_FREE char *sock = file_join(spec->dir, NETD_SOCKET);
        struct net *net;
        int fd, r;

        assert(spec->bits >= 16 && spec->bits <= 29);
        net = net_new(loop, spec, events);
        (void)netd_file_open(net->dir, &net->pid, &net->pidfd, NULL); /* there may be none */
        if (fd_connect_unix(sock, &fd, NULL) == 0) {
                net->state = NET_ADOPTING;
                net_connect(net, fd);
                *ret_net = net;
                return 0;
        }
        net_kill(net); /* one whose socket is gone cannot be reached any more */
        r = net_spawn(net, err);
        if (r < 0) {
                netd_file_remove(net->dir);
                net_close(net);
                return err_wrap(err, "network %s/%s", spec->stack, spec->name);
        }
        *ret_net = net;
        return 0;
}

void net_detach(struct net *net)
{
        if (net)
                net_close(net);
}

void net_stop(struct net *net)
{
        if (!net)
                return;
        if (net->state != NET_LOST) {
                if (net->pidfd < 0)
                        send_stop(net);
                net_kill(net);
                netd_file_remove(net->dir);
        }
        net_close(net);
}

/* Between the loss and on_lost, which comes from the loop. */
static int check_alive(const struct net *net, struct err *err)
{
        return net->state == NET_LOST ? err_set(err, EPIPE, "%s: netd has ended", net->label) : 0;
}

/* Behind each requests_add_X(): its result, after what was added is on its way. */
static int added(struct net *net, int r, struct err *err)
{
        if (r < 0)
                return err_wrap(err, "%s", net->label);
        send_requests(net);
        return 0;
}

int net_open_tap(struct net *net, void (*cb)(void *ctx, int tap_fd, const struct err *err),
                 void *ctx, struct err *err)
{
        int r = check_alive(net, err);

        if (r == 0)
                r = requests_add_fd(&net->requests, proto_request("tap", 0), true, cb, ctx, err);
        return r < 0 ? r : added(net, r, err);
}

int net_open_namespace(struct net *net, void (*cb)(void *ctx, int netns_fd, const struct err *err),
                       void *ctx, struct err *err)
{
        int r = check_alive(net, err);

        if (r == 0)
                r = requests_add_fd(&net->requests, proto_request("namespace", 0), false, cb, ctx,
                                    err);
        return r < 0 ? r : added(net, r, err);
}

int net_set_zone(struct net *net, const struct zone *zone, struct err *err)
{
        int r = check_alive(net, err);

        return r < 0 ? r : added(net, requests_add_zone(&net->requests, zone, err), err);
}

int net_set_forwards(struct net *net, const struct forward *forwards, size_t n,
                     void (*cb)(void *ctx, const struct forward_result *results, size_t n,
                                const struct err *err),
                     void *ctx, struct err *err)
{
        int r = check_alive(net, err);

        if (r < 0)
                return r;
        r = requests_add_forwards(&net->requests, forwards, n, cb, ctx, err);
        return added(net, r, err);
}

int net_pid(const struct net *net)
{
        return (int)net->pid;
}

bool net_adopted(const struct net *net)
{
        return net->adopted;
}
