/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "network/dns_zone.h"
#include "tests/tap.h"

#define IP(n) (0x0a000000U + (n))
#define NAMES(...) \
        (const char *const[]){__VA_ARGS__}, ARRAY_SIZE(((const char *const[]){__VA_ARGS__}))

static const struct zone_record records[] = {
        {NAMES("web", "web-1", "www"), IP(2), "front", true, NULL, false},
        {NAMES("web", "web-2", "www"), IP(3), "front", true, NULL, false},
        {NAMES("web", "web-3", "www"), IP(4), "front", false, NULL, false},
        {NAMES("db", "db-1"), IP(0x102), "back", true, NULL, false},
        {NAMES("slow", "slow-1"), IP(5), "front", false, NULL, false},
        {NAMES("shop", "shop-1"), IP(6), "front", true, NULL, false},
        {NAMES("test"), IP(7), "front", true, NULL, false},
        {NAMES("My_App.One", "My_App.One-1", "cloud.example.org"), IP(8), "front", true, NULL,
         false},
};

static const struct zone_client clients[] = {
        {IP(2), NAMES("front"), true, {0}, 0},
        {IP(9), NAMES("front", "back"), false, {0}, 0},
        {IP(10), NAMES("back"), true, {0}, 0},
        {IP(11), NAMES("front"), false, {IP(2), IP(3)}, 2},
};

static const struct zone zone = {records, ARRAY_SIZE(records), clients, ARRAY_SIZE(clients)};

static struct dns_result ask_type(const struct dns_zone *z, uint32_t client, const char *name,
                                  uint16_t type, size_t turn)
{
        struct dns_query q = {.type = type, .class = DNS_CLASS_IN};
        struct dns_result r;

        (void)snprintf(q.name, sizeof(q.name), "%s", name);
        dns_zone_lookup(z, client, &q, turn, &r);
        return r;
}

/* "2 3", "-" for no data, "nx", "refused". */
static const char *ask(const struct dns_zone *z, uint32_t client, const char *name)
{
        struct dns_result r = ask_type(z, client, name, DNS_TYPE_A, 0);
        static char text[512];
        size_t used = 0;

        if (r.rcode == DNS_RCODE_NO_NAME)
                return "nx";
        if (r.rcode == DNS_RCODE_REFUSED)
                return "refused";
        if (!r.addresses_len)
                return "-";
        for (size_t i = 0; i < r.addresses_len; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i ? " " : "",
                                         r.addresses[i] - IP(0));
        return text;
}

static void test_names(const struct dns_zone *z)
{
        static const char *const unknown[] = {
                "nope",
                "nope.test",
                "nope.shop.test",
                "web.other.test",
                "web.com",
                "example.com",
                "web.test.test",
                "web.shop.test.test",
                "a.web.test",
                "we",
                "webb",
                "web.shop",
                "web.shop.tes",
                "web.shopp.test",
                "web..test",
                "?eb",
                "localhost",
                "web.shop.testt",
                "x.web.shop.test",
        };

        is_str(ask(z, IP(2), "web"), "2 3", "a bare name");
        is_str(ask(z, IP(2), "web.test"), "2 3", "NAME.test");
        is_str(ask(z, IP(2), "web.shop.test"), "2 3", "NAME.STACK.test");
        is_str(ask(z, IP(2), "web-2"), "3", "one replica");
        is_str(ask(z, IP(2), "web-2.test"), "3", "REPLICA.test");
        is_str(ask(z, IP(2), "web-2.shop.test"), "3", "REPLICA.STACK.test");
        is_str(ask(z, IP(2), "www.shop.test"), "2 3", "an alias");
        is_str(ask(z, IP(2), "web-3"), "4", "a replica that is not ready, by its own name");
        is_str(ask(z, IP(2), "slow"), "5", "not ready, when nobody is");
        is_str(ask(z, IP(2), "shop.test"), "6", "a service named as the stack");
        is_str(ask(z, IP(2), "test"), "7", "a service named test");
        is_str(ask(z, IP(2), "my_app.one"), "8", "a name with points and capitals");
        is_str(ask(z, IP(2), "my_app.one.test"), "8", "the same below test");
        is_str(ask(z, IP(2), "my_app.one-1.shop.test"), "8", "and below its stack");
        is_str(ask(z, IP(2), "cloud.example.org"), "8", "an alias of another domain");
        is_str(ask(z, IP(2), "example.org"), "nx", "its parent is not ours");
        is_str(ask(z, IP(2), ""), "-", "the root exists");
        for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
                is_str(ask(z, IP(2), unknown[i]), "nx", "%s does not exist", unknown[i]);
}

