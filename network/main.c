/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth-netd: one network of a stack. Started by the daemon (net.c) with its listening control
 * socket as descriptor 3; it outlives the daemon and ends by `stop`, SIGTERM, or never.
 *
 *        host network namespace    |   own user and network namespace
 *                                  |
 *   binder (child) --bound sockets--> netd: forwards, DNS, bridge, taps --tap--> daemon, QEMU
 *                                  |
 */
#include <ev.h>
#include <getopt.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/value.h"
#include "network/binder.h"
#include "network/control.h"
#include "network/dns_server.h"
#include "network/egress.h"
#include "network/forwarder.h"
#include "network/links.h"
#include "network/net.h"
#include "network/netd_file.h"
#include "network/netns.h"
#include "network/taps_server.h"

#define LISTEN_FD 3
#define DNS_PORT  53

#define RESOLV_CONF "/etc/resolv.conf"

static const char usage[] =
        "usage: berth-netd --taps\n"
        "       berth-netd --dir DIR --stack NAME --name NETWORK --subnet A.B.C.D/N [--egress]\n"
        "\n"
        "Serves one network: namespace, bridge, taps, DNS, port forwards, egress. berthd starts "
        "it, with "
        "a\n"
        "listening unix socket as descriptor 3; it is of no use by hand.\n";

struct options {
        const char *dir;
        const char *subnet_text;
        struct netd_identity id;
};

static int check_options(struct options *o, struct err *err)
{
        int r;

        if (!o->dir || !o->id.stack || !o->id.name || !o->subnet_text)
                return err_set(err, EINVAL, "--dir, --stack, --name and --subnet are needed");
        if ((*o->id.stack && !value_stack_name_valid(o->id.stack)) || !value_name_valid(o->id.name))
                return err_set(err, EINVAL, "--stack and --name must be names");
        r = value_cidr4(o->subnet_text, &o->id.subnet, &o->id.bits, err);
        if (r < 0)
                return r;
        if (o->id.bits < 16 || o->id.bits > 29)
                return err_set(err, EINVAL, "--subnet %s: the prefix must be 16..29",
                               o->subnet_text);
        return 0;
}

/* 0, 1: said what was asked for, nothing else to do; < 0: err set. */
static int parse_options(int argc, char **argv, struct options *o, struct err *err)
{
        static const struct option longs[] = {
                {"dir", required_argument, NULL, 'd'},  {"stack", required_argument, NULL, 's'},
                {"name", required_argument, NULL, 'n'}, {"subnet", required_argument, NULL, 'a'},
                {"egress", no_argument, NULL, 'e'},     {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'v'},    {NULL, 0, NULL, 0},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
                switch (c) {
                case 'd':
                        o->dir = optarg;
                        break;
                case 's':
                        o->id.stack = optarg;
                        break;
                case 'n':
                        o->id.name = optarg;
                        break;
                case 'a':
                        o->subnet_text = optarg;
                        break;
                case 'e':
                        o->id.egress = true;
                        break;
                case 'h':
                        (void)fputs(usage, stdout);
                        return 1;
                case 'v':
                        (void)puts("berth-netd " BERTH_VERSION);
                        return 1;
                default:
                        return err_set(err, EINVAL, "see berth-netd --help");
                }
        }
        return check_options(o, err);
}

/* Each forwarded connection needs two descriptors. */
static void raise_limits(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* up to the hard limit is allowed */
}

static void ignore_sigpipe(void)
{
        struct sigaction sa = {.sa_handler = SIG_IGN};

        (void)sigaction(SIGPIPE, &sa, NULL); /* cannot fail */
}

/* What ends netd, and whom it tells. */
struct life {
        struct ev_loop *loop;
        struct control *control;
        bool lost; /* something that netd cannot do without is gone */
};

static void on_stop(void *ctx)
{
        ev_break(ctx, EVBREAK_ALL);
}

/* The daemon makes the network anew, VMs included. It reads why, once the connection is gone. */
static void life_end(struct life *life, const char *why)
{
        (void)fprintf(stderr, "berth-netd: %s\n", why);
        life->lost = true;
        ev_break(life->loop, EVBREAK_ALL);
}

static void on_bridge_gone(void *ctx)
{
        life_end(ctx, "somebody removed the bridge " NETNS_BRIDGE);
}

