/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards from and to loopback: no namespace is needed for any of it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "network/forwarder.h"
#include "network/holder.h"
#include "tests/tap.h"

/* An address of this process's own: tests that run beside it do not take ports that it gave back.
 */
#define LOOPBACK (0x7f400000U | ((uint32_t)getpid() & 0x3fffffU))

struct results {
        struct forward_result items[4];
        char errors[4][256];
        int codes[4];
        size_t n;
};

static struct ev_loop *loop;

static void on_result(void *ctx, const struct forward_result *result, int code)
{
        struct results *r = ctx;

        r->items[r->n] = *result;
        (void)snprintf(r->errors[r->n], sizeof(r->errors[0]), "%s",
                       result->error ? result->error : "");
        r->codes[r->n++] = code;
}

static struct results replace(struct forwarder *f, const struct forward *forwards, size_t n)
{
        struct results r = {.n = 0};

        forwarder_replace(f, forwards, n, on_result, &r);
        return r;
}

static int open_server(int type, uint16_t *ret_port)
{
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(LOOPBACK)};
        int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t len = sizeof(sin);

        if (bind(fd, (const struct sockaddr *)&sin, len) < 0 ||
            (type == SOCK_STREAM && listen(fd, 8) < 0) ||
            getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
                abort();
        *ret_port = ntohs(sin.sin_port);
        return fd;
}

static int open_client(int type, uint16_t port)
{
        struct sockaddr_in sin = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(LOOPBACK)};
        struct sockaddr_in self = {.sin_port = 0};
        socklen_t len = sizeof(self);
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

        /* A free port of the ephemeral range may connect to itself (simultaneous open). */
        if (connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) < 0 ||
            getsockname(fd, (struct sockaddr *)&self, &len) < 0 || self.sin_port == sin.sin_port) {
                (void)close(fd);
                return -1;
        }
        return fd;
}

static void on_watchdog(struct ev_loop *l, ev_timer *w, int revents)
{
        (void)l;
        (void)revents;
        w->data = w; /* late */
}

/* Run the loop until fd is readable or the watchdog barks; what recv() gives. */
static ssize_t get(int fd, char *data, size_t n)
{
        ev_timer watchdog;
        ssize_t got;

        ev_timer_init(&watchdog, on_watchdog, 5.0, 0.0);
        watchdog.data = NULL;
        ev_timer_start(loop, &watchdog);
        do {
                ev_run(loop, EVRUN_NOWAIT);
                got = recv(fd, data, n, MSG_DONTWAIT);
        } while (got < 0 && errno == EAGAIN && !watchdog.data);
        ev_timer_stop(loop, &watchdog);
        return got < 0 ? -errno : got;
}

static int accept_one(int server)
{
        int fd;

        for (int i = 0; i < 1000; i++) {
                ev_run(loop, EVRUN_NOWAIT);
                fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0)
                        return fd;
        }
        return -1;
}

static void test_tcp(struct forwarder *f)
{
        uint16_t port, other_port, host_port;
        AUTO_CLOSE int server = open_server(SOCK_STREAM, &port);
        AUTO_CLOSE int other = open_server(SOCK_STREAM, &other_port);
        AUTO_CLOSE int client = -1, inside = -1, client2 = -1, inside2 = -1;
        struct forward fw = {.host_ip = LOOPBACK,
                             .host_port = 0,
                             .target_ip = LOOPBACK,
                             .target_port = port,
                             .udp = false,
                             .id = "web/1/80/tcp"};
        struct results r = replace(f, &fw, 1);
        char data[16] = "";

        ok(r.n == 1 && r.items[0].bound, "bound to a free port");
        host_port = r.items[0].host_port;
        client = open_client(SOCK_STREAM, host_port);
        inside = accept_one(server);
        ok(client >= 0 && inside >= 0, "a connection reaches the target");
        (void)send(client, "hello", 5, 0);
        is_int(get(inside, data, sizeof(data)), 5, "with its data");

        r = replace(f, &fw, 1);
        is_int(r.items[0].host_port, host_port, "told again: the same port");
        (void)send(client, "again", 5, 0);
        is_int(get(inside, data, sizeof(data)), 5, "and the connection lives");

        fw.target_port = other_port;
        r = replace(f, &fw, 1);
        is_int(r.items[0].host_port, host_port, "another target: the same port");
        client2 = open_client(SOCK_STREAM, host_port);
        inside2 = accept_one(other);
        ok(inside2 >= 0, "new connections go to the new target");
        (void)send(inside, "old", 3, 0);
        is_int(get(client, data, sizeof(data)), 3, "the old one is still served");

        r = replace(f, NULL, 0);
        is_int(r.n, 0, "the empty set");
        is_int(get(client, data, sizeof(data)), -ECONNRESET, "ends its connections");
        is_int(open_client(SOCK_STREAM, host_port), -1, "and its port");
}

