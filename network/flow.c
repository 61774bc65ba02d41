/* SPDX-License-Identifier: Apache-2.0 */
#include "network/flow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/mem.h"

#define FLOW_DATAGRAM_MAX 65536
#define FLOW_BUCKETS      256
/* Datagrams in a row from one socket before others get their turn. */
#define FLOW_BURST 32

struct flow {
        struct flows *owner;
        struct flow *next;            /* in its bucket */
        struct flow *older, *younger; /* by last use */
        struct sockaddr_in client;
        struct in_addr local; /* the host address that the client used */
        int fd;
        ev_io reader;
        ev_tstamp used;
};

struct flows {
        struct ev_loop *loop;
        int fd;
        ev_io reader;
        ev_timer expiry;
        struct sockaddr_in target;
        struct flow *buckets[FLOW_BUCKETS];
        struct flow *oldest, *youngest;
        size_t count;
};

static size_t bucket_of(const struct sockaddr_in *client)
{
        uint32_t h = (client->sin_addr.s_addr ^ client->sin_port) * 0x9e3779b1U;

        return h >> 24;
}

static void age_unlink(struct flow *w)
{
        struct flows *f = w->owner;

        *(w->older ? &w->older->younger : &f->oldest) = w->younger;
        *(w->younger ? &w->younger->older : &f->youngest) = w->older;
}

static void age_append(struct flow *w)
{
        struct flows *f = w->owner;

        w->used = ev_now(f->loop);
        w->older = f->youngest;
        w->younger = NULL;
        *(f->youngest ? &f->youngest->younger : &f->oldest) = w;
        f->youngest = w;
}

static void flow_touch(struct flow *w)
{
        age_unlink(w);
        age_append(w);
}

static void flow_end(struct flow *w)
{
        struct flows *f = w->owner;
        struct flow **p = &f->buckets[bucket_of(&w->client)];

        while (*p != w)
                p = &(*p)->next;
        *p = w->next;
        age_unlink(w);
        f->count--;
        ev_io_stop(f->loop, &w->reader);
        (void)close(w->fd); /* datagrams: nothing is held back */
        loop_defer_free(f->loop, free, w);
        if (!f->count)
                ev_timer_stop(f->loop, &f->expiry);
}

static void flows_expire(struct flows *f)
{
        ev_tstamp now = ev_now(f->loop);

        while (f->oldest && f->oldest->used + FLOW_IDLE_S <= now)
                flow_end(f->oldest);
        if (!f->oldest)
                return;
        f->expiry.repeat = f->oldest->used + FLOW_IDLE_S - now;
        ev_timer_again(f->loop, &f->expiry);
}

static void on_flows_expiry(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        flows_expire(container_of(w, struct flows, expiry));
}

/* An answer goes out from the address that the client wrote to. A lost datagram is UDP's own way.
 */
static void flow_answer(struct flow *w, const void *data, size_t n)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
        } control;
        struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};
        struct in_pktinfo info = {.ipi_spec_dst = w->local};
        struct msghdr msg = {.msg_name = &w->client,
                             .msg_namelen = sizeof(w->client),
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
        struct cmsghdr *c;

        memset(&control, 0, sizeof(control));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
        (void)sendmsg(w->owner->fd, &msg, MSG_NOSIGNAL);
}

static void on_flow_readable(struct ev_loop *loop, ev_io *io, int revents)
{
        struct flow *w = container_of(io, struct flow, reader);
        char data[FLOW_DATAGRAM_MAX];

        (void)loop;
        (void)revents;
        for (int i = 0; i < FLOW_BURST; i++) {
                ssize_t n = recv(w->fd, data, sizeof(data), 0);

                if (n < 0) /* also "port unreachable", which clears itself by being read */
                        return;
                flow_touch(w);
                flow_answer(w, data, (size_t)n);
        }
}

static struct flow *flow_find(const struct flows *f, const struct sockaddr_in *client)
{
        struct flow *w = f->buckets[bucket_of(client)];

        while (w && (w->client.sin_addr.s_addr != client->sin_addr.s_addr ||
                     w->client.sin_port != client->sin_port))
                w = w->next;
        return w;
}

/* NULL when the host is out of descriptors: the datagram is dropped. */
static struct flow *flow_new(struct flows *f, const struct sockaddr_in *client,
                             struct in_addr local)
{
        AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct flow **bucket = &f->buckets[bucket_of(client)];
        struct flow *w;

        if (fd < 0 || connect(fd, (const struct sockaddr *)&f->target, sizeof(f->target)) < 0)
                return NULL;
        if (f->count >= FLOW_MAX)
                flow_end(f->oldest);
        w = xnew(struct flow);
        w->owner = f;
        w->client = *client;
        w->local = local;
        w->fd = steal_fd(&fd);
        w->next = *bucket;
        *bucket = w;
        age_append(w);
        ev_io_init(&w->reader, on_flow_readable, w->fd, EV_READ);
        ev_io_start(f->loop, &w->reader);
        if (!f->count++)
                flows_expire(f);
        return w;
}

static struct in_addr local_address(struct msghdr *msg)
{
        struct in_pktinfo info = {.ipi_ifindex = 0};

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
                if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
                        memcpy(&info, CMSG_DATA(c), sizeof(info));
        return info.ipi_addr;
}

/* One datagram from a client to its flow; false when there is none. */
static bool flows_receive(struct flows *f)
{
        char data[FLOW_DATAGRAM_MAX];
        char control[CMSG_SPACE(sizeof(struct in_pktinfo))]
                __attribute__((aligned(__alignof__(struct cmsghdr))));
        struct sockaddr_in client;
        struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
        struct msghdr msg = {.msg_name = &client,
                             .msg_namelen = sizeof(client),
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(f->fd, &msg, 0);
        struct flow *w;

        if (n < 0)
                return false;
        w = flow_find(f, &client);
        if (w)
                flow_touch(w);
        else
                w = flow_new(f, &client, local_address(&msg));
        if (w)
                (void)send(w->fd, data, (size_t)n, MSG_NOSIGNAL); /* may be lost, as UDP is */
        return true;
}

static void on_flows_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct flows *f = container_of(w, struct flows, reader);

        (void)loop;
        (void)revents;
        for (int i = 0; i < FLOW_BURST && flows_receive(f); i++)
                ;
}

static void end_all(struct flows *f)
{
        while (f->oldest)
                flow_end(f->oldest);
}

struct flows *flows_new(struct ev_loop *loop, int fd, uint32_t target_ip, uint16_t target_port)
{
        struct flows *f = xnew(struct flows);

        f->loop = loop;
        f->fd = fd;
        flows_set_target(f, target_ip, target_port);
        ev_io_init(&f->reader, on_flows_readable, fd, EV_READ);
        ev_init(&f->expiry, on_flows_expiry);
        ev_io_start(loop, &f->reader);
        return f;
}

void flows_free(struct flows *f)
{
        if (!f)
                return;
        end_all(f);
        ev_io_stop(f->loop, &f->reader);
        (void)close(f->fd); /* datagrams: nothing is held back */
        free(f);
}

void flows_set_target(struct flows *f, uint32_t target_ip, uint16_t target_port)
{
        struct sockaddr_in target = {.sin_family = AF_INET,
                                     .sin_port = htons(target_port),
                                     .sin_addr.s_addr = htonl(target_ip)};

        if (target.sin_addr.s_addr == f->target.sin_addr.s_addr &&
            target.sin_port == f->target.sin_port)
                return;
        end_all(f);
        f->target = target;
}
