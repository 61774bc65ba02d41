/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The namespace of one network, seen from inside: the calling process (netd) moves into a new
 * network namespace, within a new user namespace of its own, builds a bridge with the gateway
 * address, and opens taps. It can then do nothing to the host's network any more, not even as root.
 * Where root may not make user namespaces, the network namespace alone is made; an ordinary user
 * needs both.
 */
#ifndef NETWORK_NETNS_H
#define NETWORK_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/** Name of the bridge inside the namespace. */
#define NETNS_BRIDGE "br0"

/** Its index: the same in all networks, so that a tap can join it from outside; above what the
 * kernel hands out by itself. */
#define NETNS_BRIDGE_INDEX 1000000

/** Move this process, which must have one thread, into its new namespaces. EPERM tells the way out.
 */
int netns_enter(struct err *err);

/** The user namespace alone; root goes on without where they are forbidden. EPERM as above. */
int netns_enter_user(struct err *err);

/**
 * The same for the namespace of taps that wait. As root it has no user namespace of its own, whose
 * rights would end where another network begins.
 */
int netns_enter_waiting(struct err *err);

/** Loopback and bridge up, gateway address on the bridge. Called once, after netns_enter(). */
int netns_setup(uint32_t gateway, unsigned bits, unsigned mtu, struct err *err);

/**
 * Route packets of VMs, for now of none: what comes in by the bridge is prohibited until
 * netns_route_client() lets its source pass. What is for the outside is dropped and not refused, so
 * that it is sent again, until netns_outside_known().
 */
int netns_route_setup(struct err *err);

/** Let packets of the VM with that address pass, or no more. */
int netns_route_client(uint32_t ip, bool pass, struct err *err);

/** There is a way out now, or none is to be expected soon: what has no route is refused. */
int netns_outside_known(struct err *err);

/**
 * The link out is up: answer there for VMs' addresses (proxy ARP), so that what is behind it sees
 * them as neighbours and needs no address translation.
 */
int netns_uplink_setup(const char *link, struct err *err);

/** A new tap (IFF_VNET_HDR, no packet information) as a port of the bridge; gone when closed. */
int netns_open_tap(int *ret_fd, struct err *err);

/** A tap in no bridge, called name. */
int netns_open_waiting_tap(const char *name, int *ret_fd, struct err *err);

/** Whether /dev/net/tun can be opened; the text of err tells what to do. */
int netns_check_tun(struct err *err);

/**
 * Give up every capability but those in keep (a mask of 1 << CAP_X), for good, and set
 * no_new_privs. Works without any capability too.
 */
int privileges_drop(uint64_t keep, struct err *err);

#endif
