/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/admission.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/value.h"

#define SIZE_TEXT_MAX 32
#define MIB           (INT64_C(1) << 20)
#define GIB           (INT64_C(1) << 30)

static void refuse(struct admission *admission, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static void refuse(struct admission *admission, const char *fmt, ...)
{
        va_list ap;

        if (admission->len == ADMISSION_REFUSALS_MAX) {
                admission->untold++;
                return;
        }
        va_start(ap, fmt);
        *array_push(&admission->refusals, &admission->len) = xvasprintf(fmt, ap);
        va_end(ap);
}

/* "2.5 GiB", "96 MiB" */
static const char *size(int64_t bytes, char ret[SIZE_TEXT_MAX])
{
        if (bytes >= GIB)
                (void)snprintf(ret, SIZE_TEXT_MAX, "%.1f GiB", (double)bytes / (double)GIB);
        else
                (void)snprintf(ret, SIZE_TEXT_MAX, "%lld MiB", (long long)(bytes / MIB));
        return ret;
}

/* How many VMs service i has at most. */
static unsigned replicas(const struct admission_stack *s, size_t i)
{
        bool stopped = s->wishes && i < s->wishes->services_len && s->wishes->services[i].stopped;

        return stopped ? 0 : s->stack->services[i].replicas;
}

static size_t services(const struct admission_stack *s)
{
        return s->stack ? s->stack->services_len : 0;
}

int64_t admission_memory(const struct admission_stack *s,
                         int64_t (*vm_memory)(const struct service *service), unsigned *ret_vms)
{
        int64_t sum = 0;
        unsigned vms = 0;

        for (size_t i = 0; i < services(s); i++) {
                int64_t all;

                vms += replicas(s, i);
                if (__builtin_mul_overflow(vm_memory(&s->stack->services[i]), replicas(s, i),
                                           &all) ||
                    __builtin_add_overflow(sum, all, &sum))
                        sum = INT64_MAX / 2; /* sums of two stay in range */
        }
        if (ret_vms)
                *ret_vms = vms;
        return sum < INT64_MAX / 2 ? sum : INT64_MAX / 2;
}

static int64_t others_memory(const struct admission_input *in)
{
        int64_t sum = 0;

        for (size_t i = 0; i < in->others_len; i++) {
                sum += admission_memory(&in->others[i], in->vm_memory, NULL);
                if (sum > INT64_MAX / 2)
                        sum = INT64_MAX / 2;
        }
        return sum;
}

static const struct service *biggest(const struct admission_input *in)
{
        const struct service *big = NULL;

        for (size_t i = 0; i < services(&in->wanted); i++) {
                const struct service *s = &in->wanted.stack->services[i];

                if (replicas(&in->wanted, i) && (!big || in->vm_memory(s) > in->vm_memory(big)))
                        big = s;
        }
        return big;
}

static void check_memory(const struct admission_input *in, struct admission *ret)
{
        unsigned vms;
        int64_t sum = admission_memory(&in->wanted, in->vm_memory, &vms);
        int64_t before = admission_memory(&in->before, in->vm_memory, NULL);
        int64_t others = others_memory(in), all = sum + others;
        double limit = (double)in->memory_bytes * in->overcommit;
        double ratio = in->memory_bytes > 0 ? (double)all / (double)in->memory_bytes : 0;
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX], d[SIZE_TEXT_MAX];
        char e[SIZE_TEXT_MAX], f[SIZE_TEXT_MAX];
        const struct service *big = biggest(in);

        if (in->overcommit <= 0 || ratio <= 0 || sum <= before || (double)all <= limit || !big)
                return;
        refuse(ret,
               "memory: %u VM%s of %s want %s, other stacks %s; the host's %s (%s free now) x %.1f "
               "are %s: %s too much. Biggest: %s, %s; lower its x-berth.memory, stop other stacks, "
               "or start berthd with --overcommit %.1f",
               vms, vms == 1 ? "" : "s", in->wanted.stack->name, size(sum, a), size(others, b),
               size(in->memory_bytes, c), size(in->memory_free_bytes, d), in->overcommit,
               size((int64_t)limit, e), size(all - (int64_t)limit, f), big->name,
               size(in->vm_memory(big), (char[SIZE_TEXT_MAX]){0}), ceil(ratio * 10) / 10);
}

