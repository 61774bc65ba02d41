/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One network of a stack, or one that stacks share, as the daemon sees it: a berth-netd process
 * that owns a network namespace (inside a user namespace when not root) with a bridge, the
 * addresses, the DNS server on the gateway address, the port forwards from the host, and the way
 * out. netd outlives the daemon: it is adopted again by its control socket, and everything it is
 * told is a whole desired state (zone, forwards), so that telling it twice does no harm.
 *
 *   DIR/netd.sock   control socket (JSON lines, descriptors by SCM_RIGHTS)
 *   DIR/netd.json   pid, start time, subnet
 *   DIR/netd.log    standard error of netd: empty unless it failed
 *
 * The first host address of the subnet is the gateway (netd itself: bridge and DNS).
 */
#ifndef NETWORK_NET_H
#define NETWORK_NET_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/value.h"

#define NET_MTU 1500

/* Where networks without a subnet of their own have theirs: 10.192.0.0/12. It is nowhere outside.
 */
#define NET_POOL      0x0ac00000u
#define NET_POOL_BITS 12

struct net_spec {
        const char *netd;  /* path of the berth-netd program */
        const char *dir;   /* for netd.sock; exists, shorter than 90 bytes */
        const char *stack; /* for names: web.STACK.test; "": no stack's own, all may be on it */
        const char *name;  /* of the network, unique within the stack */
        uint32_t subnet;   /* host byte order */
        unsigned bits;     /* 16..29 */
        bool egress;       /* there is a way out, for clients that may use it */
};

struct net;

struct net_events {
        void (*on_ready)(void *ctx); /* bridge and DNS are up */
        /* netd ended or never came up. Requests have failed by now; net is gone when this returns,
         * and net_detach() or net_stop() are not called any more, but within. */
        void (*on_lost)(void *ctx, const struct err *err);
        /* After on_ready, when the network has egress: the way out is there, or it is not, and why.
         * error: borrowed, NULL when up. netd goes on trying. */
        void (*on_egress)(void *ctx, const char *error);
        void (*on_link_gone)(void *ctx); /* a VM ended, or somebody removed its tap: look */
        void *ctx;
};

/* One address that names resolve to. */
struct zone_record {
        const char *const *names; /* short names: "web", "web-1", alias; answered as NAME,
                                     NAME.test, NAME.STACK.test, any case */
        size_t names_len;
        uint32_t ip;
        /* Where ip is: answered to clients that are on that network too. NAME of this stack, or
           STACK/NAME of another, /NAME of none. */
        const char *network;
        bool ready;        /* rotates among ready ones; not ready: only when no other is */
        const char *stack; /* whose it is; NULL: the stack of the network */
        bool shared; /* other stacks are there, too: only when no record that is not has the name */
};

/* Name servers of a client's own: as many as a resolv.conf can have. */
#define ZONE_SERVERS_MAX 3

/* Who asks, by source address, and which networks it sees. Others get only this net's records. */
struct zone_client {
        uint32_t ip; /* on this net */
        const char *const *networks;
        size_t networks_len;
        bool egress; /* it may go out here: packets are let through, other names are asked for */
        uint32_t servers[ZONE_SERVERS_MAX]; /* asked for other names in place of the host's */
        size_t servers_len;
};

struct zone {
        const struct zone_record *records; /* of all networks that a client of this net is on */
        size_t records_len;
        const struct zone_client *clients;
        size_t clients_len;
};

struct forward {
        uint32_t host_ip; /* host byte order; 0: all IPv4 addresses */
        bool ip6;         /* host_ip6 instead, over TCP only */
        uint8_t host_ip6[VALUE_IP6_BYTES];
        uint16_t host_port;      /* 0: any free one, kept while the same id stays in the set */
        uint16_t host_port_last; /* not 0: any free one from host_port to this one, kept likewise */
        uint32_t target_ip;
        uint16_t target_port;
        bool udp;
        const char *id; /* names the forward across updates: "web/1/80/tcp" */
};

struct forward_result {
        const char *id;
        bool bound;
        uint16_t host_port; /* the one bound */
        const char *error;  /* not bound: "address already in use" and by whom if known */
};

/** Start netd, or adopt the one that serves spec->dir already. Callbacks come from the loop. */
int net_start(struct ev_loop *loop, const struct net_spec *spec, const struct net_events *events,
              struct net **ret_net, struct err *err);

/**
 * Forget the net but leave netd running (the daemon ends). Frees net. No callback comes any more,
 * pending ones included. Allowed in any callback. NULL is fine.
 */
void net_detach(struct net *net);

/**
 * End netd, and with it namespace, bridge, taps, forwards; on_lost does not come. Frees net. As
 * net_detach() otherwise. netd is killed at once and reaped from the loop; a new net_start() on the
 * same dir may follow directly.
 */
void net_stop(struct net *net);

/**
 * A new tap device in the bridge, opened with IFF_VNET_HDR: cb gets a descriptor that is its own
 * (or -1 and err). The device lives as long as the descriptor, so a dead QEMU leaves nothing. When
 * the network is stopped or detached before the answer, cb gets ECANCELED from the loop.
 */
int net_open_tap(struct net *net, void (*cb)(void *ctx, int tap_fd, const struct err *err),
                 void *ctx, struct err *err);

/** A descriptor of the network's namespace, for taps_move(): cb gets its own, or -1 and err. */
int net_open_namespace(struct net *net, void (*cb)(void *ctx, int netns_fd, const struct err *err),
                       void *ctx, struct err *err);

/** Replace the zone. Names are lower-case DNS labels. Sent in order with everything else. */
int net_set_zone(struct net *net, const struct zone *zone, struct err *err);

/**
 * Replace the set of forwards; unchanged ones keep their sockets and connections. cb gets one
 * result a forward; results and their strings are borrowed during the call.
 */
int net_set_forwards(struct net *net, const struct forward *forwards, size_t n,
                     void (*cb)(void *ctx, const struct forward_result *results, size_t n,
                                const struct err *err),
                     void *ctx, struct err *err);

/** Gateway address of the subnet, and whether an address can be given to a VM. */
uint32_t net_gateway(uint32_t subnet, unsigned bits);
bool net_address_usable(uint32_t subnet, unsigned bits, uint32_t ip);

/**
 * The host's own address that it shows to the outside, where its default route leads; host byte
 * order. Nothing is sent. 0: there is no way outside.
 */
uint32_t net_host_address(void);

/** pid of netd, for display; 0 until it is known. */
int net_pid(const struct net *net);

/**
 * After on_ready: whether netd was running already, so that taps opened before still connect. If
 * not, VMs that are attached to an earlier netd of this network are cut off and must be replaced.
 */
bool net_adopted(const struct net *net);

#endif
