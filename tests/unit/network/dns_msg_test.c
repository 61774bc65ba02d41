/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/auto.h"
#include "network/dns_msg.h"
#include "tests/tap.h"

#define HEADER(flags, qd, an, ns, ar) \
        0x12, 0x34, (flags) >> 8, (flags)&0xff, 0, (qd), 0, (an), 0, (ns), 0, (ar)
#define NAME_WEB_TEST           3, 'W', 'e', 'B', 4, 't', 'E', 's', 't', 0
#define QUESTION_A              NAME_WEB_TEST, 0, 1, 0, 1
#define OPT(size, ext, version) 0, 0, 41, (size) >> 8, (size)&0xff, (ext), (version), 0, 0, 0, 0

#define parse(q, ...)                                          \
        __extension__({                                        \
                static const uint8_t bytes_[] = {__VA_ARGS__}; \
                parse_exact(bytes_, sizeof(bytes_), (q));      \
        })

/* A heap copy of just the bytes: the sanitizer sees any read past the end. */
static int parse_exact(const uint8_t *data, size_t n, struct dns_query *q)
{
        static uint8_t *copy; /* of the last message: the query points into it */

        free(copy);
        copy = malloc(n ? n : 1);
        memcpy(copy, data, n);
        return dns_query_parse(copy, n, q);
}

static void test_plain(void)
{
        struct dns_query q;

        is_int(parse(&q, HEADER(0x0100, 1, 0, 0, 0), QUESTION_A), 0, "a plain question");
        is_int(q.id, 0x1234, "its id");
        ok(q.recursion_desired, "RD");
        is_str(q.name, "web.test", "its name, in lower case");
        is_int(q.type, DNS_TYPE_A, "its type");
        is_int(q.class, DNS_CLASS_IN, "its class");
        ok(!q.edns, "no EDNS0");
        is_int(dns_udp_limit(&q), 512, "512 bytes by UDP");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 0), 0, 0, 1, 0, 1), 0, "the root");
        is_str(q.name, "", "is empty");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 0), 3, 'a', '.', 0xff, 0, 0, 1, 0, 1), 0, "odd bytes");
        is_str(q.name, "a??", "become question marks");
}

static void test_edns(void)
{
        struct dns_query q;

        is_int(parse(&q, HEADER(0x0100, 1, 0, 0, 1), QUESTION_A, OPT(1200, 0, 0)), 0, "EDNS0");
        ok(q.edns, "is seen");
        is_int(dns_udp_limit(&q), 1200, "its size counts");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 1), QUESTION_A, OPT(65535, 0, 0)), 0, "EDNS0, huge");
        is_int(dns_udp_limit(&q), 1232, "is capped");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 1), QUESTION_A, OPT(1, 0, 0)), 0, "EDNS0, tiny");
        is_int(dns_udp_limit(&q), 512, "is lifted");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 1), QUESTION_A, OPT(1200, 0, 1)), DNS_RCODE_BAD_VERSION,
               "EDNS1 is refused");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 2), QUESTION_A, OPT(1200, 0, 0), OPT(1200, 0, 0)),
               DNS_RCODE_FORMAT, "two OPT records are an error");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 1), QUESTION_A, 1, 'a', 0, 0, 41, 4, 0, 0, 0, 0, 0, 0,
                     0),
               DNS_RCODE_FORMAT, "OPT with a name is an error");
        is_int(parse(&q, HEADER(0, 1, 1, 0, 1), QUESTION_A, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4,
                     1, 2, 3, 4, OPT(4096, 0, 0)),
               0, "other records are passed over");
        ok(q.edns, "and OPT behind them is found");
}