static void test_views(const struct dns_zone *z)
{
        is_str(ask(z, IP(2), "db"), "nx", "a client of front does not see back");
        is_str(ask(z, IP(9), "db"), "258", "a client of both sees back");
        is_str(ask(z, IP(9), "web"), "2 3", "and front");
        is_str(ask(z, IP(10), "web"), "nx", "a client of back only does not see front");
        is_str(ask(z, IP(99), "web"), "2 3", "an unknown client sees this network");
        is_str(ask(z, IP(99), "db"), "nx", "and no other");
}

/* What the netd of shop's network "default" knows when web is on the shared "proxy", too. */
static void test_shared(void)
{
        const struct zone_record some[] = {
                {NAMES("web", "web-1"), IP(2), "default", true, "shop", false},
                {NAMES("db", "db-1"), IP(3), "default", false, "shop", false},
                {NAMES("web", "web-1"), IP(0x102), "/proxy", true, "shop", true},
                {NAMES("web", "web-1", "site"), IP(0x103), "/proxy", true, "wiki", true},
                {NAMES("db", "db-1"), IP(0x104), "/proxy", true, "wiki", true},
                {NAMES("lb", "lb-1"), IP(0x105), "/proxy", true, "edge", true},
        };
        const struct zone_client who[] = {
                {IP(2), NAMES("default", "/proxy"), true, {0}, 0},
                {IP(3), NAMES("default"), true, {0}, 0},
                {IP(5), NAMES("/proxy"), true, {0}, 0},
        };
        const struct zone shared = {some, ARRAY_SIZE(some), who, ARRAY_SIZE(who)};
        AUTO(dns_zone) struct dns_zone *z = dns_zone_new("shop", "default", &shared);

        is_str(ask(z, IP(2), "web"), "2", "a stack's own network comes before a shared one");
        is_str(ask(z, IP(2), "db"), "3", "also when it is not ready there");
        is_str(ask(z, IP(2), "site"), "259", "what only another stack has is found");
        is_str(ask(z, IP(2), "web.wiki.test"), "259", "a full name is of that stack");
        is_str(ask(z, IP(2), "web.shop.test"), "2", "its own full name is nearer");
        is_str(ask(z, IP(2), "lb.edge.test"), "261", "of a third stack");
        is_str(ask(z, IP(2), "db.edge.test"), "nx", "which has no such service");
        is_str(ask(z, IP(2), "edge.test"), "-", "a stack that is seen exists");
        is_str(ask(z, IP(2), "other.test"), "nx", "another does not");
        is_str(ask(z, IP(5), "web"), "258 259", "a name that two stacks have: both");
        is_str(ask(z, IP(5), "web.shop.test"), "258", "of one of them");
        is_str(ask(z, IP(3), "site"), "nx", "who is not on it does not see it");
        is_str(ask(z, IP(3), "lb.edge.test"), "nx", "by full names neither");
        is_str(ask(z, IP(3), "edge.test"), "nx", "nor its stacks");
        is_str(ask_type(z, IP(5), "3.1.0.10.in-addr.arpa", DNS_TYPE_PTR, 0).pointer,
               "web.wiki.test", "PTR: below the stack whose it is");
}

