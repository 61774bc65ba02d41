/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of published ports of a network, inside netd. It is told the whole set each time and
 * changes what differs: a forward that stays keeps its socket, its free port and its connections
 * (also when only its target moves: old connections end with the old VM); one that goes takes its
 * connections with it; one that could not be bound is tried again.
 */
#ifndef NETWORK_FORWARDER_H
#define NETWORK_FORWARDER_H

#include <ev.h>

#include "base/auto.h"
#include "network/binder.h"
#include "network/net.h"

/* Connections of all TCP forwards together: two descriptors and about 400 bytes each. Past it
 * clients wait in the listen queue. */
#define FORWARDER_CONNECTIONS_MAX 8192

struct forwarder;

/** binder: borrowed for the life of the forwarder. Never NULL. */
struct forwarder *forwarder_new(struct ev_loop *loop, struct binder *binder);
void forwarder_free(struct forwarder *f);
AUTO_TYPE(forwarder)

/**
 * Replace the set. on_result is called once a forward, in order, before this returns; its strings
 * are borrowed; code: errno of a failed bind.
 */
void forwarder_replace(struct forwarder *f, const struct forward *forwards, size_t n,
                       void (*on_result)(void *ctx, const struct forward_result *result, int code),
                       void *ctx);

#endif
