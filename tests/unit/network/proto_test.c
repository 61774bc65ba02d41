/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/mem.h"
#include "network/proto.h"
#include "tests/tap.h"

static void test_zone(void)
{
        static const char *const names[] = {"web", "web-1"}, *const nets[] = {"/front",
                                                                              "shop/back"};
        static const struct zone_record record = {names, 2,      0x0a000002, "/front",
                                                  true,  "wiki", true};
        static const struct zone_client client = {
                0x0a000002, nets, 2, true, {0x01010101, 0x0a000005}, 2};
        static const struct zone zone = {&record, 1, &client, 1};
        AUTO_JSON json_t *j = proto_request("zone", 7);
        struct err err = ERR_INIT;
        struct zone back;

        proto_put_zone(j, &zone);
        is_str(json_str(j, "op", ""), "zone", "the operation");
        is_int(json_int(j, "id", 0), 7, "the id");
        if (!ok(proto_get_zone(j, &back, &err) == 0, "a zone is read back: %s", err.msg))
                return;
        is_int(back.records_len, 1, "one record");
        is_int(back.records[0].names_len, 2, "its names");
        is_str(back.records[0].names[1], "web-1", "the second");
        is_int(back.records[0].ip, 0x0a000002, "its address");
        is_str(back.records[0].network, "/front", "its network");
        is_str(back.records[0].stack, "wiki", "its stack");
        ok(back.records[0].shared, "it is shared");
        ok(back.records[0].ready, "it is ready");
        is_int(back.clients_len, 1, "one client");
        is_int(back.clients[0].networks_len, 2, "its networks");
        is_int(back.clients[0].servers_len, 2, "its name servers");
        is_int(back.clients[0].servers[1], 0x0a000005, "the second");
        proto_zone_release(&back);
}

static void test_forwards(void)
{
        static const struct forward forwards[] = {
                {.host_ip = 0x7f000001,
                 .host_port = 8080,
                 .target_ip = 0x0a000002,
                 .target_port = 80,
                 .id = "web/1/80/tcp"},
                {.target_ip = 0x0a000002, .target_port = 53, .udp = true, .id = "dns/1/53/udp"},
                {.ip6 = true,
                 .host_ip6 = {[15] = 1},
                 .host_port = 8000,
                 .host_port_last = 8010,
                 .target_ip = 0x0a000002,
                 .target_port = 80,
                 .id = "web/1/8000-8010/tcp"},
        };
        AUTO_JSON json_t *j = proto_request("forwards", 1);
        AUTO_FREE struct forward *back = NULL;
        struct err err = ERR_INIT;
        size_t n = 0;

        proto_put_forwards(j, forwards, ARRAY_SIZE(forwards));
        if (!ok(proto_get_forwards(j, &back, &n, &err) == 0, "forwards are read back"))
                return;
        is_int(n, 3, "all");
        is_str(back[1].id, "dns/1/53/udp", "id");
        is_int(back[0].host_ip, 0x7f000001, "host address");
        is_int(back[0].host_port, 8080, "host port");
        is_int(back[1].target_port, 53, "target port");
        ok(back[1].udp && !back[0].udp, "protocol");
        ok(back[2].ip6 && back[2].host_ip6[15] == 1 && !back[0].ip6, "an IPv6 address");
        is_int(back[2].host_port_last, 8010, "a range of host ports");
        is_int(back[0].host_port_last, 0, "none");
}

