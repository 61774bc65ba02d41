/* SPDX-License-Identifier: Apache-2.0 */
#include "network/binder.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/value.h"
#include "network/helper.h"
#include "network/netns.h"

/* The child answers in microseconds; past this it is broken. */
#define BINDER_TIMEOUT_S 5

struct bind_request {
        struct bind_address at;
        bool unbound; /* of at, only udp counts: a socket to connect from */
};

struct bind_reply {
        int32_t code; /* errno, 0 when a descriptor comes along */
        uint32_t port;
};

struct binder {
        int sock; /* SOCK_SEQPACKET to the child */
        struct ev_loop *loop;
        ev_io watcher; /* answers are waited for elsewhere: readable here means its end */
        void (*on_gone)(void *ctx);
        void *ctx;
};

static socklen_t fill_address(const struct bind_address *at, struct sockaddr_storage *ret)
{
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret;
        struct sockaddr_in *four = (struct sockaddr_in *)ret;

        *ret = (struct sockaddr_storage){0};
        if (at->ip6) {
                six->sin6_family = AF_INET6;
                six->sin6_port = htons(at->port);
                memcpy(&six->sin6_addr, at->ip6_bytes, sizeof(six->sin6_addr));
                return sizeof(*six);
        }
        four->sin_family = AF_INET;
        four->sin_port = htons(at->port);
        four->sin_addr.s_addr = htonl(at->ip);
        return sizeof(*four);
}

static int open_socket(const struct bind_request *rq, int *ret_fd, uint32_t *ret_port)
{
        const struct bind_address *at = &rq->at;
        int type = (at->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, on = 1;
        struct sockaddr_storage sa;
        socklen_t len = fill_address(at, &sa);
        AUTO_CLOSE int fd = socket(sa.ss_family, type, 0);

        if (fd < 0)
                return errno;
        if (rq->unbound) {
                *ret_fd = steal_fd(&fd);
                return 0;
        }
        /* For TCP only: over UDP it would let two processes share a port unnoticed. */
        if (!at->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
                return errno;
        if (at->udp && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
                return errno;
        if (at->ip6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
                return errno;
        if (bind(fd, (const struct sockaddr *)&sa, len) < 0)
                return errno;
        if (!at->udp && listen(fd, SOMAXCONN) < 0)
                return errno;
        if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
                return errno;
        *ret_port = ntohs(at->ip6 ? ((const struct sockaddr_in6 *)&sa)->sin6_port
                                  : ((const struct sockaddr_in *)&sa)->sin_port);
        *ret_fd = steal_fd(&fd);
        return 0;
}

static void serve_binds(int sock, void *ctx)
{
        struct bind_request rq;

        (void)ctx;
        if (privileges_drop(1ULL << CAP_NET_BIND_SERVICE, NULL) < 0)
                return;
        while (recv(sock, &rq, sizeof(rq), 0) == (ssize_t)sizeof(rq)) {
                struct bind_reply reply = {0, 0};
                int fd = -1;

                reply.code = open_socket(&rq, &fd, &reply.port);
                if (fd_send(sock, &reply, sizeof(reply), &fd, fd >= 0, NULL) < 0)
                        return;
                if (fd >= 0)
                        (void)close(fd); /* netd has it now */
        }
}

int binder_start(struct binder **ret, struct err *err)
{
        struct binder *b;
        int sock, r = helper_start("netd-host", serve_binds, NULL, BINDER_TIMEOUT_S, &sock, err);

        if (r < 0)
                return r;
        b = xnew(struct binder);
        b->sock = sock;
        *ret = b;
        return 0;
}

static void on_binder_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct binder *b = container_of(w, struct binder, watcher);

        (void)revents;
        ev_io_stop(loop, w);
        b->on_gone(b->ctx);
}

void binder_watch(struct binder *b, struct ev_loop *loop, void (*on_gone)(void *ctx), void *ctx)
{
        b->loop = loop;
        b->on_gone = on_gone;
        b->ctx = ctx;
        ev_io_init(&b->watcher, on_binder_readable, b->sock, EV_READ);
        ev_io_start(loop, &b->watcher);
}

void binder_free(struct binder *b)
{
        if (!b)
                return;
        if (b->loop)
                ev_io_stop(b->loop, &b->watcher);
        (void)close(b->sock); /* end of stream: the child ends */
        free(b);
}

static int bind_failure(int code, const struct bind_address *at, struct err *err)
{
        const char *proto = at->udp ? "udp" : "tcp", *hint = "";
        char text[VALUE_IP6_MAX];

        if (at->ip6)
                value_ip6_text(at->ip6_bytes, text);
        else
                value_ip4_text(at->ip, text);
        if (code == EACCES)
                hint = "ports below 1024 need root or sysctl net.ipv4.ip_unprivileged_port_start: ";
        if (code == EADDRNOTAVAIL)
                hint = "no interface of this host has the address: ";
        return err_set(err, code, "%s%s%s:%u/%s: %s%s", at->ip6 ? "[" : "", text,
                       at->ip6 ? "]" : "", at->port, proto, hint, strerror(code));
}

static int binder_ask(struct binder *b, const struct bind_request *rq, struct bind_reply *reply,
                      int *ret_fd, struct err *err)
{
        int fds[FD_PASS_MAX];
        ssize_t n;

        if (send(b->sock, rq, sizeof(*rq), MSG_NOSIGNAL) != (ssize_t)sizeof(*rq))
                return err_errno(err, errno, "the process that opens host ports is gone");
        n = fd_recv(b->sock, reply, sizeof(*reply), fds, err);
        if (n != (ssize_t)sizeof(*reply) || (reply->code == 0) != (fds[0] >= 0))
                return err_set(err, EPIPE, "the process that opens host ports does not answer");
        *ret_fd = fds[0];
        return 0;
}

int binder_socket(struct binder *b, bool udp, int *ret_fd, struct err *err)
{
        const struct bind_request rq = {.at = {.udp = udp}, .unbound = true};
        struct bind_reply reply;
        int fd, r = binder_ask(b, &rq, &reply, &fd, err);

        if (r < 0)
                return r;
        if (reply.code)
                return err_errno(err, reply.code, "socket of the host");
        *ret_fd = fd;
        return 0;
}

int binder_open(struct binder *b, const struct bind_address *at, int *ret_fd, uint16_t *ret_port,
                struct err *err)
{
        const struct bind_request rq = {.at = *at};
        struct bind_reply reply;
        int fd, r = binder_ask(b, &rq, &reply, &fd, err);

        if (r < 0)
                return r;
        if (reply.code)
                return bind_failure(reply.code, at, err);
        *ret_fd = fd;
        *ret_port = (uint16_t)reply.port;
        return 0;
}