/* Disks that have to be made for it: one of each VM, and its volumes. */
static int64_t disks(const struct admission_stack *s)
{
        int64_t n = s->stack ? (int64_t)s->stack->volumes_len : 0;

        for (size_t i = 0; i < services(s); i++)
                n += replicas(s, i);
        return n;
}

static void check_disk(const struct admission_input *in, struct admission *ret)
{
        int64_t n = disks(&in->wanted) - disks(&in->before);
        int64_t need = n * ADMISSION_DISK_BYTES + ADMISSION_RESERVE_BYTES;
        char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX], d[SIZE_TEXT_MAX];

        if (in->disk_free_bytes < 0 || n <= 0 || in->disk_free_bytes >= need)
                return;
        refuse(ret,
               "disk: no space: %lld new disk%s x %s and a reserve of %s are %s, the file system "
               "of "
               "%s has %s free; free some",
               (long long)n, n == 1 ? "" : "s", size(ADMISSION_DISK_BYTES, a),
               size(ADMISSION_RESERVE_BYTES, b), size(need, c), in->disk,
               size(in->disk_free_bytes, d));
}

/* ---------------------------------------------------------------------------------------- ports */

static bool is_fixed(const struct port *p)
{
        return p->published && !p->published_last;
}

static const char *host_ip(const struct port *p)
{
        return p->host_ip ? p->host_ip : "127.0.0.1";
}

/* An address of all addresses of its family takes the port on each. */
static bool share_address(const char *a, const char *b)
{
        bool a6 = strchr(a, ':') != NULL, b6 = strchr(b, ':') != NULL;
        const char *any = a6 ? "::" : "0.0.0.0";

        return streq(a, b) || (a6 == b6 && (streq(a, any) || streq(b, any)));
}

static bool clash(const struct port *a, const struct port *b)
{
        return is_fixed(a) && is_fixed(b) && a->published == b->published &&
               a->protocol == b->protocol && share_address(host_ip(a), host_ip(b));
}

/* The service of s, and its port, that p cannot be published beside; NULL: none. */
static const struct service *publisher(const struct admission_stack *s, const struct port *p,
                                       const struct port **ret)
{
        for (size_t i = 0; !s->any_ports && i < services(s); i++) {
                const struct service *service = &s->stack->services[i];

                for (size_t k = 0; replicas(s, i) && k < service->ports_len; k++)
                        if (clash(&service->ports[k], p)) {
                                *ret = &service->ports[k];
                                return service;
                        }
        }
        return NULL;
}

static void check_port(const struct admission_input *in, const struct service *service,
                       const struct port *p, struct admission *ret)
{
        const struct port *other;

        if (!is_fixed(p) || publisher(&in->before, p, &other))
                return;
        for (size_t i = 0; i < in->others_len; i++) {
                const struct service *has = publisher(&in->others[i], p, &other);

                if (!has)
                        continue;
                refuse(ret,
                       "port %s:%u/%s of service %s is published by %s/%s (%s:%u) already; publish "
                       "another port, or stop that service",
                       host_ip(p), p->published, p->protocol == PORT_UDP ? "udp" : "tcp",
                       service->name, in->others[i].stack->name, has->name, host_ip(other),
                       other->published);
                return;
        }
}

static void check_ports(const struct admission_input *in, struct admission *ret)
{
        for (size_t i = 0; !in->wanted.any_ports && i < services(&in->wanted); i++) {
                const struct service *s = &in->wanted.stack->services[i];

                for (size_t k = 0; replicas(&in->wanted, i) && k < s->ports_len; k++)
                        check_port(in, s, &s->ports[k], ret);
        }
}

/* -------------------------------------------------------------------------------------- subnets */

static bool overlap(const struct admission_subnet *a, const struct admission_subnet *b)
{
        unsigned bits = a->bits < b->bits ? a->bits : b->bits;
        uint32_t mask = bits ? UINT32_MAX << (32 - bits) : 0;

        return (a->subnet & mask) == (b->subnet & mask);
}

/* The subnet that a manifest asks for; false: it leaves the choice. */
static bool asked_subnet(const struct stack *stack, const struct network *network,
                         struct admission_subnet *ret)
{
        bool shared = network_shared_name(network) != NULL;

        ret->stack = shared ? STACK_SHARED : stack->name;
        ret->network = shared ? network_shared_name(network) : network->name;
        return network->subnet && value_cidr4(network->subnet, &ret->subnet, &ret->bits, NULL) == 0;
}

