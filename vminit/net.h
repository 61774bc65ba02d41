/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_NET_H
#define VMINIT_NET_H

/*
 * Addresses, routes and links of the guest, over rtnetlink. No DHCP, no autoconfiguration: the host
 * knows.
 */

#include "vminit/config.h"
#include "vminit/fail.h"

/**
 * Bring up lo. Before the random pool is seeded: nothing that is secret is made up by this.
 */
int net_boot(struct fail *f);

/**
 * Bring up each configured interface with its addresses, MTU and default routes. Interfaces
 * are found by MAC and named eth0, eth1... in the order of the configuration. The random pool must
 * have been seeded.
 */
int net_apply(const struct config *c, struct fail *f);

/**
 * Go into a network namespace of our own, and take the interface with this MAC along.
 */
int net_unshare(const char *mac, struct fail *f);

/**
 * Sum of received and sent bytes over all interfaces but lo.
 */
void net_counters(uint64_t *ret_rx, uint64_t *ret_tx);

#endif
