/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of netd's own for what netd itself cannot do once it has entered its namespaces: a
 * fork that stays where netd was, and answers one request at a time over a socket.
 */
#ifndef NETWORK_HELPER_H
#define NETWORK_HELPER_H

#include "base/err.h"

/**
 * Fork it. name: what ps shows. serve: its life, called in it with its end of a SOCK_SEQPACKET pair
 * and ctx; all other descriptors but the standard ones are closed. It ends when serve returns, and
 * with netd. *ret_sock: netd's end, which waits at most timeout_s for an answer; when it is closed,
 * the helper reads the end of the stream.
 */
int helper_start(const char *name, void (*serve)(int sock, void *ctx), void *ctx, int timeout_s,
                 int *ret_sock, struct err *err);

#endif