static void test_hostile(void)
{
        struct dns_query q;

        is_int(parse_exact((const uint8_t *)"", 0, &q), -1, "nothing: silence");
        is_int(parse(&q, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), -1, "half a header: silence");
        is_int(parse(&q, HEADER(0x8000, 1, 0, 0, 0), QUESTION_A), -1, "an answer: silence");
        is_int(parse(&q, HEADER(0x2800, 1, 0, 0, 0), QUESTION_A), DNS_RCODE_NOT_IMPLEMENTED,
               "UPDATE is not implemented");
        is_int(parse(&q, HEADER(0, 0, 0, 0, 0)), DNS_RCODE_FORMAT, "no question");
        is_int(parse(&q, HEADER(0, 2, 0, 0, 0), QUESTION_A, QUESTION_A), DNS_RCODE_FORMAT,
               "two questions");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 0), 0xc0, 12, 0, 1, 0, 1), DNS_RCODE_FORMAT,
               "a question that points to itself");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 0), 64, 'a', 0, 0, 1, 0, 1), DNS_RCODE_FORMAT,
               "a label of 64");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 0), 9, 'a'), DNS_RCODE_FORMAT, "a label cut short");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 0), 1, 'a', 0, 0, 1, 0), DNS_RCODE_FORMAT,
               "a question cut short");
        is_int(q.question_len, 0, "is not quoted");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 1), QUESTION_A), DNS_RCODE_FORMAT,
               "a record that is not there");
        is_int(parse(&q, HEADER(0, 1, 0, 0, 1), QUESTION_A, 0, 0, 41, 4, 0, 0, 0, 0, 0, 255, 255),
               DNS_RCODE_FORMAT, "record data cut short");
}

static void test_long_name(void)
{
        uint8_t m[600] = {HEADER(0, 1, 0, 0, 0)};
        struct dns_query q;
        size_t n = DNS_HEADER;

        for (int i = 0; i < 127; i++) {
                m[n++] = 1;
                m[n++] = 'x';
        }
        memcpy(m + n, "\0\0\1\0\1", 5);
        is_int(parse_exact(m, n + 5, &q), 0, "a name of 255 bytes");
        is_int(strlen(q.name), 253, "has 253 characters");
        m[n++] = 1;
        m[n++] = 'x';
        memcpy(m + n, "\0\0\1\0\1", 5);
        is_int(parse_exact(m, n + 5, &q), DNS_RCODE_FORMAT, "one of 257 is an error");
}

/* Every prefix of a valid message, and every byte of it changed: no crash, and an answer fits. */
static void test_mutations(void)
{
        static const uint8_t good[] = {HEADER(0x0110, 1, 0, 0, 1), QUESTION_A, OPT(1232, 0, 0)};
        uint8_t out[DNS_UDP_PLAIN], m[sizeof(good)];
        struct dns_query q;
        int bad = 0;

        for (size_t n = 0; n <= sizeof(good); n++)
                bad += n < sizeof(good) && parse_exact(good, n, &q) == 0;
        is_int(bad, 0, "no message that is cut short is taken");
        for (size_t i = 0; i < sizeof(good); i++)
                for (int v = 0; v < 256; v++) {
                        struct dns_answer a;
                        int code;

                        memcpy(m, good, sizeof(good));
                        m[i] = (uint8_t)v;
                        code = parse_exact(m, sizeof(m), &q);
                        if (code < 0)
                                continue;
                        dns_answer_begin(&a, &q, out, sizeof(out), dns_udp_limit(&q));
                        for (int k = 0; k < 40; k++)
                                dns_answer_add_a(&a, 0x0a000001, 5);
                        bad += dns_answer_end(&a, (enum dns_rcode)code) > sizeof(out);
                }
        is_int(bad, 0, "whatever byte changes, an answer fits");
}

static void test_answer(void)
{
        static const uint8_t expect[] = {0x12, 0x34, 0x85,       0x80, 0,  1,  0, 1, 0, 0,
                                         0,    0,    QUESTION_A, 0xc0, 12, 0,  1, 0, 1, 0,
                                         0,    0,    5,          0,    4,  10, 1, 2, 3};
        uint8_t out[DNS_UDP_PLAIN];
        struct dns_answer a;
        struct dns_query q;
        size_t n;

        (void)parse(&q, HEADER(0x0100, 1, 0, 0, 0), QUESTION_A);
        dns_answer_begin(&a, &q, out, sizeof(out), dns_udp_limit(&q));
        dns_answer_add_a(&a, 0x0a010203, 5);
        n = dns_answer_end(&a, DNS_RCODE_OK);
        is_int(n, sizeof(expect), "length of an answer");
        ok(n == sizeof(expect) && memcmp(out, expect, n) == 0,
           "header, question as it was asked, compressed record");
}

