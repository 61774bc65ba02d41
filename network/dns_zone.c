/* SPDX-License-Identifier: Apache-2.0 */
#include "network/dns_zone.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"

#define TOP          "test"
#define REVERSE_ZONE ".in-addr.arpa"

struct names {
        char **items;
        size_t len;
};

struct record {
        struct names names;
        uint32_t ip;
        char *stack, *network;
        bool shared, ready;
};

struct client {
        uint32_t ip;
        bool egress;
        uint32_t servers[ZONE_SERVERS_MAX];
        size_t servers_len;
        struct names networks;
};

struct dns_zone {
        char *stack, *network;
        struct record *records;
        size_t records_len;
        struct client *clients;
        size_t clients_len;
};

static struct names names_copy(const char *const *items, size_t n)
{
        struct names names = {xcalloc(n + 1, sizeof(char *)), n};

        for (size_t i = 0; i < n; i++)
                names.items[i] = xstrdup(items[i]);
        return names;
}

/* Domain names have no case: questions come in lower case. */
static void names_lower(struct names *names)
{
        for (size_t i = 0; i < names->len; i++)
                for (char *p = names->items[i]; *p; p++)
                        *p = (char)tolower((unsigned char)*p);
}

static void names_release(struct names *names)
{
        for (size_t i = 0; i < names->len; i++)
                free(names->items[i]);
        free(names->items);
}

static bool names_have(const struct names *names, const char *name, size_t n)
{
        for (size_t i = 0; i < names->len; i++)
                if (strncmp(names->items[i], name, n) == 0 && !names->items[i][n])
                        return true;
        return false;
}

struct dns_zone *dns_zone_new(const char *stack, const char *network, const struct zone *zone)
{
        struct dns_zone *z = xnew(struct dns_zone);

        z->stack = xstrdup(stack);
        z->network = xstrdup(network);
        z->records = xcalloc(zone->records_len + 1, sizeof(*z->records));
        z->records_len = zone->records_len;
        for (size_t i = 0; i < zone->records_len; i++) {
                const struct zone_record *r = &zone->records[i];

                z->records[i].names = names_copy(r->names, r->names_len);
                names_lower(&z->records[i].names);
                z->records[i].ip = r->ip;
                z->records[i].stack = xstrdup(r->stack ? r->stack : stack);
                z->records[i].network = xstrdup(r->network);
                z->records[i].shared = r->shared;
                z->records[i].ready = r->ready;
        }
        z->clients = xcalloc(zone->clients_len + 1, sizeof(*z->clients));
        z->clients_len = zone->clients_len;
        for (size_t i = 0; i < zone->clients_len; i++) {
                const struct zone_client *c = &zone->clients[i];

                z->clients[i].ip = c->ip;
                z->clients[i].egress = c->egress;
                memcpy(z->clients[i].servers, c->servers, sizeof(c->servers));
                z->clients[i].servers_len = c->servers_len;
                z->clients[i].networks = names_copy(c->networks, c->networks_len);
        }
        return z;
}

void dns_zone_free(struct dns_zone *z)
{
        if (!z)
                return;
        for (size_t i = 0; i < z->records_len; i++) {
                names_release(&z->records[i].names);
                free(z->records[i].stack);
                free(z->records[i].network);
        }
        for (size_t i = 0; i < z->clients_len; i++)
                names_release(&z->clients[i].networks);
        free(z->records);
        free(z->clients);
        free(z->stack);
        free(z->network);
        free(z);
}

static const struct client *client_find(const struct dns_zone *z, uint32_t ip)
{
        for (size_t i = 0; i < z->clients_len; i++)
                if (z->clients[i].ip == ip)
                        return &z->clients[i];
        return NULL;
}

/* A client that nobody told us about sees this network only. */
static bool record_visible(const struct dns_zone *z, const struct client *client,
                           const struct record *r)
{
        if (!client)
                return streq(r->network, z->network);
        return names_have(&client->networks, r->network, strlen(r->network));
}

/*
 * The ways to read a question, the longest name first: "web.shop.test" is all of it (an alias with
 * points), "web.shop" below test, or "web" of stack shop.
 */
