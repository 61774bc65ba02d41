/* SPDX-License-Identifier: Apache-2.0 */
#include "network/dns_msg.h"

#include <assert.h>
#include <string.h>

/*
 *  0      2       4         6         8         10        12
 * +------+-------+---------+---------+---------+---------+----------
 * |  ID  | flags | QDCOUNT | ANCOUNT | NSCOUNT | ARCOUNT | sections
 * +------+-------+---------+---------+---------+---------+----------
 */
#define FLAG_ANSWER        0x8000
#define FLAG_AUTHORITATIVE 0x0400
#define FLAG_TRUNCATED     0x0200
#define FLAG_RD            0x0100
#define FLAG_RA            0x0080
#define FLAG_CD            0x0010

#define LABEL_MAX  63
#define OPT_SIZE   11  /* root name, type, class, ttl, no data */
#define RECORD_MAX 256 /* records behind the question that are looked at */

struct reader {
        const uint8_t *data;
        size_t len, at;
        bool bad;
};

static uint16_t get16(struct reader *r)
{
        uint16_t v;

        if (r->bad || r->len - r->at < 2) {
                r->bad = true;
                return 0;
        }
        v = (uint16_t)(r->data[r->at] << 8 | r->data[r->at + 1]);
        r->at += 2;
        return v;
}

static void skip(struct reader *r, size_t n)
{
        if (r->bad || r->len - r->at < n)
                r->bad = true;
        else
                r->at += n;
}

