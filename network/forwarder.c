/* SPDX-License-Identifier: Apache-2.0 */
#include "network/forwarder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/mem.h"
#include "network/flow.h"
#include "network/relay.h"

/* Connections accepted in a row from one port before others get their turn. */
#define ACCEPT_BURST 16
/* A target that does not answer is given up after this many SYNs: about 15 s. */
#define CONNECT_SYNS 3
/* Out of descriptors: how long the listen queue may fill before the next try. */
#define ACCEPT_PAUSE_S 0.5

struct connection {
        struct port *port;
        struct relay *relay;
        struct connection *next, **link;
};

/* One published port. */
struct port {
        struct forwarder *owner;
        struct port *next;
        char *id;
        struct forward spec; /* id: ours */
        uint16_t bound;
        bool keep;
        int fd; /* TCP listener */
        ev_io acceptor;
        struct connection *connections;
        struct flows *flows; /* UDP */
};

struct forwarder {
        struct ev_loop *loop;
        struct binder *binder;
        struct port *ports;
        size_t connections;
        bool paused;
        ev_timer pause;
};

static void acceptors_set(struct forwarder *f, bool on)
{
        f->paused = !on;
        for (struct port *p = f->ports; p; p = p->next) {
                if (p->spec.udp)
                        continue;
                if (on)
                        ev_io_start(f->loop, &p->acceptor);
                else
                        ev_io_stop(f->loop, &p->acceptor);
        }
}

static void on_pause_end(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        acceptors_set(container_of(w, struct forwarder, pause), true);
}

/* No more connections for now; clients wait in the listen queues. */
static void forwarder_pause(struct forwarder *f)
{
        acceptors_set(f, false);
        ev_timer_set(&f->pause, ACCEPT_PAUSE_S, 0.0);
        ev_timer_start(f->loop, &f->pause);
}

static void connection_free(struct connection *c)
{
        *c->link = c->next;
        if (c->next)
                c->next->link = c->link;
        c->port->owner->connections--;
        free(c);
}

static void on_connection_end(void *ctx, struct relay *relay)
{
        (void)relay;
        connection_free(ctx);
}

static void tune(int fd)
{
        const int on = 1, idle = 60, interval = 10, probes = 3;

        /* Best effort, all of it: a VM that was killed sends no end of stream. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void reset_and_close(int fd)
{
        const struct linger hard = {.l_onoff = 1, .l_linger = 0};

        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)); /* else a plain end */
        (void)close(fd);                                                  /* nothing was written */
}

/* A client was accepted: connect to the target, inside. */
static void port_connect(struct port *p, int client)
{
        struct sockaddr_in sin = {.sin_family = AF_INET,
                                  .sin_port = htons(p->spec.target_port),
                                  .sin_addr.s_addr = htonl(p->spec.target_ip)};
        AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const int syns = CONNECT_SYNS;
        struct connection *c;

        if (fd < 0) {
                reset_and_close(client);
                forwarder_pause(p->owner);
                return;
        }
        tune(client);
        tune(fd);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &syns, sizeof(syns)); /* only a bound */
        if (connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) < 0 && errno != EINPROGRESS) {
                reset_and_close(client);
                return;
        }
        c = xnew(struct connection);
        c->port = p;
        c->next = p->connections;
        c->link = &p->connections;
        if (c->next)
                c->next->link = &c->next;
        p->connections = c;
        p->owner->connections++;
        c->relay = relay_start(p->owner->loop, client, steal_fd(&fd), true, on_connection_end, c);
}

static void port_accept(struct port *p)
{
        for (int i = 0; i < ACCEPT_BURST && !p->owner->paused; i++) {
                int fd;

                if (p->owner->connections >= FORWARDER_CONNECTIONS_MAX) {
                        forwarder_pause(p->owner);
                        return;
                }
                fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0) {
                        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                            errno == ENOMEM)
                                forwarder_pause(p->owner);
                        return; /* nobody there, or gone again */
                }
                port_connect(p, fd);
        }
}

static void on_port_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
        (void)loop;
        (void)revents;
        port_accept(container_of(w, struct port, acceptor));
}

