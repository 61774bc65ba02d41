/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reconciler/admission.h"
#include "tests/tap.h"

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

static int64_t vm_memory(const struct service *service)
{
        return service->vm_memory_bytes;
}

#define PORT(ip, port, proto)                                                           \
        {                                                                               \
                .host_ip = (ip), .published = (port), .target = 80, .protocol = (proto) \
        }

static char any[] = "0.0.0.0", loopback[] = "127.0.0.1", other_ip[] = "10.0.0.1", any6[] = "::";
static char db[] = "db", web[] = "web", front[] = "front", back[] = "back";
static char shop[] = "shop", blog[] = "blog", wide[] = "10.1.0.0/16", narrow[] = "10.1.2.0/24";

/* shop wants 4 x 256 MiB and 1 GiB; blog beside it 2 x 512 MiB and publishes 127.0.0.1:8080. */
static struct port shop_port, blog_port;
static struct service shop_services[2], blog_services[1];
static struct network shop_network, blog_network;
static struct stack shop_stack, blog_stack;
static struct admission_stack blog_entry;
static struct admission_input input;

static void begin(void)
{
        shop_port = (struct port)PORT(NULL, 9090, PORT_TCP);
        blog_port = (struct port)PORT(NULL, 8080, PORT_TCP);
        shop_services[0] = (struct service){.name = db, .replicas = 1, .vm_memory_bytes = GIB};
        shop_services[1] = (struct service){.name = web,
                                            .replicas = 4,
                                            .vm_memory_bytes = 256 * MIB,
                                            .ports = &shop_port,
                                            .ports_len = 1};
        blog_services[0] = (struct service){.name = web,
                                            .replicas = 2,
                                            .vm_memory_bytes = 512 * MIB,
                                            .ports = &blog_port,
                                            .ports_len = 1};
        shop_network = (struct network){.name = front};
        blog_network = (struct network){.name = back};
        shop_stack = (struct stack){.name = shop,
                                    .services = shop_services,
                                    .services_len = 2,
                                    .networks = &shop_network,
                                    .networks_len = 1};
        blog_stack = (struct stack){.name = blog,
                                    .services = blog_services,
                                    .services_len = 1,
                                    .networks = &blog_network,
                                    .networks_len = 1};
        blog_entry = (struct admission_stack){.stack = &blog_stack};
        input = (struct admission_input){.wanted = {.stack = &shop_stack},
                                         .others = &blog_entry,
                                         .others_len = 1,
                                         .vm_memory = vm_memory,
                                         .overcommit = 1.0,
                                         .memory_bytes = 3 * GIB,
                                         .memory_free_bytes = GIB,
                                         .disk = "/state",
                                         .disk_free_bytes = GIB};
}

/* The refusals, one a line; expected "": it fits. */
static void refuses(const char *expected, const char *name)
{
        struct admission a;
        char *text = xstrdup("");

        admission_check(&input, &a);
        for (size_t i = 0; i < a.len; i++) {
                char *longer = xasprintf("%s%s%s", text, i ? "\n" : "", a.refusals[i]);

                free(text);
                text = longer;
        }
        is_str(text, expected, "%s", name);
        free(text);
        admission_release(&a);
}

static void test_memory(void)
{
        struct service_wish wishes[2] = {{.stopped = true}, {0}};
        const struct stack_wishes stopped = {.services = wishes, .services_len = 2};
        static const char too_much[] =
                "memory: 5 VMs of shop want 2.0 GiB, other stacks 1.0 GiB; the host's 2.0 GiB (1.0 "
                "GiB free now) x 1.0 are 2.0 GiB: 1.0 GiB too much. Biggest: db, 1.0 GiB; lower "
                "its x-berth.memory, stop other stacks, or start berthd with --overcommit 1.5";
        struct service before[2];
        struct stack old;

        begin();
        refuses("", "exactly all of the memory fits");
        input.memory_bytes = 2 * GIB;
        refuses(too_much, "more does not");
        memcpy(before, shop_services, sizeof(before));
        old = shop_stack;
        old.services = before;
        input.before.stack = &old;
        refuses("", "what is there already stays");
        before[1].replicas = 3;
        refuses(too_much, "but it may not grow");
        before[1].replicas = 5;
        refuses("", "it may shrink");
        input.before.stack = NULL;
        input.wanted.wishes = &stopped;
        refuses("", "what is stopped needs nothing");
        input.wanted.wishes = NULL;
        input.overcommit = 1.5;
        refuses("", "as much as the ratio allows");
        input.overcommit = 0;
        input.memory_bytes = MIB;
        refuses("", "no limit");
        shop_services[0].replicas = UINT32_MAX;
        shop_services[0].vm_memory_bytes = INT64_MAX;
        ok(admission_memory(&input.wanted, vm_memory, NULL) > GIB, "absurd numbers do not wrap");
}

static void test_disk(void)
{
        begin();
        input.disk_free_bytes = 21 * MIB;
        refuses("", "five disks and the reserve fit");
        input.disk_free_bytes--;
        refuses("disk: no space: 5 new disks x 1 MiB and a reserve of 16 MiB are 21 MiB, the file "
                "system of /state has 20 MiB free; free some",
                "a byte less does not");
        input.before.stack = &shop_stack;
        refuses("", "nothing new: nothing is needed");
        input.before.stack = NULL;
        input.disk_free_bytes = -1;
        refuses("", "not known: not refused");
}