static void test_conflict(struct forwarder *f)
{
        uint16_t taken, port;
        AUTO_CLOSE int holder = open_server(SOCK_STREAM, &taken);
        AUTO_CLOSE int target = open_server(SOCK_STREAM, &port);
        struct forward fw[] = {{.host_ip = LOOPBACK,
                                .host_port = taken,
                                .target_ip = LOOPBACK,
                                .target_port = port,
                                .udp = false,
                                .id = "a"},
                               {.host_ip = LOOPBACK,
                                .host_port = 0,
                                .target_ip = LOOPBACK,
                                .target_port = port,
                                .udp = false,
                                .id = "b"},
                               {.host_ip = 0x08080808,
                                .host_port = 0,
                                .target_ip = LOOPBACK,
                                .target_port = port,
                                .udp = false,
                                .id = "c"}};
        struct results r = replace(f, fw, 3);
        char expect[64], who[64] = "", own[64];

        ok(target >= 0 && !r.items[0].bound && r.codes[0] == EADDRINUSE,
           "a taken port is not bound");
        (void)snprintf(expect, sizeof(expect), "%u.%u.%u.%u:%u/tcp: ", LOOPBACK >> 24,
                       LOOPBACK >> 16 & 255, LOOPBACK >> 8 & 255, LOOPBACK & 255, taken);
        has_str(r.errors[0], expect, "the text names address, port and protocol");
        has_str(r.errors[0], "in use", "and the cause");
        ok(holder_find(LOOPBACK, taken, false, who, sizeof(who)), "its holder is found");
        (void)snprintf(own, sizeof(own), "(process %d)", (int)getpid());
        has_str(who, own, "it is us");
        ok(!holder_find(0x7f000002, taken, false, who, sizeof(who)), "not on another address");
        ok(!holder_find(LOOPBACK, taken, true, who, sizeof(who)), "nor by UDP");
        ok(r.items[1].bound, "the others are bound");
        ok(!r.items[2].bound && r.codes[2] == EADDRNOTAVAIL, "an address that is not ours");
        has_str(r.errors[2], "no interface", "is explained");

        (void)close(steal_fd(&holder));
        r = replace(f, fw, 2);
        ok(r.items[0].bound && r.items[0].host_port == taken, "free again: bound at the next try");
        fw[0].id = "moved";
        r = replace(f, fw, 1);
        ok(r.items[0].bound && r.items[0].host_port == taken,
           "a port moves from one id to another");
        (void)replace(f, NULL, 0);
}

static void test_range(struct forwarder *f)
{
        uint16_t taken, port;
        AUTO_CLOSE int holder = open_server(SOCK_STREAM, &taken);
        AUTO_CLOSE int target = open_server(SOCK_STREAM, &port);
        struct forward fw = {.host_ip = LOOPBACK,
                             .host_port = taken,
                             .host_port_last = taken,
                             .target_ip = LOOPBACK,
                             .target_port = port,
                             .id = "web/1/range"};
        struct results r = replace(f, &fw, 1);
        uint16_t got;

        ok(target >= 0 && !r.items[0].bound && r.codes[0] == EADDRINUSE, "a range that is full");
        fw.host_port_last = taken > 65000 ? taken : (uint16_t)(taken + 500);
        r = replace(f, &fw, 1);
        got = r.items[0].host_port;
        ok(r.items[0].bound && got > taken && got <= fw.host_port_last, "a free port of the range");
        r = replace(f, &fw, 1);
        is_int(r.items[0].host_port, got, "told again: the same one");
        (void)replace(f, NULL, 0);
        (void)holder;
}