/* ASCII, whatever the locale; all that cannot be in a name of ours becomes one such byte. */
static char plain(uint8_t c)
{
        if (c >= 'A' && c <= 'Z')
                return (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
                return (char)c;
        return '?';
}

/* The name of a question: never compressed, for nothing stands before it. */
static void get_name(struct reader *r, char *ret)
{
        size_t used = 0;

        *ret = '\0';
        while (!r->bad) {
                size_t n = r->at < r->len ? r->data[r->at] : LABEL_MAX + 1;

                if (n == 0) {
                        r->at++;
                        return;
                }
                if (n > LABEL_MAX || r->len - r->at < n + 1 || used + n + 2 > DNS_NAME_MAX) {
                        r->bad = true;
                        return;
                }
                if (used)
                        ret[used++] = '.';
                for (size_t i = 0; i < n; i++)
                        ret[used++] = plain(r->data[r->at + 1 + i]);
                ret[used] = '\0';
                r->at += n + 1;
        }
}

/* Any other name: only its end matters. Compression ends it, wherever it points. */
static bool skip_name(struct reader *r)
{
        size_t start = r->at;

        while (!r->bad && r->at < r->len) {
                uint8_t n = r->data[r->at];

                if (n == 0) {
                        r->at++;
                        return r->at == start + 1;
                }
                if ((n & 0xc0) == 0xc0) {
                        skip(r, 2);
                        return false;
                }
                if (n > LABEL_MAX)
                        break;
                skip(r, 1U + n);
        }
        r->bad = true;
        return false;
}

/* One record behind the question; EDNS0's is read. 0, or the code to answer with. */
static int get_record(struct reader *r, struct dns_query *q)
{
        bool root = skip_name(r);
        uint16_t type = get16(r), class = get16(r), ttl_high = get16(r);

        (void)get16(r);
        skip(r, get16(r));
        if (r->bad)
                return DNS_RCODE_FORMAT;
        if (type != DNS_TYPE_OPT)
                return 0;
        if (!root || q->edns)
                return DNS_RCODE_FORMAT;
        q->edns = true;
        q->udp_size = class < DNS_UDP_PLAIN ? DNS_UDP_PLAIN : class;
        return ttl_high & 0xff ? DNS_RCODE_BAD_VERSION : 0;
}

static int get_records(struct reader *r, struct dns_query *q, size_t n)
{
        if (n > RECORD_MAX)
                return DNS_RCODE_FORMAT;
        for (size_t i = 0; i < n; i++) {
                int code = get_record(r, q);

                if (code)
                        return code;
        }
        return 0;
}

int dns_query_parse(const uint8_t *data, size_t n, struct dns_query *ret)
{
        struct reader r = {data, n, 0, false};
        uint16_t flags, questions;
        size_t others;

        memset(ret, 0, sizeof(*ret));
        ret->udp_size = DNS_UDP_PLAIN;
        ret->id = get16(&r);
        flags = get16(&r);
        questions = get16(&r);
        others = get16(&r);
        others += get16(&r);
        others += get16(&r);
        if (r.bad || flags & FLAG_ANSWER)
                return -1;
        ret->opcode = (flags >> 11) & 0xf;
        ret->recursion_desired = flags & FLAG_RD;
        ret->checking_disabled = flags & FLAG_CD;
        if (ret->opcode != 0)
                return DNS_RCODE_NOT_IMPLEMENTED;
        if (questions != 1)
                return DNS_RCODE_FORMAT;
        get_name(&r, ret->name);
        ret->type = get16(&r);
        ret->class = get16(&r);
        if (r.bad)
                return DNS_RCODE_FORMAT;
        ret->question = data + DNS_HEADER;
        ret->question_len = r.at - DNS_HEADER;
        return get_records(&r, ret, others);
}

static void put16(struct dns_answer *a, uint16_t v)
{
        assert(a->len + 2 <= a->max);
        a->data[a->len++] = (uint8_t)(v >> 8);
        a->data[a->len++] = (uint8_t)v;
}

static void put32(struct dns_answer *a, uint32_t v)
{
        put16(a, (uint16_t)(v >> 16));
        put16(a, (uint16_t)v);
}

size_t dns_udp_limit(const struct dns_query *query)
{
        if (!query->edns)
                return DNS_UDP_PLAIN;
        return query->udp_size < DNS_UDP_MAX ? query->udp_size : DNS_UDP_MAX;
}

void dns_answer_begin(struct dns_answer *a, const struct dns_query *query, uint8_t *data,
                      size_t size, size_t limit)
{
        assert(size >= DNS_UDP_PLAIN && limit >= DNS_UDP_PLAIN);
        *a = (struct dns_answer){.data = data, .query = query};
        a->max = size < limit ? size : limit;
        memset(data, 0, DNS_HEADER); /* filled at the end */
        a->len = DNS_HEADER;
        assert(query->question_len <= 255 + 4);
        if (query->question_len)
                memcpy(data + a->len, query->question, query->question_len);
        a->len += query->question_len;
        if (query->edns)
                a->max -= OPT_SIZE;
}

/* Owner (the question's name, by pointer), type, class, TTL, length; false when it does not fit. */
static bool put_record(struct dns_answer *a, enum dns_type type, uint32_t ttl_s, size_t n)
{
        if (a->truncated || a->len + 12 + n > a->max || a->count == UINT16_MAX) {
                a->truncated = true;
                return false;
        }
        put16(a, 0xc000 | DNS_HEADER);
        put16(a, type);
        put16(a, DNS_CLASS_IN);
        put32(a, ttl_s);
        put16(a, (uint16_t)n);
        a->count++;
        return true;
}

void dns_answer_add_a(struct dns_answer *a, uint32_t ip, uint32_t ttl_s)
{
        if (put_record(a, DNS_TYPE_A, ttl_s, 4))
                put32(a, ip);
}

/* Text to wire form; 0 when it is no name. ret: 255 bytes. */
static size_t name_to_wire(const char *name, uint8_t *ret)
{
        size_t used = 0;

        while (*name) {
                size_t n = strcspn(name, ".");

                if (n == 0 || n > LABEL_MAX || used + n + 2 > 255)
                        return 0;
                ret[used++] = (uint8_t)n;
                memcpy(ret + used, name, n);
                used += n;
                name += n;
                if (*name == '.')
                        name++;
        }
        ret[used++] = 0;
        return used;
}

void dns_answer_add_ptr(struct dns_answer *a, const char *name, uint32_t ttl_s)
{
        uint8_t wire[255];
        size_t n = name_to_wire(name, wire);

        if (!n || !put_record(a, DNS_TYPE_PTR, ttl_s, n))
                return;
        memcpy(a->data + a->len, wire, n);
        a->len += n;
}

size_t dns_answer_end(struct dns_answer *a, enum dns_rcode rcode)
{
        const struct dns_query *q = a->query;
        size_t len;
        uint16_t flags = FLAG_ANSWER | FLAG_RA;

        flags |= (uint16_t)(q->opcode << 11);
        flags |= (uint16_t)(rcode & 0xf);
        if (rcode == DNS_RCODE_OK || rcode == DNS_RCODE_NO_NAME)
                flags |= FLAG_AUTHORITATIVE;
        if (a->truncated)
                flags |= FLAG_TRUNCATED;
        if (q->recursion_desired)
                flags |= FLAG_RD;
        if (q->checking_disabled)
                flags |= FLAG_CD;
        if (q->edns) {
                a->max += OPT_SIZE;
                a->data[a->len++] = 0;
                put16(a, DNS_TYPE_OPT);
                put16(a, DNS_UDP_MAX);
                put32(a, (uint32_t)(rcode >> 4) << 24);
                put16(a, 0);
        }
        len = a->len;
        a->len = 0;
        put16(a, q->id);
        put16(a, flags);
        put16(a, q->question_len ? 1 : 0);
        put16(a, a->count);
        put16(a, 0);
        put16(a, q->edns ? 1 : 0);
        a->len = len;
        return len;
}
