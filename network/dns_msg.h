/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035, EDNS0 of RFC 6891): one question is read, one answer is built. Pure and
 * total: any bytes give either a query, or the code of the error answer, or silence. Knows nothing
 * about names that exist.
 */
#ifndef NETWORK_DNS_MSG_H
#define NETWORK_DNS_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX  254  /* text of a name, with its NUL: 255 bytes on the wire */
#define DNS_UDP_PLAIN 512  /* an answer without EDNS0 */
#define DNS_UDP_MAX   1232 /* with EDNS0: what passes any link unfragmented */
#define DNS_TCP_MAX   65535
#define DNS_HEADER    12

enum dns_type {
        DNS_TYPE_A = 1,
        DNS_TYPE_PTR = 12,
        DNS_TYPE_AAAA = 28,
        DNS_TYPE_OPT = 41,
        DNS_TYPE_IXFR = 251,
        DNS_TYPE_AXFR = 252,
        DNS_TYPE_ANY = 255
};

enum dns_class { DNS_CLASS_IN = 1, DNS_CLASS_ANY = 255 };

enum dns_rcode {
        DNS_RCODE_OK = 0,
        DNS_RCODE_FORMAT = 1,
        DNS_RCODE_FAILURE = 2,
        DNS_RCODE_NO_NAME = 3,
        DNS_RCODE_NOT_IMPLEMENTED = 4,
        DNS_RCODE_REFUSED = 5,
        DNS_RCODE_BAD_VERSION = 16 /* EDNS0 only */
};

struct dns_query {
        uint16_t id;
        uint8_t opcode;
        bool recursion_desired, checking_disabled;
        uint16_t type, class;
        char name[DNS_NAME_MAX]; /* lower case, no final dot; "" is the root. Bytes that no name of
                                    ours has are '?', so that it equals none */
        const uint8_t *question; /* into the message: answered as it was asked */
        size_t question_len;     /* 0: there was none that could be read */
        bool edns;
        uint16_t udp_size; /* what the client takes, 512 at least */
};

/**
 * Read a message. 0: *ret filled. > 0: an enum dns_rcode to answer with, *ret filled as far as
 * dns_answer_begin() needs it. -1: not to be answered at all (no header, or itself an answer).
 * *ret points into data.
 */
int dns_query_parse(const uint8_t *data, size_t n, struct dns_query *ret);

struct dns_answer {
        uint8_t *data;
        size_t len, max;
        const struct dns_query *query;
        uint16_t count;
        enum dns_rcode rcode;
        bool truncated;
};

/**
 * Begin an answer in data of size bytes (DNS_UDP_PLAIN at least); query: borrowed until the end.
 * limit: most bytes the transport takes, dns_udp_limit() or DNS_TCP_MAX.
 */
void dns_answer_begin(struct dns_answer *a, const struct dns_query *query, uint8_t *data,
                      size_t size, size_t limit);

/** Most bytes of an answer by UDP to this query. */
size_t dns_udp_limit(const struct dns_query *query);

/** Add an address, or the name behind one. What does not fit sets the TC bit. ip: host order. */
void dns_answer_add_a(struct dns_answer *a, uint32_t ip, uint32_t ttl_s);
void dns_answer_add_ptr(struct dns_answer *a, const char *name, uint32_t ttl_s);

/** Finish; the number of bytes to send. */
size_t dns_answer_end(struct dns_answer *a, enum dns_rcode rcode);

#endif