static void test_servers(const struct dns_zone *z)
{
        struct dns_result r = ask_type(z, IP(2), "web.example.org", DNS_TYPE_A, 0);

        ok(r.foreign && !r.servers_len, "a client that may go out: the host's name servers");
        r = ask_type(z, IP(9), "web.example.org", DNS_TYPE_A, 0);
        ok(!r.foreign, "one that may not: none");
        r = ask_type(z, IP(11), "web.example.org", DNS_TYPE_A, 0);
        ok(r.foreign && r.servers_len == 2 && r.servers[1] == IP(3), "one with its own: these");
        r = ask_type(z, IP(11), "nowhere.test", DNS_TYPE_A, 0);
        ok(!r.foreign, "but not for names below test");
        r = ask_type(z, IP(11), "web", DNS_TYPE_A, 0);
        ok(!r.foreign && r.addresses_len == 2, "nor for those of the stack");
        r = ask_type(z, IP(2), "1.0.0.10.in-addr.arpa", DNS_TYPE_PTR, 0);
        ok(!r.foreign, "private addresses have no names outside");
        r = ask_type(z, IP(11), "1.0.0.10.in-addr.arpa", DNS_TYPE_PTR, 0);
        ok(r.foreign, "but those that a client's own servers know");
}

static void test_types(const struct dns_zone *z)
{
        struct dns_query q = {.type = DNS_TYPE_A, .class = 3, .name = "web"};
        struct dns_result r = ask_type(z, IP(2), "web", DNS_TYPE_AAAA, 0);

        ok(r.rcode == DNS_RCODE_OK && !r.addresses_len, "AAAA of a known name: no data");
        r = ask_type(z, IP(2), "nope", DNS_TYPE_AAAA, 0);
        is_int(r.rcode, DNS_RCODE_NO_NAME, "AAAA of an unknown name: no such name");
        r = ask_type(z, IP(2), "web", DNS_TYPE_ANY, 0);
        is_int(r.addresses_len, 2, "ANY gives the addresses");
        r = ask_type(z, IP(2), "web", DNS_TYPE_AXFR, 0);
        is_int(r.rcode, DNS_RCODE_REFUSED, "AXFR is refused");
        dns_zone_lookup(z, IP(2), &q, 0, &r);
        is_int(r.rcode, DNS_RCODE_REFUSED, "class CH is refused");
        q.class = DNS_CLASS_ANY;
        dns_zone_lookup(z, IP(2), &q, 0, &r);
        is_int(r.addresses_len, 2, "class ANY is answered");
}

static void test_reverse(const struct dns_zone *z)
{
        static const char *const odd[] = {"1.0.0.10.in-addr.arpa", "0.10.in-addr.arpa",
                                          ".in-addr.arpa",         "in-addr.arpa",
                                          "x.0.0.10.in-addr.arpa", "999.0.0.10.in-addr.arpa",
                                          "1.2.3.4.5.in-addr.arpa"};
        struct dns_result r = ask_type(z, IP(2), "2.0.0.10.in-addr.arpa", DNS_TYPE_PTR, 0);

        is_str(r.pointer, "web-1.shop.test", "an address has the name that it has alone");
        r = ask_type(z, IP(2), "6.0.0.10.in-addr.arpa", DNS_TYPE_PTR, 0);
        is_str(r.pointer, "shop.shop.test", "else its first");
        r = ask_type(z, IP(2), "2.1.0.10.in-addr.arpa", DNS_TYPE_PTR, 0);
        is_int(r.rcode, DNS_RCODE_NO_NAME, "not visible: no such name");
        r = ask_type(z, IP(9), "2.1.0.10.in-addr.arpa", DNS_TYPE_PTR, 0);
        is_str(r.pointer, "db.shop.test", "visible: its name");
        r = ask_type(z, IP(2), "2.0.0.10.in-addr.arpa", DNS_TYPE_A, 0);
        ok(r.rcode == DNS_RCODE_OK && !*r.pointer && !r.addresses_len, "other types: no data");
        for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
                r = ask_type(z, IP(2), odd[i], DNS_TYPE_PTR, 0);
                is_int(r.rcode, DNS_RCODE_NO_NAME, "%s does not exist", odd[i]);
        }
}