static bool meets(const struct admission_subnet *a, const struct admission_subnet *b)
{
        bool same = streq(a->stack, b->stack) && streq(a->network, b->network);

        return !same && overlap(a, b);
}

/* What another network has, or asks for, that meets the subnet. */
static bool find_overlap(const struct admission_input *in, const struct admission_subnet *subnet,
                         struct admission_subnet *ret)
{
        for (size_t i = 0; i < in->subnets_len; i++)
                if (meets(&in->subnets[i], subnet)) {
                        *ret = in->subnets[i];
                        return true;
                }
        for (size_t i = 0; i < in->others_len; i++) {
                const struct stack *stack = in->others[i].stack;

                for (size_t k = 0; k < stack->networks_len; k++)
                        if (asked_subnet(stack, &stack->networks[k], ret) && meets(ret, subnet))
                                return true;
        }
        return false;
}

static void check_subnets(const struct admission_input *in, struct admission *ret)
{
        const struct stack *stack = in->wanted.stack;

        for (size_t i = 0; i < stack->networks_len; i++) {
                const struct network *network = &stack->networks[i], *before = NULL;
                struct admission_subnet subnet, other;
                char ip[VALUE_IP4_MAX];

                if (in->before.stack)
                        before = stack_find_network(in->before.stack, network->name);
                if (!asked_subnet(stack, network, &subnet) ||
                    (before && streq(before->subnet, network->subnet)) ||
                    !find_overlap(in, &subnet, &other))
                        continue;
                value_ip4_text(other.subnet, ip);
                refuse(ret,
                       "subnet %s of network %s overlaps %s/%u of network %s%s%s; choose another, "
                       "or none",
                       network->subnet, network->name, ip, other.bits, other.network,
                       *other.stack ? " of stack " : "", other.stack);
        }
}

/* -------------------------------------------------------------------------------------- shared */

/* Whether the stack's own manifest makes the network that all know by that name. */
static bool makes(const struct stack *stack, const char *name)
{
        for (size_t i = 0; stack && i < stack->networks_len; i++)
                if (!stack->networks[i].external && streq(stack->networks[i].real_name, name))
                        return true;
        return false;
}

/* The stack whose private network it is that Compose would call so, or NULL. */
static const struct stack *has_private(const struct admission_input *in, const char *name)
{
        for (size_t i = 0; i < in->others_len; i++) {
                const struct stack *stack = in->others[i].stack;
                size_t n = strlen(stack->name);

                if (strncmp(name, stack->name, n) == 0 && name[n] == '_' &&
                    stack_find_network(stack, name + n + 1))
                        return stack;
        }
        return NULL;
}

static bool is_there(const struct admission_input *in, const char *name)
{
        bool there = (in->shared && stack_find_network(in->shared, name)) ||
                     makes(in->wanted.stack, name);

        for (size_t i = 0; i < in->others_len && !there; i++)
                there = makes(in->others[i].stack, name);
        return there;
}

/* Externals that the stack had already are no reason to refuse it now. */
static void check_externals(const struct admission_input *in, struct admission *ret)
{
        const struct stack *stack = in->wanted.stack;

        for (size_t i = 0; i < stack->networks_len; i++) {
                const struct network *network = &stack->networks[i], *before = NULL;
                const char *name = network_shared_name(network);
                const struct stack *owner;

                if (in->before.stack && stack_uses_network(in->before.stack, network->name))
                        before = stack_find_network(in->before.stack, network->name);
                if (!network->external || !stack_uses_network(stack, network->name) ||
                    is_there(in, name) || (before && streq(network_shared_name(before), name)))
                        continue;
                owner = has_private(in, name);
                if (owner)
                        refuse(ret,
                               "network %s declared as external, but could not be found; stack %s "
                               "has one of its own that it shares with `name: %s` in its manifest",
                               name, owner->name, name);
                else
                        refuse(ret,
                               "network %s declared as external, but could not be found; make it "
                               "with `berth network create %s`",
                               name, name);
        }
}

void admission_check(const struct admission_input *in, struct admission *ret)
{
        *ret = (struct admission){0};
        check_memory(in, ret);
        check_disk(in, ret);
        check_ports(in, ret);
        check_subnets(in, ret);
        check_externals(in, ret);
}

void admission_release(struct admission *admission)
{
        for (size_t i = 0; i < admission->len; i++)
                free(admission->refusals[i]);
        free(admission->refusals);
        *admission = (struct admission){0};
}
