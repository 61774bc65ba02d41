/* SPDX-License-Identifier: Apache-2.0 */
#include "network/taps_server.h"

#include <ev.h>
#include <linux/capability.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "network/channel.h"
#include "network/netns.h"
#include "network/proto.h"
#include "network/rtnl.h"

struct taps_server {
        struct ev_loop *loop;
        struct channel *channel;
        int netlink;
};

static int run(struct taps_server *s, const json_t *request, int fd, int *ret_fd, struct err *err)
{
        const char *op, *name;
        int r = json_need_str(request, "op", "request", &op, err);

        if (r < 0)
                return r;
        if (streq(op, "tap")) {
                r = json_need_str(request, "name", "request", &name, err);
                return r < 0 ? r : netns_open_waiting_tap(name, ret_fd, err);
        }
        if (!streq(op, "move"))
                return err_set(err, ENOSYS, "unknown operation %s", op);
        r = json_need_str(request, "tap", "request", &name, err);
        if (r == 0 && fd < 0)
                r = err_set(err, EINVAL, "move: a descriptor is needed");
        return r < 0 ? r : rtnl_link_move(s->netlink, name, fd, NETNS_BRIDGE_INDEX, err);
}

static void on_message(void *ctx, const json_t *message, int fd)
{
        struct taps_server *s = ctx;
        AUTO_CLOSE int given = fd;
        int64_t id = json_int(message, "id", 0);
        AUTO_JSON json_t *reply = proto_reply(id);
        struct err err = ERR_INIT;
        int out = -1;

        if (run(s, message, given, &out, &err) < 0) {
                json_decref(reply);
                reply = proto_error(id, &err);
        }
        if (channel_send(s->channel, reply, out, &err) < 0)
                ev_break(s->loop, EVBREAK_ALL); /* nobody reads */
}

static void on_closed(void *ctx, const struct err *err)
{
        struct taps_server *s = ctx;

        (void)err; /* the daemon ended */
        ev_break(s->loop, EVBREAK_ALL);
}

int taps_serve(struct err *err)
{
        struct taps_server s = {.loop = ev_default_loop(EVFLAG_AUTO), .netlink = -1};
        const struct channel_events events = {on_message, on_closed, &s};
        int r = netns_check_tun(err);

        if (!s.loop)
                return err_set(err, EIO, "no event loop: libev found no way to wait");
        if (r == 0)
                r = netns_enter_waiting(err);
        if (r == 0)
                r = rtnl_open(&s.netlink, err);
        if (r == 0)
                r = privileges_drop(1ULL << CAP_NET_ADMIN, err);
        if (r == 0)
                r = fd_set_nonblock(TAPS_SERVER_FD, err);
        if (r < 0)
                return r;
        s.channel = channel_new(s.loop, TAPS_SERVER_FD, &events);
        (void)ev_run(s.loop, 0);
        channel_close(s.channel);
        (void)close(s.netlink); /* a socket has nothing to flush */
        return 0;
}
