/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "network/dns_msg.h"
#include "network/dns_zone.h"

/*
 * What a VM sends to port 53, up to the answer that goes back. The zone has enough replicas under
 * one name to need truncation by UDP.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS 80

static struct dns_zone *make_zone(void)
{
        static const char *const names[] = {"web", "a"}, *const networks[] = {"front", "back"};
        static const struct zone_client client = {0x0a000002, networks, 2, true, {0x01010101}, 1};
        static struct zone_record records[RECORDS];
        const struct zone zone = {records, RECORDS, &client, 1};

        for (uint32_t i = 0; i < RECORDS; i++)
                records[i] = (struct zone_record){names,           2,     0x0a000002 + i,
                                                  networks[i % 2], i & 2, i % 3 ? NULL : "wiki",
                                                  i % 3 == 0};
        return dns_zone_new("shop", "front", &zone);
}

static void answer(const struct dns_zone *zone, const struct dns_query *q, int code, size_t limit)
{
        static uint8_t out[4096];
        struct dns_result result = {.rcode = DNS_RCODE_OK};
        struct dns_answer a;
        struct dns_query again;
        size_t n;

        dns_answer_begin(&a, q, out, sizeof(out), limit);
        if (code == 0) {
                dns_zone_lookup(zone, 0x0a000002, q, q->id, &result);
                for (size_t i = 0; i < result.addresses_len; i++)
                        dns_answer_add_a(&a, result.addresses[i], 5);
                if (*result.pointer)
                        dns_answer_add_ptr(&a, result.pointer, 5);
        }
        n = dns_answer_end(&a, code ? (enum dns_rcode)code : result.rcode);
        if (n > limit || n > sizeof(out))
                abort();
        if (dns_query_parse(out, n, &again) != -1)
                abort(); /* two servers must not talk to each other forever */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct dns_zone *zone;
        struct dns_query q;
        int code = dns_query_parse(data, size, &q);

        if (!zone)
                zone = make_zone();
        if (code < 0)
                return 0;
        if (strlen(q.name) >= sizeof(q.name) || q.question_len > size)
                abort();
        answer(zone, &q, code, dns_udp_limit(&q));
        answer(zone, &q, code, DNS_TCP_MAX);
        return 0;
}
