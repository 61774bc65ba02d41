/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps that wait for a network: a machine of the pool (vz/pool.h) has its card, and the tap behind
 * it, before anybody knows which network it will be on. They are made in a namespace of their own,
 * by a berth-netd that serves nothing else, and moved when the time comes; the descriptor stays as
 * it is, with all it can do. The process dies with us: whoever has a tap that was moved does not
 * need it any more.
 *
 * Moving needs rights in both namespaces. As root the process has them; for an ordinary user each
 * network is in a user namespace of its own, and nobody has.
 */
#ifndef NETWORK_TAPS_H
#define NETWORK_TAPS_H

#include <ev.h>

#include "base/auto.h"
#include "base/err.h"

struct taps;

/** Start the process. netd: the berth-netd program. EPERM: this user's networks cannot take one. */
int taps_start(struct ev_loop *loop, const char *netd, struct taps **ret, struct err *err);

/** End it, without callbacks; taps that were not moved lead nowhere then. NULL is fine. */
void taps_free(struct taps *taps);
AUTO_TYPE(taps)

/** A tap with this name, at most 15 bytes. cb gets a descriptor that is its own, or -1 and err. */
int taps_open(struct taps *taps, const char *name,
              void (*cb)(void *ctx, int tap_fd, const struct err *err), void *ctx, struct err *err);

/**
 * Move it into a network: net_open_namespace() gives netns_fd, which is borrowed. About 16 ms on
 * the host's side, most of them waiting. cb gets -1, and err when it failed.
 */
int taps_move(struct taps *taps, const char *name, int netns_fd,
              void (*cb)(void *ctx, int none, const struct err *err), void *ctx, struct err *err);

#endif
