/* SPDX-License-Identifier: Apache-2.0 */
#include "network/control.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "network/channel.h"
#include "network/netns.h"
#include "network/proto.h"

struct peer {
        struct control *control;
        struct channel *channel; /* NULL: free place */
        uint64_t since;
};

struct control {
        struct ev_loop *loop;
        int listener;
        ev_io acceptor;
        struct netd_identity id;
        struct control_parts parts;
        void (*on_stop)(void *ctx);
        void *ctx;
        uint64_t accepted;
        struct peer peers[CONTROL_PEERS_MAX];
};

/*
 * An operation fills reply, and *ret_fd when a descriptor goes along. 0, or < 0 with err: then the
 * error is the reply.
 */
struct operation {
        const char *name;
        int (*run)(struct control *c, const json_t *request, json_t *reply, int *ret_fd,
                   struct err *err);
};

static int op_hello(struct control *c, const json_t *request, json_t *reply, int *ret_fd,
                    struct err *err)
{
        char address[VALUE_IP4_MAX], subnet[VALUE_IP4_MAX + 4];
        uint64_t start = 0;

        (void)request;
        (void)ret_fd;
        if (fd_proc_start_time(getpid(), &start, err) < 0)
                return -err->code;
        value_ip4_text(c->id.subnet, address);
        (void)snprintf(subnet, sizeof(subnet), "%s/%u", address, c->id.bits); /* fits */
        json_set_int(reply, "protocol", PROTO_VERSION);
        json_set_int(reply, "pid", getpid());
        json_set_int(reply, "start_time", (int64_t)start);
        json_set_str(reply, "stack", c->id.stack);
        json_set_str(reply, "name", c->id.name);
        json_set_str(reply, "subnet", subnet);
        json_set_bool(reply, "egress", c->id.egress);
        return 0;
}

static int op_tap(struct control *c, const json_t *request, json_t *reply, int *ret_fd,
                  struct err *err)
{
        (void)c;
        (void)request;
        (void)reply;
        return netns_open_tap(ret_fd, err);
}

static int route_clients(struct control *c, const struct zone *zone, struct err *err)
{
        AUTO_FREE uint32_t *ips = xcalloc(zone->clients_len + 1, sizeof(*ips));
        size_t n = 0;

        for (size_t i = 0; i < zone->clients_len; i++)
                if (zone->clients[i].egress)
                        ips[n++] = zone->clients[i].ip;
        return egress_set_clients(c->parts.egress, ips, n, err);
}

static int op_namespace(struct control *c, const json_t *request, json_t *reply, int *ret_fd,
                        struct err *err)
{
        int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

        (void)c;
        (void)request;
        (void)reply;
        if (fd < 0)
                return err_errno(err, errno, "/proc/self/ns/net");
        *ret_fd = fd;
        return 0;
}

static int op_zone(struct control *c, const json_t *request, json_t *reply, int *ret_fd,
                   struct err *err)
{
        struct zone zone;
        int r = proto_get_zone(request, &zone, err);

        (void)reply;
        (void)ret_fd;
        if (r < 0)
                return r;
        dns_server_set_zone(c->parts.dns, &zone);
        if (c->parts.egress)
                r = route_clients(c, &zone, err);
        proto_zone_release(&zone);
        return r;
}

static void on_forward_result(void *ctx, const struct forward_result *result, int code)
{
        proto_put_result(ctx, result, code);
}

static int op_forwards(struct control *c, const json_t *request, json_t *reply, int *ret_fd,
                       struct err *err)
{
        AUTO_FREE struct forward *forwards = NULL;
        size_t n;
        int r = proto_get_forwards(request, &forwards, &n, err);

        (void)ret_fd;
        if (r < 0)
                return r;
        forwarder_replace(c->parts.forwarder, forwards, n, on_forward_result, reply);
        return 0;
}

static int op_stop(struct control *c, const json_t *request, json_t *reply, int *ret_fd,
                   struct err *err)
{
        (void)request;
        (void)reply;
        (void)ret_fd;
        (void)err;
        c->on_stop(c->ctx);
        return 0;
}

static const struct operation operations[] = {
        {"hello", op_hello}, {"tap", op_tap},           {"namespace", op_namespace},
        {"zone", op_zone},   {"forwards", op_forwards}, {"stop", op_stop},
};

