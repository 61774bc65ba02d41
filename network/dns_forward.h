/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions that are not ours to answer, carried to resolvers. Each has a socket of its own, with a
 * port that the kernel picks and an id that we pick, connected to the server: an answer from
 * elsewhere, to another id or to another question is none. Servers are those of the client, else
 * those of the host's resolv.conf at the time of the question, one after the other. One within the
 * network is asked from there, others from the host.
 */
#ifndef NETWORK_DNS_FORWARD_H
#define NETWORK_DNS_FORWARD_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "network/binder.h"
#include "network/dns_zone.h"

/* Under way at a time, a descriptor each. Past it the answer is a failure at once. */
#define DNS_FORWARD_MAX 256
/* A server that says nothing for so long is left for the next one. */
#define DNS_FORWARD_WAIT_S 2.0
/* Times that the list of servers is gone through; libc's resolver does as often. */
#define DNS_FORWARD_ROUNDS 2

struct dns_forward;
struct dns_forward_query;

/** binder: borrowed. resolv_conf: path, copied. subnet, bits: of the network. Never NULL. */
struct dns_forward *dns_forward_new(struct ev_loop *loop, struct binder *binder,
                                    const char *resolv_conf, uint32_t subnet, unsigned bits);

/** End; questions under way are answered as failed. NULL is fine. */
void dns_forward_free(struct dns_forward *f);
AUTO_TYPE(dns_forward)

/**
 * Ask the servers of `to`, whose name is foreign; when it has none, the host's. message: n bytes
 * that dns_query_parse() has read, copied. tcp: as it was asked. cb is called once, from the loop
 * or from dns_forward_free(): with the answer under the message's own id, or with n 0 when nobody
 * answers. NULL: too many are under way; cb is not called.
 */
struct dns_forward_query *dns_forward_ask(struct dns_forward *f, const struct dns_result *to,
                                          const uint8_t *message, size_t n, bool tcp,
                                          void (*cb)(void *ctx, const uint8_t *answer, size_t n),
                                          void *ctx);

/** Forget a question whose cb was not called yet. */
void dns_forward_cancel(struct dns_forward_query *q);

#endif