static void on_binder_gone(void *ctx)
{
        life_end(ctx, "the process that opens host ports was killed");
}

static void on_link_gone(void *ctx)
{
        const struct life *life = ctx;

        control_tell_link_gone(life->control);
}

static void on_egress_change(void *ctx)
{
        const struct life *life = ctx;

        control_tell_egress(life->control);
}

static void on_stop_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
        (void)w;
        (void)revents;
        on_stop(loop);
}

/* The outside world: binder, and with egress a keeper. */
struct outside {
        struct binder *binder;
        struct slirp_keeper *keeper; /* NULL: no egress */
};

/* 0: it was asked to end; 1: it had to, and said why. */
static int serve(const struct options *o, const struct outside *outside, struct err *err)
{
        struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
        AUTO(dns_server) struct dns_server *dns = NULL;
        AUTO(forwarder) struct forwarder *forwarder = NULL;
        AUTO(control) struct control *control = NULL;
        AUTO(links) struct links *links = NULL;
        AUTO(egress) struct egress *egress = NULL;
        struct life life = {.loop = loop};
        const struct links_events events = {on_bridge_gone, on_link_gone, &life};
        ev_signal term;
        int r;

        if (!loop)
                return err_set(err, EIO, "no event loop: libev found no way to wait");
        r = dns_server_new(loop, net_gateway(o->id.subnet, o->id.bits), DNS_PORT, o->id.stack,
                           o->id.name, &dns, err);
        if (r < 0)
                return r;
        r = privileges_drop(1ULL << CAP_NET_ADMIN, err); /* taps need it */
        if (r < 0)
                return r;
        r = fd_set_nonblock(LISTEN_FD, err);
        if (r < 0)
                return err_wrap(err, "control socket (descriptor %d)", LISTEN_FD);
        forwarder = forwarder_new(loop, outside->binder);
        dns_server_set_forward(
                dns, dns_forward_new(loop, outside->binder, RESOLV_CONF, o->id.subnet, o->id.bits));
        if (outside->keeper)
                egress = egress_new(loop, outside->keeper, on_egress_change, &life);
        control = control_new(loop, LISTEN_FD, &o->id,
                              &(struct control_parts){dns, forwarder, egress}, on_stop, loop);
        life.control = control;
        binder_watch(outside->binder, loop, on_binder_gone, &life);
        r = links_new(loop, NETNS_BRIDGE, &events, &links, err);
        if (r < 0)
                return r;
        ev_signal_init(&term, on_stop_signal, SIGTERM);
        ev_signal_start(loop, &term);
        (void)ev_run(loop, 0);
        if (!life.lost)
                netd_file_remove(o->dir);
        return life.lost;
}

static int netd(const struct options *o, struct err *err)
{
        AUTO(binder) struct binder *binder = NULL;
        AUTO(slirp_keeper) struct slirp_keeper *keeper = NULL;
        int r = netns_check_tun(err);

        if (r < 0)
                return r;
        raise_limits();
        ignore_sigpipe();
        r = netd_file_write(o->dir, o->id.stack, o->id.name, o->subnet_text, err);
        if (r < 0)
                return r;
        r = binder_start(&binder, err);
        if (r < 0)
                return r;
        if (o->id.egress)
                r = slirp_keeper_start(&keeper, err);
        if (r < 0)
                return r;
        r = netns_enter(err);
        if (r < 0)
                return r;
        r = netns_setup(net_gateway(o->id.subnet, o->id.bits), o->id.bits, NET_MTU, err);
        if (r == 0 && o->id.egress)
                r = netns_route_setup(err);
        return r < 0 ? r : serve(o, &(struct outside){binder, keeper}, err);
}

int main(int argc, char **argv)
{
        struct options o = {.dir = NULL};
        struct err err = ERR_INIT;
        bool taps = argc == 2 && streq(argv[1], TAPS_SERVER_OPTION);
        int r = taps ? 0 : parse_options(argc, argv, &o, &err);

        if (r > 0)
                return 0;
        if (r == 0)
                r = taps ? taps_serve(&err) : netd(&o, &err);
        if (r < 0)
                (void)fprintf(stderr, "berth-netd: %s\n", err.msg); /* net.c reads it back */
        return r != 0;
}
