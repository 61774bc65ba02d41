/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4, link-local and MAC addresses that services ask for. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"
#include "schema/validate.h"

/* One of them, where it is asked for. */
struct address {
        const char *key, *text;
        const struct service_draft *draft;
        const struct network_ref *ref;
};

struct addresses {
        struct address *items;
        size_t len;
};

/* A service's own mac_address has moved to a network of the service. */
static void fault_address(struct reader *r, const struct address *a, const char *problem)
{
        const struct node *networks = node_get(a->draft->node, "networks");
        const struct node *at = node_get(node_get(networks, a->ref->network), a->key);
        const struct node *own = at ? NULL : node_get(a->draft->node, a->key);
        const char *name = a->draft->service.name;

        if (own)
                diags_add(r->diags, DIAG_CONFLICT, &own->mark,
                          arena_printf(r->arena, "services.%s.%s", name, a->key), "%s: %s", a->text,
                          problem);
        else
                diags_add(r->diags, DIAG_CONFLICT, at ? &at->mark : &a->draft->mark,
                          arena_printf(r->arena, "services.%s.networks.%s.%s", name,
                                       a->ref->network, a->key),
                          "%s: %s", a->text, problem);
}

static void check_subnet(struct reader *r, const struct stack_draft *draft, const struct address *a)
{
        const struct network *network = stack_find_network(&draft->stack, a->ref->network);
        uint32_t ip = 0, net = 0, mask;
        unsigned bits = 0;

        if (!network || network->external || value_ip4(a->text, &ip, NULL) < 0)
                return; /* of an external one the subnet is known where it was made */
        if (!network->subnet) {
                fault_address(r, a,
                              "the network has no subnet; give it one with ipam.config.subnet");
                return;
        }
        if (value_cidr4(network->subnet, &net, &bits, NULL) < 0 || bits == 0)
                return;
        mask = UINT32_MAX << (32 - bits);
        if ((ip & mask) != net)
                fault_address(r, a,
                              arena_printf(r->arena, "not within the network's subnet %s",
                                           network->subnet));
        else if (ip == net || ip == net + 1 || ip == (net | ~mask))
                fault_address(
                        r, a,
                        "the first two and the last address of a subnet are not for services");
}

static void add(struct reader *r, struct addresses *all, const struct address *a)
{
        if (!a->text)
                return;
        if (a->draft->service.replicas > 1)
                fault_address(r, a, "one address cannot be that of several replicas");
        *array_push(&all->items, &all->len) = *a;
}

static void add_link_local(struct reader *r, struct addresses *all, const struct service_draft *d,
                           const struct network_ref *ref)
{
        const struct str_list *list = &ref->link_local_ips;

        for (size_t i = 0; i < list->len; i++) {
                const struct address a = {"link_local_ips", list->items[i], d, ref};

                if (i == NETWORK_LINK_LOCAL_MAX)
                        fault_address(r, &a,
                                      arena_printf(r->arena,
                                                   "a VM has at most %d of them on a network",
                                                   NETWORK_LINK_LOCAL_MAX));
                add(r, all, &a);
        }
}

static int compare_addresses(const void *a, const void *b)
{
        const struct address *x = a, *y = b;
        int r = strcmp(x->ref->network, y->ref->network);

        if (r == 0)
                r = strcmp(x->text, y->text);
        return r ? r : strcmp(x->draft->service.name, y->draft->service.name);
}

static void refuse_doubles(struct reader *r, const struct addresses *all)
{
        if (all->len)
                qsort(all->items, all->len, sizeof(*all->items), compare_addresses);
        for (size_t i = 1; i < all->len; i++) {
                const struct address *a = &all->items[i], *before = &all->items[i - 1];

                if (streq(a->text, before->text) && streq(a->ref->network, before->ref->network))
                        fault_address(r, a,
                                      arena_printf(r->arena, "the address of service '%s' too",
                                                   before->draft->service.name));
        }
}

void validate_addresses(struct reader *r, const struct stack_draft *draft)
{
        struct addresses ips = {0}, macs = {0};

        for (size_t i = 0; i < draft->drafts_len; i++) {
                const struct service_draft *d = &draft->drafts[i];

                for (size_t k = 0; k < d->service.networks_len && !d->disabled; k++) {
                        const struct network_ref *ref = &d->service.networks[k];
                        uint32_t parsed;
                        bool valid = ref->ipv4_address &&
                                     value_ip4(ref->ipv4_address, &parsed, NULL) == 0;
                        const struct address ip = {"ipv4_address", valid ? ref->ipv4_address : NULL,
                                                   d, ref};
                        const struct address mac = {"mac_address", ref->mac_address, d, ref};

                        if (ip.text)
                                check_subnet(r, draft, &ip);
                        add(r, &ips, &ip);
                        add(r, &macs, &mac);
                        add_link_local(r, &ips, d, ref);
                }
        }
        refuse_doubles(r, &ips);
        refuse_doubles(r, &macs);
        free(ips.items);
        free(macs.items);
}