static void test_rotation(const struct dns_zone *z)
{
        struct dns_result r = ask_type(z, IP(2), "web", DNS_TYPE_A, 1);

        ok(r.addresses_len == 2 && r.addresses[0] == IP(3) && r.addresses[1] == IP(2),
           "the next question begins at the next address");
        r = ask_type(z, IP(2), "web", DNS_TYPE_A, SIZE_MAX);
        is_int(r.addresses_len, 2, "turns may wrap");
}

static void test_many(void)
{
        enum { MANY = 200 };

        static const char *const web[] = {"web"};
        static struct zone_record many[MANY + 1];
        const struct zone big = {many, ARRAY_SIZE(many), NULL, 0};
        const struct zone none = {NULL, 0, NULL, 0};
        bool seen[MANY] = {false};
        int missing = 0;

        for (uint32_t i = 0; i <= MANY; i++)
                many[i] = (struct zone_record){web, 1, IP(i % MANY), "front", true, NULL, false};
        AUTO(dns_zone) struct dns_zone *z = dns_zone_new("shop", "front", &big);
        AUTO(dns_zone) struct dns_zone *empty = dns_zone_new("shop", "front", &none);

        for (size_t turn = 0; turn < MANY; turn++) {
                struct dns_result r = ask_type(z, IP(2), "web", DNS_TYPE_A, turn);

                if (r.addresses_len != DNS_ZONE_ADDRESSES_MAX)
                        missing++;
                for (size_t i = 0; i < r.addresses_len; i++)
                        seen[r.addresses[i] - IP(0)] = true;
        }
        for (size_t i = 0; i < MANY; i++)
                missing += !seen[i];
        is_int(missing, 0, "more replicas than fit: each answer is full, and all get their turn");
        is_str(ask(empty, IP(2), "web"), "nx", "an empty zone has no names");
        is_str(ask(empty, IP(2), "shop.test"), "-", "but its own apex");
}

/* Names for others to answer, where the client may ask them. */
static void test_foreign(const struct dns_zone *z)
{
        static const struct {
                const char *name;
                bool foreign;
        } cases[] = {
                {"example.org", true},
                {"www.example.org", true},
                {"nothing", false},
                {"nothing.test", false},
                {"nothing.shop.test", false},
                {"web", false},
                {"", false},
                {"1.100.51.198.in-addr.arpa", true},
                {"9.0.0.10.in-addr.arpa", false},
                {"1.0.16.172.in-addr.arpa", false},
                {"1.1.168.192.in-addr.arpa", false},
                {"1.0.0.127.in-addr.arpa", false},
                {"1.0.32.172.in-addr.arpa", true},
                {"cloud.example.org", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct dns_result r = ask_type(z, IP(2), cases[i].name, DNS_TYPE_A, 0);

                is_int(r.foreign, cases[i].foreign, "'%s' is for others", cases[i].name);
        }
        ok(!ask_type(z, IP(9), "example.org", DNS_TYPE_A, 0).foreign,
           "not of a client without egress");
        ok(!ask_type(z, IP(77), "example.org", DNS_TYPE_A, 0).foreign,
           "nor of one that is not known");
        ok(!ask_type(z, IP(2), "example.org", DNS_TYPE_AXFR, 0).foreign, "transfers are refused");
}

int main(void)
{
        AUTO(dns_zone) struct dns_zone *z = dns_zone_new("shop", "front", &zone);

        test_names(z);
        test_views(z);
        test_shared();
        test_servers(z);
        test_types(z);
        test_reverse(z);
        test_rotation(z);
        test_many();
        test_foreign(z);
        return tap_done();
}
