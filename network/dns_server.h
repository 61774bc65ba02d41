/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS server of a network: UDP and TCP on the gateway's port 53, from one zone; what is not in
 * it from a client's own name servers, or the host's for clients that may go out.
 */
#ifndef NETWORK_DNS_SERVER_H
#define NETWORK_DNS_SERVER_H

#include <ev.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "network/dns_forward.h"
#include "network/net.h"

/* Answers change when a replica comes, goes or turns unhealthy; so nobody shall keep them long. */
#define DNS_TTL_S 2
/* TCP clients at a time; the oldest makes room. */
#define DNS_TCP_CLIENTS_MAX 64
/* A TCP client that sends nothing for so long is dropped. */
#define DNS_TCP_IDLE_S 10.0

struct dns_server;

/** Bind and serve, with an empty zone, in the present network namespace. */
int dns_server_new(struct ev_loop *loop, uint32_t ip, uint16_t port, const char *stack,
                   const char *network, struct dns_server **ret, struct err *err);
void dns_server_free(struct dns_server *s);
AUTO_TYPE(dns_server)

/** Ask others (taken) for names that are not in the zone, where the zone lets the client. Once. */
void dns_server_set_forward(struct dns_server *s, struct dns_forward *forward);

/** Replace the zone. */
void dns_server_set_zone(struct dns_server *s, const struct zone *zone);

/** The answer to one message (n bytes from client, host byte order): its length, 0 for silence. */
size_t dns_server_answer(struct dns_server *s, uint32_t client, const uint8_t *message, size_t n,
                         bool tcp, uint8_t *answer, size_t size);

#endif
