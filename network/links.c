/* SPDX-License-Identifier: Apache-2.0 */
#include "network/links.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "network/rtnl.h"

/* A few messages of the kernel at a time; each is below 2 KiB. */
#define LINKS_BUFFER 16384

struct links {
        struct ev_loop *loop;
        ev_io watcher;
        unsigned bridge; /* its index */
        struct links_events events;
};

/* What a batch of messages comes to. */
struct losses {
        bool bridge, link;
};

static void note_message(const struct links *links, struct nlmsghdr *h, struct losses *losses)
{
        const struct ifinfomsg *info = NLMSG_DATA(h);

        if (h->nlmsg_type != RTM_DELLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ||
            info->ifi_family != AF_UNSPEC) /* AF_BRIDGE: a port left, of which the rest tells */
                return;
        if ((unsigned)info->ifi_index == links->bridge)
                losses->bridge = true;
        else
                losses->link = true;
}

/* Read what the kernel has to say, until there is nothing. */
static void read_losses(const struct links *links, struct losses *losses)
{
        union {
                struct nlmsghdr header;
                char bytes[LINKS_BUFFER];
        } buffer;

        char name[IF_NAMESIZE];
        ssize_t n;

        for (;;) {
                n = recv(links->watcher.fd, buffer.bytes, sizeof(buffer.bytes), MSG_DONTWAIT);
                if (n < 0 && errno == ENOBUFS) { /* more happened than the socket held */
                        losses->link = true;
                        losses->bridge |= !if_indextoname(links->bridge, name);
                        continue;
                }
                if (n <= 0)
                        return;
                for (struct nlmsghdr *h = &buffer.header; NLMSG_OK(h, (unsigned)n);
                     h = NLMSG_NEXT(h, n))
                        note_message(links, h, losses);
        }
}

static void on_links_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        const struct links *links = container_of(w, struct links, watcher);
        struct losses losses = {false, false};

        (void)loop;
        (void)revents;
        read_losses(links, &losses);
        if (losses.bridge)
                links->events.on_bridge_gone(links->events.ctx);
        else if (losses.link)
                links->events.on_link_gone(links->events.ctx);
}

int links_new(struct ev_loop *loop, const char *bridge, const struct links_events *events,
              struct links **ret, struct err *err)
{
        struct links *links;
        int fd, r;

        assert(events->on_bridge_gone && events->on_link_gone);
        r = rtnl_monitor(&fd, err);
        if (r < 0)
                return r;
        links = xnew(struct links);
        links->loop = loop;
        links->bridge = if_nametoindex(bridge);
        links->events = *events;
        ev_io_init(&links->watcher, on_links_readable, fd, EV_READ);
        ev_io_start(loop, &links->watcher);
        *ret = links;
        return 0;
}

void links_free(struct links *links)
{
        if (!links)
                return;
        ev_io_stop(links->loop, &links->watcher);
        (void)close(links->watcher.fd); /* a netlink socket has nothing to flush */
        free(links);
}
