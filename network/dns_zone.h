/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of a network: who sees which addresses under which name. Pure: a zone and a question
 * give an answer. For clients that may not go out it is all there is (a private name space without
 * parents), so what is not in it does not exist: see docs/network.md for why that is NXDOMAIN, not
 * REFUSED.
 */
#ifndef NETWORK_DNS_ZONE_H
#define NETWORK_DNS_ZONE_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "network/dns_msg.h"
#include "network/net.h"

/* Addresses of one answer: fits a UDP answer with EDNS0. More replicas than that take turns. */
#define DNS_ZONE_ADDRESSES_MAX 64

struct dns_zone;

struct dns_result {
        bool foreign; /* no name of ours, and the client may ask others: rcode is NO_NAME */
        const uint32_t *servers; /* foreign: those of the client, of the zone; none: the host's */
        size_t servers_len;
        enum dns_rcode rcode; /* OK with nothing below: the name exists, but has no such record */
        uint32_t addresses[DNS_ZONE_ADDRESSES_MAX];
        size_t addresses_len;
        char pointer[DNS_NAME_MAX]; /* "" when none */
};

/** A copy of zone for the network `network` of the stack `stack`. Never NULL. */
struct dns_zone *dns_zone_new(const char *stack, const char *network, const struct zone *zone);
void dns_zone_free(struct dns_zone *z);
AUTO_TYPE(dns_zone)

/**
 * Answer a question of the client at address `client` (host byte order). turn: a number that grows
 * with each question; addresses begin at another one each time.
 */
void dns_zone_lookup(const struct dns_zone *z, uint32_t client, const struct dns_query *query,
                     size_t turn, struct dns_result *ret);

#endif
