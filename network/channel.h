/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON messages, one a line, over a connected unix socket; a message may carry one descriptor.
 * Used on both ends of netd's control socket. Nothing blocks: what the socket does not take at once
 * waits in a bounded queue. A descriptor travels with the first byte of its message, which says
 * "fd": true, so that descriptors and messages pair up in order.
 *
 * Whatever goes wrong (end of stream, malformed or oversized line, full queue) ends the channel:
 * on_closed is called once, from the loop, and the owner closes it. The owner may close it in any
 * callback.
 */
#ifndef NETWORK_CHANNEL_H
#define NETWORK_CHANNEL_H

#include <ev.h>
#include <jansson.h>

#include "base/err.h"

/* A zone of 4096 records with a few names each fits in a quarter of this. */
#define CHANNEL_LINE_MAX (2 << 20)
/* Messages that wait for a peer that does not read: a few of the longest. */
#define CHANNEL_OUT_MAX (8 << 20)

struct channel;

struct channel_events {
        /* message: borrowed. fd: the callee's, -1 when the message carries none. */
        void (*on_message)(void *ctx, const json_t *message, int fd);
        void (*on_closed)(void *ctx, const struct err *err);
        void *ctx;
};

/** Serve a connected socket; fd: taken. Never NULL. */
struct channel *channel_new(struct ev_loop *loop, int fd, const struct channel_events *events);

/** Close the socket at once; what is queued is lost. No callback comes any more. NULL is fine. */
void channel_close(struct channel *ch);

/**
 * Queue a message. fd: taken (also on failure), -1 for none; then message must not have "fd".
 * A peer that went away is told by on_closed, not here. ENOBUFS: the queue is full.
 */
int channel_send(struct channel *ch, json_t *message, int fd, struct err *err);

#endif
