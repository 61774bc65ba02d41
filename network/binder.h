/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The half of netd that stays outside: a small child process in the host's network namespace whose
 * only service is to open listening sockets on host addresses and to pass them inside. (A process
 * that entered a user namespace cannot come back for the next port.) It holds no state; it ends
 * when its parent does.
 */
#ifndef NETWORK_BINDER_H
#define NETWORK_BINDER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/value.h"

struct binder;

/** Fork the child. Call before entering the namespace, and before there is a loop. */
int binder_start(struct binder **ret, struct err *err);

/**
 * Tell once when the child is gone, which nobody but a stranger ends: without it no port can be
 * opened any more.
 */
void binder_watch(struct binder *b, struct ev_loop *loop, void (*on_gone)(void *ctx), void *ctx);

/** End the child. */
void binder_free(struct binder *b);
AUTO_TYPE(binder)

/* Where to listen. */
struct bind_address {
        uint32_t ip; /* host byte order */
        bool ip6;    /* ip6_bytes instead; no IPv4 client comes that way */
        uint8_t ip6_bytes[VALUE_IP6_BYTES];
        uint16_t port; /* 0: any */
        bool udp;      /* IPv4 only */
};

/**
 * A bound, non-blocking socket on a host address: TCP listens, UDP tells destination addresses
 * (IP_PKTINFO). Takes one round trip to the child, which makes a few
 * system calls; so it is treated as one itself.
 * ret_port: the one bound. EADDRINUSE, EACCES, EADDRNOTAVAIL: the text names address and way out.
 */
int binder_open(struct binder *b, const struct bind_address *at, int *ret_fd, uint16_t *ret_port,
                struct err *err);

/**
 * A non-blocking socket of the host's namespace that is bound to nothing, to connect from. As
 * binder_open() else.
 */
int binder_socket(struct binder *b, bool udp, int *ret_fd, struct err *err);

#endif