enum reading { AS_IT_IS, BELOW_TEST, BELOW_STACK, READINGS };

/* How much of the question is the record's name when read so; 0: none. */
static size_t name_length(const struct record *r, const char *name, enum reading reading)
{
        size_t n = strlen(name), top = strlen("." TOP), stack = strlen(r->stack);

        if (reading == AS_IT_IS)
                return n;
        if (n <= top || !streq(name + n - top, "." TOP))
                return 0;
        n -= top;
        if (reading == BELOW_TEST)
                return n;
        if (n <= stack + 1 || name[n - stack - 1] != '.' ||
            strncmp(name + n - stack, r->stack, stack) != 0)
                return 0;
        return n - stack - 1;
}

static bool is_below_test(const char *stack, const char *name)
{
        size_t n = strlen(stack);

        return n && strncmp(name, stack, n) == 0 && streq(name + n, "." TOP);
}

/* Names above ours exist, though they have no records. */
static bool name_is_apex(const struct dns_zone *z, const struct client *client, const char *name)
{
        if (!*name || streq(name, TOP) || is_below_test(z->stack, name))
                return true;
        for (size_t i = 0; i < z->records_len; i++)
                if (is_below_test(z->records[i].stack, name) &&
                    record_visible(z, client, &z->records[i]))
                        return true;
        return false;
}

static void add_address(struct dns_result *ret, size_t *seen, uint32_t ip)
{
        for (size_t i = 0; i < ret->addresses_len; i++)
                if (ret->addresses[i] == ip)
                        return;
        if (ret->addresses_len < DNS_ZONE_ADDRESSES_MAX)
                ret->addresses[ret->addresses_len++] = ip;
        ++*seen;
}

/* Which records are meant: how the question is read, and of what rank they are. */
struct pick {
        const char *name;
        enum reading reading;
        bool shared, ready;
};

/*
 * Visible addresses of what is picked, beginning at record number `from`, as many as fit. Returns
 * how many there are.
 */
static size_t collect(const struct dns_zone *z, const struct client *client,
                      const struct pick *pick, size_t from, struct dns_result *ret)
{
        size_t seen = 0;

        for (size_t i = 0; i < z->records_len; i++) {
                const struct record *r = &z->records[(from + i) % z->records_len];
                size_t n = name_length(r, pick->name, pick->reading);

                if (n && r->ready == pick->ready && r->shared == pick->shared &&
                    names_have(&r->names, pick->name, n) && record_visible(z, client, r))
                        add_address(ret, &seen, r->ip);
        }
        return seen;
}

static void rotate(struct dns_result *ret, size_t turn)
{
        uint32_t copy[DNS_ZONE_ADDRESSES_MAX];

        if (!ret->addresses_len)
                return;
        memcpy(copy, ret->addresses, sizeof(copy));
        for (size_t i = 0; i < ret->addresses_len; i++)
                ret->addresses[i] = copy[(i + turn) % ret->addresses_len];
}

/*
 * The addresses of the first reading that has some: those on the stack's own networks, or else on
 * shared ones, where a name may be one of several stacks; of replicas that are ready, or else of
 * the others. Returns how many; *ret_pick: which.
 */
static size_t find_addresses(const struct dns_zone *z, const struct client *client,
                             const char *name, struct pick *ret_pick, struct dns_result *ret)
{
        for (unsigned i = 0; i < READINGS * 4u; i++) {
                size_t seen;

                *ret_pick = (struct pick){name, (enum reading)(i / 4), i & 2, !(i & 1)};
                seen = collect(z, client, ret_pick, 0, ret);
                if (seen)
                        return seen;
        }
        return 0;
}

static void lookup_name(const struct dns_zone *z, const struct client *client,
                        const struct dns_query *query, size_t turn, struct dns_result *ret)
{
        struct pick pick;
        size_t seen = find_addresses(z, client, query->name, &pick, ret);

        if (!seen) {
                ret->rcode =
                        name_is_apex(z, client, query->name) ? DNS_RCODE_OK : DNS_RCODE_NO_NAME;
                return;
        }
        if (query->type != DNS_TYPE_A && query->type != DNS_TYPE_ANY) {
                ret->addresses_len = 0;
                return;
        }
        if (seen > DNS_ZONE_ADDRESSES_MAX) { /* start elsewhere each time, so that all appear */
                ret->addresses_len = 0;
                (void)collect(z, client, &pick, turn, ret);
                return;
        }
        rotate(ret, turn);
}