static void test_ports(void)
{
        static const char taken[] =
                "port 127.0.0.1:8080/tcp of service web is published by blog/web (127.0.0.1:8080) "
                "already; publish another port, or stop that service";
        struct service_wish wish = {.stopped = true};
        const struct stack_wishes stopped = {.services = &wish, .services_len = 1};

        begin();
        shop_port.published = 8080;
        refuses(taken, "a port of another stack");
        shop_port.host_ip = loopback;
        refuses(taken, "its address written out");
        shop_port.host_ip = other_ip;
        refuses("", "another address");
        blog_port.host_ip = any;
        refuses("port 10.0.0.1:8080/tcp of service web is published by blog/web (0.0.0.0:8080) "
                "already; publish another port, or stop that service",
                "all addresses are also that one");
        shop_port.host_ip = any6;
        refuses("", "but not those of the other family");
        shop_port.host_ip = NULL;
        blog_port.host_ip = NULL;
        shop_port.protocol = PORT_UDP;
        refuses("", "another protocol");
        shop_port.protocol = PORT_TCP;
        shop_port.published_last = 8090;
        refuses("", "a range finds another one");
        shop_port.published_last = 0;
        blog_entry.wishes = &stopped;
        refuses("", "what is stopped has no port");
        blog_entry.wishes = NULL;
        blog_entry.any_ports = true;
        refuses("", "nor a stack that got free ones instead");
        blog_entry.any_ports = false;
        input.before.stack = &shop_stack;
        refuses("", "what it published before is no news");
}

static void test_subnets(void)
{
        struct admission_subnet has = {"blog", "back", 0x0a010200, 24};

        begin();
        shop_network.subnet = wide;
        refuses("", "nobody else is there");
        blog_network.subnet = narrow;
        refuses("subnet 10.1.0.0/16 of network front overlaps 10.1.2.0/24 of network back of stack "
                "blog; choose another, or none",
                "a subnet that another manifest names");
        blog_network.subnet = NULL;
        input.subnets = &has;
        input.subnets_len = 1;
        refuses("subnet 10.1.0.0/16 of network front overlaps 10.1.2.0/24 of network back of stack "
                "blog; choose another, or none",
                "one that another network was given");
        has.subnet = 0x0a020200;
        refuses("", "one beside it");
        has.subnet = 0x0a010200;
        input.before.stack = &shop_stack;
        refuses("", "what it had before is no news");
}

static void test_externals(void)
{
        static char outer[] = "outer", proxy[] = "proxy", private[] = "blog_back";
        struct network_ref ref = {.network = outer};
        struct network made = {.name = proxy};
        struct stack shared = {.networks = &made, .networks_len = 1}, before;
        struct network known;

        begin();
        shop_network = (struct network){.name = outer, .real_name = proxy, .external = true};
        refuses("", "an external network that nobody uses");
        shop_services[0].networks = &ref;
        shop_services[0].networks_len = 1;
        refuses("network proxy declared as external, but could not be found; make it with `berth "
                "network create proxy`",
                "one that is not there");
        input.shared = &shared;
        refuses("", "one that was made");
        input.shared = NULL;
        blog_network.real_name = proxy;
        refuses("", "one that another stack names");
        blog_network.external = true;
        refuses("network proxy declared as external, but could not be found; make it with `berth "
                "network create proxy`",
                "but not one that it refers to");
        blog_network = (struct network){.name = back};
        shop_network.real_name = private;
        refuses("network blog_back declared as external, but could not be found; stack blog has "
                "one of its own that it shares with `name: blog_back` in its manifest",
                "another stack's own, by Compose's name");
        known = shop_network;
        before = shop_stack;
        before.networks = &known;
        input.before.stack = &before;
        refuses("", "what the stack had before is no reason to refuse it");
}

static void test_shared_subnets(void)
{
        static char proxy[] = "proxy";
        struct admission_subnet has = {"", "proxy", 0x0a010200, 24};

        begin();
        input.subnets = &has;
        input.subnets_len = 1;
        shop_network.subnet = narrow;
        refuses("subnet 10.1.2.0/24 of network front overlaps 10.1.2.0/24 of network proxy; choose "
                "another, or none",
                "the subnet of a shared network");
        shop_network.real_name = proxy;
        refuses("", "which it is itself");
        blog_network.real_name = proxy;
        blog_network.subnet = narrow;
        refuses("", "also where another stack names it");
}

static void test_all(void)
{
        struct admission a;

        begin();
        input.memory_bytes = GIB;
        input.disk_free_bytes = 0;
        shop_port.published = 8080;
        shop_network.subnet = narrow;
        blog_network.subnet = wide;
        admission_check(&input, &a);
        is_int((int64_t)a.len, 4, "all reasons are told at once");
        admission_release(&a);
        input.wanted.stack = &blog_stack;
        input.others = NULL;
        input.others_len = 0;
        blog_stack.services_len = 0;
        admission_check(&input, &a);
        is_int((int64_t)a.len, 0, "a stack without services fits everywhere");
        admission_release(&a);
}

int main(void)
{
        test_memory();
        test_disk();
        test_ports();
        test_subnets();
        test_externals();
        test_shared_subnets();
        test_all();
        return tap_done();
}