/* What somebody writes into the socket by hand. */
static const struct bad {
        const char *json, *error;
} bad_zones[] =
        {
                {"{}", "records: must be an array"},
                {"{\"records\":[]}", "clients: must be an array"},
                {"{\"records\":{},\"clients\":[]}", "records: must be an array"},
                {"{\"records\":[1],\"clients\":[]}", "records[0]: names"},
                {"{\"records\":[{\"names\":[\"a b\"]}],\"clients\":[]}",
                 "records[0]: names[0]: not a name"},
                {"{\"records\":[{\"names\":[\"a..b\"]}],\"clients\":[]}",
                 "records[0]: names[0]: not a name"},
                {"{\"records\":[],\"clients\":[{\"ip\":\"1.2.3.4\",\"networks\":[\"..\"]}]}",
                 "networks[0]: not a name"},
                {"{\"records\":[{\"names\":[]}],\"clients\":[]}",
                 "records[0]: record: ip: is missing"},
                {"{\"records\":[{\"names\":[],\"ip\":\"1.2.3\"}],\"clients\":[]}",
                 "records[0]: record: ip"},
                {"{\"records\":[{\"names\":[],\"ip\":\"1.2.3.4\"}],\"clients\":[]}",
                 "network: is missing"},
                {"{\"records\":[],\"clients\":[{}]}", "clients[0]: client: ip: is missing"},
                {"{\"records\":[],\"clients\":[{\"ip\":\"1.2.3.4\",\"networks\":[7]}]}",
                 "networks[0]"},
                {"{\"records\":[],\"clients\":[{\"ip\":\"1.2.3.4\",\"networks\":[\"a/b/c\"]}]}",
                 "networks[0]: not a name"},
                {"{\"records\":[],\"clients\":[{\"ip\":\"1.2.3.4\",\"networks\":[\"/\"]}]}",
                 "networks[0]: not a name"},
                {"{\"records\":[{\"names\":[],\"ip\":\"1.2.3.4\",\"network\":\"a\","
                 "\"stack\":\"A.b\"}],\"clients\":[]}",
                 "records[0]: record: stack: not a name"},
                {"{\"records\":[],\"clients\":[{\"ip\":\"1.2.3.4\",\"servers\":[\"1.1.1.1\",\"x\"]}"
                 "]}",
                 "clients[0]: servers[1]: not an address"},
                {"{\"records\":[],\"clients\":[{\"ip\":\"1.2.3.4\",\"servers\":[1,2,3,4]}]}",
                 "clients[0]: servers: 4 of them; the limit is 3"},
},
  bad_forwards[] = {
          {"{}", "forwards: must be an array"},
          {"{\"forwards\":[{}]}", "forwards[0]: forward: id: is missing"},
          {"{\"forwards\":[{\"id\":\"a\",\"host_ip\":\"::x\"}]}", "IPv6"},
          {"{\"forwards\":[{\"id\":\"a\",\"host_ip\":\"::1\",\"udp\":true}]}", "host_ip"},
          {"{\"forwards\":[{\"id\":\"a\",\"host_ip\":\"::1\",\"target_ip\":\"10.0.0.2\","
           "\"host_port\":5,\"host_port_last\":4}]}",
           "host_port_last"},
          {"{\"forwards\":[{\"id\":\"a\",\"host_ip\":\"0.0.0.0\",\"target_ip\":\"10.0.0.2\","
           "\"host_port\":65536}]}",
           "host_port: 65536 is not within"},
          {"{\"forwards\":[{\"id\":\"a\",\"host_ip\":\"0.0.0.0\",\"target_ip\":\"10.0.0.2\","
           "\"host_port\":1,\"target_port\":0}]}",
           "target_port: 0 is not within"},
          {"{\"forwards\":[{\"id\":\"a\",\"host_ip\":\"0.0.0.0\",\"target_ip\":\"10.0.0.2\","
           "\"host_port\":1,\"target_port\":1},{\"id\":\"a\",\"host_ip\":\"0.0.0.0\","
           "\"target_ip\":\"10.0.0.2\",\"host_port\":1,\"target_port\":1}]}",
           "is there twice"},
};

static void test_bad(const struct bad *bad, bool zone)
{
        AUTO_JSON json_t *j = json_loads(bad->json, 0, NULL);
        struct forward *forwards = NULL;
        struct err err = ERR_INIT;
        struct zone z;
        size_t n;
        int r = zone ? proto_get_zone(j, &z, &err) : proto_get_forwards(j, &forwards, &n, &err);

        ok(r < 0, "refused: %s", bad->json);
        has_str(err.msg, bad->error, "with its place");
}

static void test_limits(void)
{
        AUTO_JSON json_t *j = json_object();
        json_t *array = json_array();
        struct err err = ERR_INIT;
        struct zone z;

        for (int i = 0; i <= PROTO_RECORDS_MAX; i++)
                (void)json_array_append_new(array, json_null());
        (void)json_object_set_new(j, "records", array);
        (void)json_object_set_new(j, "clients", json_array());
        is_int(proto_get_zone(j, &z, &err), -E2BIG, "too many records");
        has_str(err.msg, "8193 of them; the limit is 8192", "with the numbers");
}

int main(void)
{
        test_zone();
        test_forwards();
        for (size_t i = 0; i < ARRAY_SIZE(bad_zones); i++)
                test_bad(&bad_zones[i], true);
        for (size_t i = 0; i < ARRAY_SIZE(bad_forwards); i++)
                test_bad(&bad_forwards[i], false);
        test_limits();
        return tap_done();
}
