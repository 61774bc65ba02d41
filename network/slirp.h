/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out of a network: slirp4netns, a program that makes a tap in netd's namespace and carries
 * what arrives there over ordinary sockets of the host. It is hostile guests' next neighbour, so it
 * runs in a sandbox of its own (an empty root, few system calls) and without rights on the host.
 *
 *   host network namespace
 *     user namespace A: slirp keeper (child of netd) ---- slirp4netns
 *       user namespace B, network namespace: netd, br0, tap0 <--'
 *
 * The keeper is a process that stays outside of netd's network namespace and starts slirp4netns
 * whenever netd asks. User namespace A is above B, so that slirp4netns may enter B, and gives it
 * the right to build its sandbox, but none on the host.
 */
#ifndef NETWORK_SLIRP_H
#define NETWORK_SLIRP_H

#include "base/auto.h"
#include "base/err.h"

/** The tap that slirp4netns makes, and its network: link-local addresses, which nobody routes. */
#define SLIRP_TAP  "tap0"
#define SLIRP_CIDR "169.254.250.0/24"

struct slirp_keeper;

/* A slirp4netns that was started. All descriptors are the owner's; -1: none. */
struct slirp {
        int pidfd;
        int ready; /* readable: one byte when tap0 is up, end of file when it never will be */
        int life;  /* slirp4netns ends when this is closed, however that happens */
        int words; /* its standard error */
};

/**
 * Enter user namespace A, and fork the keeper. Call before netns_enter(), and before there is a
 * loop. Root, where user namespaces are forbidden, goes on without.
 */
int slirp_keeper_start(struct slirp_keeper **ret, struct err *err);

/** End the keeper; a slirp4netns lives as long as its `life`. NULL is fine. */
void slirp_keeper_free(struct slirp_keeper *k);
AUTO_TYPE(slirp_keeper)

/** Start slirp4netns for the namespaces of the calling process. ENOENT: it is not installed. */
int slirp_start(struct slirp_keeper *k, struct slirp *ret, struct err *err);

/** Close all: slirp4netns ends. Safe on one that was never started (all -1). */
void slirp_close(struct slirp *s);

#endif