static void test_truncation(void)
{
        uint8_t out[DNS_UDP_MAX];
        struct dns_answer a;
        struct dns_query q;
        size_t n;

        (void)parse(&q, HEADER(0x0100, 1, 0, 0, 0), QUESTION_A);
        dns_answer_begin(&a, &q, out, sizeof(out), dns_udp_limit(&q));
        for (uint32_t i = 0; i < 64; i++)
                dns_answer_add_a(&a, i, 5);
        n = dns_answer_end(&a, DNS_RCODE_OK);
        ok(n <= 512 && n > 500 - 16, "without EDNS0 an answer has at most 512 bytes (%zu)", n);
        ok(out[2] & 2, "and TC is set");
        is_int(out[7], (n - 26) / 16, "the records that fit are counted");
        (void)parse(&q, HEADER(0x0100, 1, 0, 0, 1), QUESTION_A, OPT(1232, 0, 0));
        dns_answer_begin(&a, &q, out, sizeof(out), dns_udp_limit(&q));
        for (uint32_t i = 0; i < 64; i++)
                dns_answer_add_a(&a, i, 5);
        n = dns_answer_end(&a, DNS_RCODE_OK);
        is_int(n, 26 + 64 * 16 + 11, "with EDNS0 all 64 fit, and OPT is answered");
        ok(!(out[2] & 2), "TC is not set");
        is_int(out[11], 1, "one additional record");
}

static void test_pointer_and_errors(void)
{
        static const uint8_t tail[] = {5, 'w', 'e', 'b', '-', '1', 4, 't', 'e', 's', 't', 0};
        char deep[300] = "";
        uint8_t out[DNS_UDP_PLAIN];
        struct dns_answer a;
        struct dns_query q;
        size_t n;

        (void)parse(&q, HEADER(0x0100, 1, 0, 0, 0), QUESTION_A);
        dns_answer_begin(&a, &q, out, sizeof(out), dns_udp_limit(&q));
        dns_answer_add_ptr(&a, "web-1.test", 5);
        n = dns_answer_end(&a, DNS_RCODE_OK);
        ok(n > 12 && memcmp(out + n - 12, tail, 12) == 0, "a pointer's name");
        memset(deep, 'x', 64);
        dns_answer_begin(&a, &q, out, sizeof(out), dns_udp_limit(&q));
        dns_answer_add_ptr(&a, deep, 5);
        dns_answer_add_ptr(&a, "a..b", 5);
        (void)dns_answer_end(&a, DNS_RCODE_OK);
        is_int(out[7], 0, "what is no name is not answered");
        (void)parse(&q, HEADER(0, 1, 0, 0, 1), QUESTION_A, OPT(1232, 0, 9));
        dns_answer_begin(&a, &q, out, sizeof(out), dns_udp_limit(&q));
        n = dns_answer_end(&a, DNS_RCODE_BAD_VERSION);
        is_int(out[3] & 15, 0, "BADVERS: low bits in the header");
        is_int(out[n - 6], 1, "high bits in OPT");
        (void)parse(&q, HEADER(0x0900, 1, 0, 0, 0), QUESTION_A);
        dns_answer_begin(&a, &q, out, sizeof(out), dns_udp_limit(&q));
        is_int(dns_answer_end(&a, DNS_RCODE_NOT_IMPLEMENTED), 12, "an error without a question");
        is_int(out[2] << 8 | out[3], 0x8984, "keeps the opcode");
}

int main(void)
{
        test_plain();
        test_edns();
        test_hostile();
        test_long_name();
        test_mutations();
        test_answer();
        test_truncation();
        test_pointer_and_errors();
        return tap_done();
}