static void test_ip6(struct forwarder *f)
{
        uint16_t port;
        AUTO_CLOSE int server = open_server(SOCK_STREAM, &port);
        struct forward fw = {.ip6 = true,
                             .host_ip6 = {[15] = 1},
                             .target_ip = LOOPBACK,
                             .target_port = port,
                             .id = "web/1/ip6"};
        struct results r = replace(f, &fw, 1);
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        AUTO_CLOSE int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        AUTO_CLOSE int inside = -1;

        if (!r.items[0].bound && (r.codes[0] == EADDRNOTAVAIL || r.codes[0] == EAFNOSUPPORT)) {
                ok(true, "IPv6 # SKIP this machine has no ::1");
                return;
        }
        ok(r.items[0].bound, "IPv6: bound");
        six.sin6_port = htons(r.items[0].host_port);
        ok(connect(client, (const struct sockaddr *)&six, sizeof(six)) == 0, "IPv6: connected");
        inside = accept_one(server);
        ok(inside >= 0, "IPv6: reaches the target");
        (void)replace(f, NULL, 0);
}

static void test_udp(struct forwarder *f)
{
        uint16_t port, host_port;
        AUTO_CLOSE int server = open_server(SOCK_DGRAM, &port);
        AUTO_CLOSE int one = -1, two = -1;
        struct forward fw = {.host_ip = 0,
                             .host_port = 0,
                             .target_ip = LOOPBACK,
                             .target_port = port,
                             .udp = true,
                             .id = "dns/1/53/udp"};
        struct results r = replace(f, &fw, 1);
        struct sockaddr_in from[2];
        socklen_t len = sizeof(from[0]);
        char data[16] = "";

        ok(r.items[0].bound, "UDP: bound on all addresses");
        host_port = r.items[0].host_port;
        one = open_client(SOCK_DGRAM, host_port);
        two = open_client(SOCK_DGRAM, host_port);
        (void)send(one, "1", 1, 0);
        for (int i = 0; i < 100; i++)
                ev_run(loop, EVRUN_NOWAIT);
        is_int(recvfrom(server, data, sizeof(data), 0, (struct sockaddr *)&from[0], &len), 1,
               "UDP: arrives");
        (void)send(two, "22", 2, 0);
        for (int i = 0; i < 100; i++)
                ev_run(loop, EVRUN_NOWAIT);
        is_int(recvfrom(server, data, sizeof(data), 0, (struct sockaddr *)&from[1], &len), 2,
               "UDP: of a second client too");
        ok(from[0].sin_port != from[1].sin_port, "UDP: as another flow");
        (void)sendto(server, "two!", 4, 0, (struct sockaddr *)&from[1], len);
        is_int(get(two, data, sizeof(data)), 4, "UDP: an answer finds its client");
        (void)sendto(server, "one", 3, 0, (struct sockaddr *)&from[0], len);
        is_int(get(one, data, sizeof(data)), 3, "UDP: each its own");
        (void)send(one, "", 0, 0);
        for (int i = 0; i < 100; i++)
                ev_run(loop, EVRUN_NOWAIT);
        is_int(recvfrom(server, data, sizeof(data), 0, (struct sockaddr *)&from[1], &len), 0,
               "UDP: an empty datagram is one too");
        is_int(from[0].sin_port, from[1].sin_port, "UDP: and of the same flow");
        (void)replace(f, NULL, 0);
}

int main(void)
{
        struct binder *binder = NULL;
        struct forwarder *f;
        struct err err = ERR_INIT;

        if (!ok(binder_start(&binder, &err) == 0, "the binder starts"))
                return tap_done();
        loop = ev_default_loop(EVFLAG_AUTO);
        f = forwarder_new(loop, binder);
        test_tcp(f);
        test_range(f);
        test_ip6(f);
        test_conflict(f);
        test_udp(f);
        forwarder_free(f);
        binder_free(binder);
        for (int i = 0; i < 3; i++)
                ev_run(loop, EVRUN_NOWAIT); /* deferred frees */
        ev_loop_destroy(loop);
        return tap_done();
}
