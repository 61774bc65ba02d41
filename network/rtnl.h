/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few changes of links and addresses that a network needs, over rtnetlink (RFC 3549), in the
 * network namespace of the calling process. Each call is one request and its acknowledgement from
 * the kernel; none waits for anything else.
 */
#ifndef NETWORK_RTNL_H
#define NETWORK_RTNL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/** Open a netlink socket in the present network namespace; the descriptor is the caller's. */
int rtnl_open(int *ret_fd, struct err *err);

/** The same, subscribed to changes of links, which it then reads: nothing else is asked of it. */
int rtnl_monitor(int *ret_fd, struct err *err);

/**
 * Make a bridge without spanning tree and multicast snooping. index: of the link. mac: 6 bytes.
 * EEXIST: it is there.
 */
int rtnl_bridge_add(int fd, const char *name, unsigned index, const uint8_t *mac, unsigned mtu,
                    struct err *err);

/** Move a link into another network namespace, as a port of the bridge with this index, and up. */
int rtnl_link_move(int fd, const char *name, int netns_fd, unsigned master, struct err *err);

/** Bring a link up; master: index of the bridge that it joins before, 0 for none. */
int rtnl_link_up(int fd, const char *name, unsigned master, struct err *err);

/** Give a link an address, host byte order, with its prefix length. */
int rtnl_addr_add(int fd, const char *name, uint32_t ip, unsigned bits, struct err *err);

/* A rule of routing for packets that come in by a link. */
struct rtnl_rule {
        const char *link;
        uint32_t source; /* host byte order; 0: any */
        uint32_t destination;
        unsigned destination_bits; /* 0: any */
        bool pass;                 /* by the main table; else prohibited, and the sender is told */
        uint32_t priority;
};

/** Add a rule, or remove it. */
int rtnl_rule_set(int fd, const struct rtnl_rule *rule, bool add, struct err *err);

/**
 * Add, or remove, a default route of the last resort that drops packets without a word to their
 * senders: what is sent before there is a way is sent again.
 */
int rtnl_blackhole_set(int fd, bool add, struct err *err);

#endif