/* "4.3.2.10.in-addr.arpa" -> 10.2.3.4; false for all else. */
static bool reverse_address(const char *name, uint32_t *ret_ip)
{
        size_t n = strlen(name), tail = strlen(REVERSE_ZONE);
        char text[VALUE_IP4_MAX];
        uint32_t ip;

        if (n <= tail || n - tail >= sizeof(text) || !streq(name + n - tail, REVERSE_ZONE))
                return false;
        memcpy(text, name, n - tail);
        text[n - tail] = '\0';
        if (value_ip4(text, &ip, NULL) < 0)
                return false;
        *ret_ip = __builtin_bswap32(ip);
        return true;
}

/* The name of a record that fits it alone, "web-1" rather than "web"; else its first. */
static const char *own_name(const struct dns_zone *z, const struct record *r)
{
        for (size_t i = 0; i < r->names.len; i++) {
                const char *name = r->names.items[i];
                bool shared = false;

                for (size_t k = 0; k < z->records_len && !shared; k++)
                        shared = z->records[k].ip != r->ip &&
                                 streq(z->records[k].stack, r->stack) &&
                                 names_have(&z->records[k].names, name, strlen(name));
                if (!shared)
                        return name;
        }
        return r->names.items[0];
}

/* A name that would be too long with its domain is none: "" is no pointer. */
static void name_pointer(const struct dns_zone *z, const struct record *r, struct dns_result *ret)
{
        int n = snprintf(ret->pointer, sizeof(ret->pointer), "%s.%s." TOP, own_name(z, r),
                         r->stack);

        if (n < 0 || (size_t)n >= sizeof(ret->pointer))
                ret->pointer[0] = '\0';
}

static void lookup_pointer(const struct dns_zone *z, const struct client *client, uint32_t ip,
                           const struct dns_query *query, struct dns_result *ret)
{
        ret->rcode = DNS_RCODE_NO_NAME;
        for (size_t i = 0; i < z->records_len; i++) {
                const struct record *r = &z->records[i];

                if (r->ip != ip || !r->names.len || !record_visible(z, client, r))
                        continue;
                ret->rcode = DNS_RCODE_OK;
                if (query->type == DNS_TYPE_PTR || query->type == DNS_TYPE_ANY)
                        name_pointer(z, r, ret);
                return;
        }
}

/* Single labels and the top level "test" are never asked for outside: they would only leak. */
static bool name_is_ours(const char *name)
{
        size_t n = strlen(name), top = strlen("." TOP);

        return !strchr(name, '.') || (n > top && streq(name + n - top, "." TOP));
}

/* Addresses that every network has for itself: their names are nobody else's (RFC 6303), but that
 * of servers which were chosen. */
static bool address_is_private(uint32_t ip)
{
        return ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || ip >> 24 == 127 ||
               ip >> 16 == 0xa9fe;
}

void dns_zone_lookup(const struct dns_zone *z, uint32_t client, const struct dns_query *query,
                     size_t turn, struct dns_result *ret)
{
        const struct client *c = client_find(z, client);
        uint32_t ip;

        memset(ret, 0, sizeof(*ret));
        if ((query->class != DNS_CLASS_IN && query->class != DNS_CLASS_ANY) ||
            query->type == DNS_TYPE_AXFR || query->type == DNS_TYPE_IXFR)
                ret->rcode = DNS_RCODE_REFUSED;
        else if (reverse_address(query->name, &ip)) {
                lookup_pointer(z, c, ip, query, ret);
                ret->foreign = !address_is_private(ip) || (c && c->servers_len);
        } else {
                lookup_name(z, c, query, turn, ret);
                ret->foreign = !name_is_ours(query->name);
        }
        ret->foreign &= c && (c->egress || c->servers_len) && ret->rcode == DNS_RCODE_NO_NAME;
        if (ret->foreign) {
                ret->servers = c->servers;
                ret->servers_len = c->servers_len;
        }
}