static void port_free(struct port *p)
{
        while (p->connections) {
                relay_abort(p->connections->relay);
                connection_free(p->connections);
        }
        flows_free(p->flows);
        if (p->fd >= 0) {
                ev_io_stop(p->owner->loop, &p->acceptor);
                /* Also the binder's copy, which it may not have had the time to close yet. */
                (void)shutdown(p->fd, SHUT_RDWR);
                (void)close(p->fd); /* a listener has nothing to flush */
        }
        free(p->id);
        free(p);
}

static int port_bind(struct forwarder *f, const struct forward *spec, struct port **ret,
                     struct err *err)
{
        struct bind_address at = {
                .ip = spec->host_ip, .ip6 = spec->ip6, .port = spec->host_port, .udp = spec->udp};
        AUTO_CLOSE int fd = -1;
        uint16_t bound;
        struct port *p;
        int r;

        memcpy(at.ip6_bytes, spec->host_ip6, sizeof(at.ip6_bytes));
        r = binder_open(f->binder, &at, &fd, &bound, err);
        while (r == -EADDRINUSE && at.port < spec->host_port_last) {
                at.port++;
                r = binder_open(f->binder, &at, &fd, &bound, err);
        }
        if (r < 0)
                return r;
        p = xnew(struct port);
        p->owner = f;
        p->id = xstrdup(spec->id);
        p->spec = *spec;
        p->spec.id = p->id;
        p->bound = bound;
        p->fd = -1;
        if (spec->udp) {
                p->flows = flows_new(f->loop, steal_fd(&fd), spec->target_ip, spec->target_port);
        } else {
                p->fd = steal_fd(&fd);
                ev_io_init(&p->acceptor, on_port_acceptable, p->fd, EV_READ);
                if (!f->paused)
                        ev_io_start(f->loop, &p->acceptor);
        }
        p->next = f->ports;
        f->ports = p;
        *ret = p;
        return 0;
}

/* The port that serves the same id on the same host address already; NULL when there is none. */
static struct port *port_find(const struct forwarder *f, const struct forward *spec)
{
        for (struct port *p = f->ports; p; p = p->next)
                if (streq(p->id, spec->id) && p->spec.udp == spec->udp &&
                    p->spec.host_ip == spec->host_ip && p->spec.host_port == spec->host_port &&
                    p->spec.host_port_last == spec->host_port_last && p->spec.ip6 == spec->ip6 &&
                    memcmp(p->spec.host_ip6, spec->host_ip6, sizeof(spec->host_ip6)) == 0)
                        return p;
        return NULL;
}

static void port_retarget(struct port *p, const struct forward *spec)
{
        p->spec.target_ip = spec->target_ip;
        p->spec.target_port = spec->target_port;
        if (p->flows)
                flows_set_target(p->flows, spec->target_ip, spec->target_port);
}

static void drop_unwanted(struct forwarder *f)
{
        struct port **link = &f->ports;

        while (*link) {
                struct port *p = *link;

                if (p->keep) {
                        link = &p->next;
                        continue;
                }
                *link = p->next;
                port_free(p);
        }
}

struct forwarder *forwarder_new(struct ev_loop *loop, struct binder *binder)
{
        struct forwarder *f = xnew(struct forwarder);

        f->loop = loop;
        f->binder = binder;
        ev_init(&f->pause, on_pause_end);
        return f;
}

void forwarder_free(struct forwarder *f)
{
        if (!f)
                return;
        ev_timer_stop(f->loop, &f->pause);
        for (struct port *p = f->ports; p; p = p->next)
                p->keep = false;
        drop_unwanted(f);
        free(f);
}

void forwarder_replace(struct forwarder *f, const struct forward *forwards, size_t n,
                       void (*on_result)(void *ctx, const struct forward_result *result, int code),
                       void *ctx)
{
        for (struct port *p = f->ports; p; p = p->next)
                p->keep = false;
        for (size_t i = 0; i < n; i++) {
                struct port *p = port_find(f, &forwards[i]);

                if (p)
                        p->keep = true;
        }
        drop_unwanted(f); /* first, so that a port can move from one id to another */
        for (size_t i = 0; i < n; i++) {
                struct port *p = port_find(f, &forwards[i]);
                struct err err = ERR_INIT;
                struct forward_result result = {.id = forwards[i].id};

                if (p)
                        port_retarget(p, &forwards[i]);
                else if (port_bind(f, &forwards[i], &p, &err) < 0)
                        result.error = err.msg;
                if (p)
                        result.host_port = p->bound;
                result.bound = p != NULL;
                on_result(ctx, &result, err.code);
        }
}
