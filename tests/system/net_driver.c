/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives one network through network/net.h for network.t: commands on standard input, what happens
 * on standard output, a line each.
 *
 *   net_driver NETD DIR STACK NAME SUBNET [egress]
 *                                              "egress up", "egress down TEXT", "ready PID
 * adopted|started", "lost TEXT" tap                                        "tap opened" (kept
 * open), "tap failed TEXT" untap                                      close all taps: "untapped"
 *   record NAME,NAME IP NETWORK ready|waiting
 *   client IP NETWORK,NETWORK [egress]
 *   zone                                       send what was collected: "zone sent"
 *   forward ID HOST_IP PORT TARGET_IP PORT tcp|udp
 *   forwards                                   send: "forward ID PORT" or "forward ID failed TEXT"
 *   stop                                       end netd and the driver; end of file: detach
 */
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/value.h"
#include "network/net.h"

#define WORDS_MAX 8

struct driver {
        struct ev_loop *loop;
        struct net *net;
        ev_io input;
        char line[4096];
        size_t line_len;
        struct zone_record *records;
        size_t records_len;
        struct zone_client *clients;
        size_t clients_len;
        struct forward *forwards;
        size_t forwards_len;
        int *taps;
        size_t taps_len;
};

static void on_ready(void *ctx)
{
        struct driver *d = ctx;

        printf("ready %d %s\n", net_pid(d->net), net_adopted(d->net) ? "adopted" : "started");
}

static void on_lost(void *ctx, const struct err *err)
{
        struct driver *d = ctx;

        d->net = NULL;
        printf("lost %s\n", err->msg);
}

static void on_link_gone(void *ctx)
{
        (void)ctx;
        printf("link-gone\n");
}

static void on_egress(void *ctx, const char *error)
{
        (void)ctx;
        printf("egress %s%s\n", error ? "down " : "up", error ? error : "");
}

static void on_tap(void *ctx, int fd, const struct err *err)
{
        struct driver *d = ctx;

        if (fd < 0) {
                printf("tap failed %s\n", err->msg);
                return;
        }
        *array_push(&d->taps, &d->taps_len) = fd;
        printf("tap opened\n");
}

static void on_forwards(void *ctx, const struct forward_result *results, size_t n,
                        const struct err *err)
{
        (void)ctx;
        if (err)
                printf("forwards failed %s\n", err->msg);
        for (size_t i = 0; i < n; i++) {
                if (results[i].bound)
                        printf("forward %s %u\n", results[i].id, results[i].host_port);
                else
                        printf("forward %s failed %s\n", results[i].id, results[i].error);
        }
}

static const char **words_of(const char *text, size_t *ret_len)
{
        AUTO_FREE char *copy = xstrdup(text);
        const char **items = NULL;
        char *save;

        *ret_len = 0;
        for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
                *array_push(&items, ret_len) = xstrdup(w);
        return items;
}

static void words_free(const char *const *items, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free((void *)(uintptr_t)items[i]);
        free((void *)(uintptr_t)items);
}

static uint32_t ip_of(const char *text)
{
        uint32_t ip;

        if (value_ip4(text, &ip, NULL) < 0) {
                fprintf(stderr, "not an address: %s\n", text);
                exit(2);
        }
        return ip;
}

/* netd answers in order: with this answer it has the zone, too. */
static void on_zone_taken(void *ctx, int fd, const struct err *err)
{
        (void)ctx;
        if (fd >= 0)
                close(fd);
        printf("%s\n", err ? err->msg : "zone sent");
}

static void send_zone(struct driver *d)
{
        const struct zone zone = {d->records, d->records_len, d->clients, d->clients_len};
        struct err err = ERR_INIT;

        if (net_set_zone(d->net, &zone, &err) < 0 ||
            net_open_tap(d->net, on_zone_taken, d, &err) < 0)
                printf("zone failed %s\n", err.msg);
        for (size_t i = 0; i < d->records_len; i++) {
                words_free(d->records[i].names, d->records[i].names_len);
                free((void *)(uintptr_t)d->records[i].network);
        }
        for (size_t i = 0; i < d->clients_len; i++)
                words_free(d->clients[i].networks, d->clients[i].networks_len);
        d->records_len = d->clients_len = 0;
        free(STEAL(d->records));
        free(STEAL(d->clients));
}

