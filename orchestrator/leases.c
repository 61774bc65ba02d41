/* SPDX-License-Identifier: Apache-2.0 */
/* Subnets and addresses: kept in the store, so that both stay with their owner over restarts. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/networks_internal.h"

static struct stored_subnet *find_subnet(struct networks *ns, const char *stack, const char *name)
{
        for (size_t i = 0; i < ns->leases.subnets_len; i++)
                if (streq(ns->leases.subnets[i].stack, stack) &&
                    streq(ns->leases.subnets[i].network, name))
                        return &ns->leases.subnets[i];
        return NULL;
}

static bool overlap(uint32_t a, unsigned a_bits, uint32_t b, unsigned b_bits)
{
        unsigned bits = a_bits < b_bits ? a_bits : b_bits;
        uint32_t mask = bits ? UINT32_MAX << (32 - bits) : 0;

        return (a & mask) == (b & mask);
}

static const struct stored_subnet *taken_by(const struct networks *ns, uint32_t subnet,
                                            unsigned bits, const struct stored_subnet *self)
{
        for (size_t i = 0; i < ns->leases.subnets_len; i++) {
                const struct stored_subnet *s = &ns->leases.subnets[i];

                if (s != self && overlap(subnet, bits, s->subnet, s->bits))
                        return s;
        }
        return NULL;
}

static int free_subnet(const struct networks *ns, uint32_t *ret_subnet, struct err *err)
{
        uint32_t count = UINT32_C(1) << (NETWORKS_BITS - NET_POOL_BITS);

        for (uint32_t i = 0; i < count; i++) {
                uint32_t subnet = NET_POOL + (i << (32 - NETWORKS_BITS));

                if (!taken_by(ns, subnet, NETWORKS_BITS, NULL)) {
                        *ret_subnet = subnet;
                        return 0;
                }
        }
        return err_set(err, ENOSPC, "all %u subnets are in use; delete stacks that are not needed",
                       count);
}

/* A network that is gone leaves its lease to whoever asks for just that subnet. */
static int give_up_subnet(struct networks *ns, const struct stored_subnet *of, struct err *err)
{
        AUTO_FREE char *stack = xstrdup(of->stack);
        AUTO_FREE char *name = xstrdup(of->network);
        int r = store_delete_subnet(ns->env.store, stack, name, err);

        if (r == 0)
                networks_forget(ns, stack, name);
        return r;
}

static int ask_subnet(struct networks *ns, const char *stack, const struct network *spec,
                      uint32_t *ret_subnet, unsigned *ret_bits, struct err *err)
{
        const struct stored_subnet *other;
        int r = value_cidr4(spec->subnet, ret_subnet, ret_bits, err);

        while (r == 0 &&
               (other = taken_by(ns, *ret_subnet, *ret_bits, find_subnet(ns, stack, spec->name)))) {
                if (streq(other->stack, STACK_SHARED) ||
                    networks_find(ns, other->stack, other->network))
                        return err_set(err, EADDRINUSE,
                                       "subnet %s overlaps that of network %s%s%s; choose another "
                                       "or leave it out",
                                       spec->subnet, other->network,
                                       *other->stack ? " of stack " : "", other->stack);
                r = give_up_subnet(ns, other, err);
        }
        return r;
}

static int put_subnet(struct networks *ns, const char *stack, const char *name, uint32_t subnet,
                      unsigned bits, struct err *err)
{
        struct stored_subnet *lease = find_subnet(ns, stack, name);
        int r = store_put_subnet(ns->env.store, stack, name, subnet, bits, err);

        if (r < 0)
                return r;
        if (!lease) {
                lease = array_push(&ns->leases.subnets, &ns->leases.subnets_len);
                lease->stack = xstrdup(stack);
                lease->network = xstrdup(name);
        }
        lease->subnet = subnet;
        lease->bits = bits;
        return 0;
}

int networks_choose_subnet(struct networks *ns, const char *stack, const struct network *spec,
                           uint32_t *ret_subnet, unsigned *ret_bits, struct err *err)
{
        const struct stored_subnet *lease = find_subnet(ns, stack, spec->name);
        uint32_t subnet = lease ? lease->subnet : 0;
        unsigned bits = lease ? lease->bits : NETWORKS_BITS;
        int r = 0;

        if (spec->subnet) {
                r = ask_subnet(ns, stack, spec, &subnet, &bits, err);
                lease = find_subnet(ns, stack, spec->name);
        } else if (!lease) {
                r = free_subnet(ns, &subnet, err);
        }
        if (r == 0 && (!lease || lease->subnet != subnet || lease->bits != bits))
                r = put_subnet(ns, stack, spec->name, subnet, bits, err);
        *ret_subnet = subnet;
        *ret_bits = bits;
        return r;
}

int networks_reserve(struct networks *ns, const char *stack, const struct network *spec,
                     struct err *err)
{
        uint32_t subnet;
        unsigned bits;

