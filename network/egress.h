/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out of a network, inside netd: keeps slirp4netns running (slirp.h), and lets those VMs
 * through that may go out. A slirp4netns that ends is started again, later each time; meanwhile,
 * and where it is not installed, packets for the outside are answered as unreachable.
 */
#ifndef NETWORK_EGRESS_H
#define NETWORK_EGRESS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "network/slirp.h"

/* Between two tries: twice as long each time, from the first to the last. */
#define EGRESS_RETRY_MIN_S 1.0
#define EGRESS_RETRY_MAX_S 60.0

struct egress;

/**
 * Start. keeper: borrowed for the life of the egress. on_change: from the loop, when it came up, or
 * when it is down for another reason than before.
 */
struct egress *egress_new(struct ev_loop *loop, struct slirp_keeper *keeper,
                          void (*on_change)(void *ctx), void *ctx);
void egress_free(struct egress *e);
AUTO_TYPE(egress)

/** Whether packets get out now. */
bool egress_up(const struct egress *e);

/** Why they do not; NULL: they do, or it is not known yet. Borrowed until the next change. */
const char *egress_error(const struct egress *e);

/** Replace the set of VMs that may go out, by address (host byte order). */
int egress_set_clients(struct egress *e, const uint32_t *ips, size_t n, struct err *err);

#endif