static int run_operation(struct control *c, const json_t *request, json_t *reply, int *ret_fd,
                         struct err *err)
{
        const char *name;
        int r = json_need_str(request, "op", "request", &name, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
                if (streq(operations[i].name, name))
                        return operations[i].run(c, request, reply, ret_fd, err);
        return err_set(err, ENOSYS, "unknown operation %s", name);
}

static void peer_drop(struct peer *p)
{
        channel_close(p->channel);
        p->channel = NULL;
}

static json_t *egress_event(const struct control *c)
{
        const struct egress *e = c->parts.egress;

        if (!e || (!egress_up(e) && !egress_error(e)))
                return NULL;
        return json_pack("{s:s, s:s?}", "event", PROTO_EGRESS, "error", egress_error(e));
}

static void on_peer_message(void *ctx, const json_t *message, int fd)
{
        struct peer *p = ctx;
        int64_t id = json_int(message, "id", 0);
        AUTO_JSON json_t *reply = proto_reply(id);
        AUTO_JSON json_t *event = NULL;
        struct err err = ERR_INIT;
        int out = -1;

        if (fd >= 0)
                (void)close(fd); /* no request has one */
        if (run_operation(p->control, message, reply, &out, &err) < 0) {
                json_decref(reply);
                reply = proto_error(id, &err);
        }
        event = streq(json_str(message, "op", NULL), "hello") ? egress_event(p->control) : NULL;
        if (channel_send(p->channel, reply, out, &err) < 0 ||
            (event && channel_send(p->channel, event, -1, &err) < 0))
                peer_drop(p); /* it does not read: a daemon that hangs comes back by itself */
}

static void on_peer_closed(void *ctx, const struct err *err)
{
        (void)err; /* daemons come and go */
        peer_drop(ctx);
}

/* A free place, else the oldest one. */
static struct peer *peer_place(struct control *c)
{
        struct peer *oldest = &c->peers[0];

        for (size_t i = 0; i < CONTROL_PEERS_MAX; i++) {
                if (!c->peers[i].channel)
                        return &c->peers[i];
                if (c->peers[i].since < oldest->since)
                        oldest = &c->peers[i];
        }
        peer_drop(oldest);
        return oldest;
}

static void control_accept(struct control *c)
{
        struct channel_events events = {on_peer_message, on_peer_closed, NULL};
        int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct peer *p;

        if (fd < 0)
                return;
        p = peer_place(c);
        events.ctx = p;
        p->control = c;
        p->since = ++c->accepted;
        p->channel = channel_new(c->loop, fd, &events);
}

static void on_control_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
        (void)loop;
        (void)revents;
        control_accept(container_of(w, struct control, acceptor));
}

struct control *control_new(struct ev_loop *loop, int listener, const struct netd_identity *id,
                            const struct control_parts *parts, void (*on_stop)(void *ctx),
                            void *ctx)
{
        struct control *c = xnew(struct control);

        assert(listener >= 0);
        c->loop = loop;
        c->listener = listener;
        c->id = *id;
        c->parts = *parts;
        c->on_stop = on_stop;
        c->ctx = ctx;
        ev_io_init(&c->acceptor, on_control_acceptable, listener, EV_READ);
        ev_io_start(loop, &c->acceptor);
        return c;
}

void control_free(struct control *c)
{
        if (!c)
                return;
        for (size_t i = 0; i < CONTROL_PEERS_MAX; i++)
                peer_drop(&c->peers[i]);
        ev_io_stop(c->loop, &c->acceptor);
        (void)close(c->listener); /* a listener has nothing to flush */
        free(c);
}

static void tell_all(struct control *c, json_t *event)
{
        for (size_t i = 0; event && i < CONTROL_PEERS_MAX; i++)
                if (c->peers[i].channel && channel_send(c->peers[i].channel, event, -1, NULL) < 0)
                        peer_drop(&c->peers[i]); /* as in on_peer_message() */
}

void control_tell_link_gone(struct control *c)
{
        AUTO_JSON json_t *event = json_pack("{s:s}", "event", PROTO_LINK_GONE);

        tell_all(c, event);
}

void control_tell_egress(struct control *c)
{
        AUTO_JSON json_t *event = egress_event(c);

        tell_all(c, event);
}
