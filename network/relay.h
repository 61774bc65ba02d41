/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two connected stream sockets, each copied into the other until both directions have ended. End of
 * stream travels (half-close), a reset travels too, and a slow reader slows the sender down: what
 * one side does not take at once is kept (at most RELAY_CHUNK bytes a direction) and the other side
 * is not read until it went out. An idle relay holds no buffer.
 */
#ifndef NETWORK_RELAY_H
#define NETWORK_RELAY_H

#include <ev.h>
#include <stdbool.h>

/* One read; large enough that system calls do not dominate. */
#define RELAY_CHUNK 65536

struct relay;

/** Copy between a and b (both taken, non-blocking). connecting: b's connect() is still under way.
 * on_end is called once, from the loop, when both are closed; the relay frees itself afterwards. */
struct relay *relay_start(struct ev_loop *loop, int a, int b, bool connecting,
                          void (*on_end)(void *ctx, struct relay *relay), void *ctx);

/** Reset both connections now; on_end does not come. */
void relay_abort(struct relay *relay);

#endif