        return networks_choose_subnet(ns, stack, spec, &subnet, &bits, err);
}

static struct stored_lease *lease_of_ip(struct networks *ns, const struct network_entry *n,
                                        uint32_t ip)
{
        for (size_t i = 0; i < ns->leases.leases_len; i++) {
                struct stored_lease *l = &ns->leases.leases[i];

                if (l->ip == ip && streq(l->stack, n->stack) && streq(l->network, n->name))
                        return l;
        }
        return NULL;
}

static struct stored_lease *lease_of_replica(struct networks *ns, const struct network_entry *n,
                                             const char *service, unsigned replica)
{
        for (size_t i = 0; i < ns->leases.leases_len; i++) {
                struct stored_lease *l = &ns->leases.leases[i];

                if (l->replica == replica && streq(l->stack, n->stack) &&
                    streq(l->network, n->name) && streq(l->service, service))
                        return l;
        }
        return NULL;
}

static int free_address(struct networks *ns, const struct network_entry *n, uint32_t *ret_ip,
                        struct err *err)
{
        uint32_t size = UINT32_C(1) << (32 - n->bits);

        for (uint32_t i = 1; i < size; i++)
                if (n->subnet + i != n->gateway &&
                    net_address_usable(n->subnet, n->bits, n->subnet + i) &&
                    !lease_of_ip(ns, n, n->subnet + i)) {
                        *ret_ip = n->subnet + i;
                        return 0;
                }
        return err_set(err, ENOSPC, "network %s has no free address; give it a larger subnet",
                       n->name);
}

int networks_lease(struct networks *ns, const char *stack, const char *name, const char *service,
                   unsigned replica, uint32_t wanted, uint32_t *ret_ip, struct err *err)
{
        const struct network_entry *n = networks_find(ns, stack, name);
        struct stored_lease *lease, *other;
        uint32_t ip = wanted;
        int r;

        if (!n)
                return err_set(err, ENETDOWN, "network %s does not exist yet", name);
        lease = lease_of_replica(ns, n, service, replica);
        if (lease && (!wanted || lease->ip == wanted) &&
            net_address_usable(n->subnet, n->bits, lease->ip)) {
                *ret_ip = lease->ip;
                return 0;
        }
        if (wanted && (wanted == n->gateway || !net_address_usable(n->subnet, n->bits, wanted)))
                return err_set(err, EADDRNOTAVAIL,
                               "ipv4_address is none of network %s's; see `berth network ls`",
                               name);
        other = wanted ? lease_of_ip(ns, n, wanted) : NULL;
        if (other && other != lease)
                return err_set(err, EADDRINUSE, "address is used by %s/%u on network %s",
                               other->service, other->replica, name);
        r = wanted ? 0 : free_address(ns, n, &ip, err);
        if (r == 0)
                r = store_put_lease(ns->env.store, stack, name, service, replica, ip, err);
        if (r < 0)
                return r;
        if (!lease) {
                lease = array_push(&ns->leases.leases, &ns->leases.leases_len);
                lease->stack = xstrdup(stack);
                lease->network = xstrdup(name);
                lease->service = xstrdup(service);
                lease->replica = replica;
        }
        lease->ip = ip;
        *ret_ip = ip;
        return 0;
}

/* name: NULL: all of the stack, also what it has on networks that are shared. */
static bool lease_is_of(const struct stored_lease *l, const char *stack, const char *name)
{
        size_t n = strlen(stack);

        if (!name && streq(l->stack, STACK_SHARED) && strncmp(l->service, stack, n) == 0 &&
            l->service[n] == '/')
                return true;
        return streq(l->stack, stack) && (!name || streq(l->network, name));
}

/* The store forgets leases with what had them; this is our copy of them. */
static void forget(struct networks *ns, const char *stack, const char *name)
{
        struct stored_leases *all = &ns->leases;
        size_t kept = 0;

        for (size_t i = 0; i < all->leases_len; i++) {
                if (!lease_is_of(&all->leases[i], stack, name)) {
                        all->leases[kept++] = all->leases[i];
                        continue;
                }
                free(all->leases[i].stack);
                free(all->leases[i].network);
                free(all->leases[i].service);
        }
        all->leases_len = kept;
        kept = 0;
        for (size_t i = 0; i < all->subnets_len; i++) {
                if (!streq(all->subnets[i].stack, stack) ||
                    (name && !streq(all->subnets[i].network, name))) {
                        all->subnets[kept++] = all->subnets[i];
                        continue;
                }
                free(all->subnets[i].stack);
                free(all->subnets[i].network);
        }
        all->subnets_len = kept;
}

void networks_forget_stack(struct networks *ns, const char *stack)
{
        forget(ns, stack, NULL);
}

void networks_forget(struct networks *ns, const char *stack, const char *name)
{
        forget(ns, stack, name);
}