static void send_forwards(struct driver *d)
{
        struct err err = ERR_INIT;

        if (net_set_forwards(d->net, d->forwards, d->forwards_len, on_forwards, d, &err) < 0)
                printf("forwards failed %s\n", err.msg);
        for (size_t i = 0; i < d->forwards_len; i++)
                free((void *)(uintptr_t)d->forwards[i].id);
        d->forwards_len = 0;
        free(STEAL(d->forwards));
}

static void add_record(struct driver *d, char **w)
{
        struct zone_record *r = array_push(&d->records, &d->records_len);

        r->names = words_of(w[1], &r->names_len);
        r->ip = ip_of(w[2]);
        r->network = xstrdup(w[3]);
        r->ready = strcmp(w[4], "ready") == 0;
}

static void add_client(struct driver *d, char **w, bool egress)
{
        struct zone_client *c = array_push(&d->clients, &d->clients_len);

        c->ip = ip_of(w[1]);
        c->networks = words_of(w[2], &c->networks_len);
        c->egress = egress;
}

static void add_forward(struct driver *d, char **w)
{
        struct forward *f = array_push(&d->forwards, &d->forwards_len);

        f->id = xstrdup(w[1]);
        f->host_ip = ip_of(w[2]);
        f->host_port = (uint16_t)strtoul(w[3], NULL, 10);
        f->target_ip = ip_of(w[4]);
        f->target_port = (uint16_t)strtoul(w[5], NULL, 10);
        f->udp = strcmp(w[6], "udp") == 0;
}

static void run_command(struct driver *d, char *line)
{
        char *w[WORDS_MAX] = {NULL}, *save;
        struct err err = ERR_INIT;
        size_t n = 0;

        for (char *p = strtok_r(line, " ", &save); p && n < WORDS_MAX;
             p = strtok_r(NULL, " ", &save))
                w[n++] = p;
        if (n == 1 && streq(w[0], "tap")) {
                if (net_open_tap(d->net, on_tap, d, &err) < 0)
                        printf("tap failed %s\n", err.msg);
        } else if (n == 1 && streq(w[0], "untap")) {
                while (d->taps_len)
                        (void)close(d->taps[--d->taps_len]);
                free(STEAL(d->taps));
                printf("untapped\n");
        } else if (n == 5 && streq(w[0], "record")) {
                add_record(d, w);
        } else if ((n == 3 || n == 4) && streq(w[0], "client")) {
                add_client(d, w, n == 4);
        } else if (n == 7 && streq(w[0], "forward")) {
                add_forward(d, w);
        } else if (n == 1 && streq(w[0], "zone")) {
                send_zone(d);
        } else if (n == 1 && streq(w[0], "forwards")) {
                send_forwards(d);
        } else if (n == 1 && streq(w[0], "stop")) {
                ev_io_stop(d->loop, &d->input);
                net_stop(STEAL(d->net)); /* the loop ends when netd is reaped */
        } else {
                printf("unknown command\n");
        }
}

static void on_input(struct ev_loop *loop, ev_io *w, int revents)
{
        struct driver *d = container_of(w, struct driver, input);
        ssize_t n = read(0, d->line + d->line_len, sizeof(d->line) - d->line_len);
        char *end;

        (void)revents;
        if (n <= 0) {
                ev_io_stop(loop, w);
                net_detach(STEAL(d->net));
                return;
        }
        d->line_len += (size_t)n;
        while (d->net && (end = memchr(d->line, '\n', d->line_len))) {
                *end++ = '\0';
                run_command(d, d->line);
                d->line_len -= (size_t)(end - d->line);
                memmove(d->line, end, d->line_len);
        }
}

int main(int argc, char **argv)
{
        struct driver d = {.loop = ev_default_loop(EVFLAG_AUTO)};
        const struct net_events events = {on_ready, on_lost, on_egress, on_link_gone, &d};
        struct net_spec spec;
        struct err err = ERR_INIT;

        if (argc != 6 && argc != 7)
                return 2;
        spec = (struct net_spec){.netd = argv[1],
                                 .dir = argv[2],
                                 .stack = argv[3],
                                 .name = argv[4],
                                 .egress = argc == 7};
        if (value_cidr4(argv[5], &spec.subnet, &spec.bits, NULL) < 0)
                return 2;
        setvbuf(stdout, NULL, _IOLBF, 0);
        (void)alarm(300); /* a test that hangs ends */
        if (net_start(d.loop, &spec, &events, &d.net, &err) < 0) {
                printf("start failed %s\n", err.msg);
                return 1;
        }
        ev_io_init(&d.input, on_input, 0, EV_READ);
        ev_io_start(d.loop, &d.input);
        (void)ev_run(d.loop, 0);
        return 0;
}
