/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reconciler/rollout.h"
#include "reconciler/slot.h"

/* Names of facts may be missing in odd ones: they sort first and match nothing. */
static int name_cmp(const char *a, const char *b)
{
        return strcmp(a ? a : "", b ? b : "");
}

static int number_cmp(int64_t a, int64_t b)
{
        return (a > b) - (a < b);
}

static int vm_cmp(const void *pa, const void *pb)
{
        const struct vm_fact *a = *(const struct vm_fact *const *)pa;
        const struct vm_fact *b = *(const struct vm_fact *const *)pb;
        int c = name_cmp(a->stack, b->stack);

        if (c == 0)
                c = name_cmp(a->service, b->service);
        if (c == 0)
                c = number_cmp(a->replica, b->replica);
        return c ? c : name_cmp(a->id, b->id);
}

static int replica_cmp(const void *pa, const void *pb)
{
        const struct replica_fact *a = *(const struct replica_fact *const *)pa;
        const struct replica_fact *b = *(const struct replica_fact *const *)pb;
        int c = name_cmp(a->stack, b->stack);

        if (c == 0)
                c = name_cmp(a->service, b->service);
        return c ? c : number_cmp(a->replica, b->replica);
}

static int network_cmp(const void *pa, const void *pb)
{
        const struct network_fact *a = *(const struct network_fact *const *)pa;
        const struct network_fact *b = *(const struct network_fact *const *)pb;
        int c = name_cmp(a->stack, b->stack);

        return c ? c : name_cmp(a->network, b->network);
}

static int image_cmp(const void *pa, const void *pb)
{
        const struct image_fact *a = *(const struct image_fact *const *)pa;
        const struct image_fact *b = *(const struct image_fact *const *)pb;

        return name_cmp(a->ref, b->ref);
}

/* An array of pointers to the elements of an array, sorted. */
#define sorted_pointers(items, len, cmp)                                 \
        __extension__({                                                  \
                __typeof__(&*(items)) *p_ = xcalloc((len), sizeof(*p_)); \
                for (size_t i_ = 0; i_ < (len); i_++)                    \
                        p_[i_] = &(items)[i_];                           \
                qsort(p_, (len), sizeof(*p_), (cmp));                    \
                (void *)p_;                                              \
        })

static void sort_facts(struct view *view)
{
        const struct facts *facts = view->input->facts;

        view->vms_len = facts->vms_len;
        view->vms = sorted_pointers(facts->vms, facts->vms_len, vm_cmp);
        view->replicas = sorted_pointers(facts->replicas, facts->replicas_len, replica_cmp);
        view->networks = sorted_pointers(facts->networks, facts->networks_len, network_cmp);
        view->images = sorted_pointers(facts->images, facts->images_len, image_cmp);
        view->networks_wanted = xcalloc(facts->networks_len, sizeof(*view->networks_wanted));
        view->vm_units = xcalloc(view->vms_len, sizeof(*view->vm_units));
        for (size_t i = 0; i < view->vms_len; i++)
                view->vm_units[i] = UNIT_NONE;
}

/* First VM that does not sort before (past: sorts behind) stack and, unless NULL, service. */
static size_t vm_bound(const struct view *view, const char *stack, const char *service, bool past)
{
        size_t low = 0, high = view->vms_len;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = name_cmp(view->vms[mid]->stack, stack);

                if (c == 0 && service)
                        c = name_cmp(view->vms[mid]->service, service);
                if (c < 0 || (c == 0 && past))
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

void view_find_vms(const struct view *view, const char *stack, const char *service,
                   size_t *ret_begin, size_t *ret_end)
{
        *ret_begin = vm_bound(view, stack, service, false);
        *ret_end = vm_bound(view, stack, service, true);
}

/* Index of the network's first fact, or their number. */
static size_t find_network(const struct view *view, const char *stack, const char *network)
{
        size_t low = 0, len = view->input->facts->networks_len, high = len;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = name_cmp(view->networks[mid]->stack, stack);

                if (c == 0)
                        c = name_cmp(view->networks[mid]->network, network);
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        if (low < len && streq(view->networks[low]->stack, stack) &&
            streq(view->networks[low]->network, network))
                return low;
        return len;
}

const char *unit_image_ref(const struct unit *unit)
{
        return unit->wish && unit->wish->image ? unit->wish->image : unit->service->image;
}

static const struct image_fact *find_image(const struct view *view, const char *ref)
{
        size_t low = 0, high = view->input->facts->images_len;

        if (!ref)
                return NULL;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = name_cmp(view->images[mid]->ref, ref);

                if (c == 0)
                        return view->images[mid];
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

static size_t net_fact_index(const struct view *view, const struct net *net)
{
        return find_network(view, net->shared ? STACK_SHARED : net->stack->name,
                            net->shared ? net->shared : net->name);
}

static int text_cmp(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* stack: the network's owner; NULL: there is none any more. */
static enum net_state net_state_of(const struct stack *stack, const struct network_fact *fact)
{
        const struct network *network = stack ? stack_find_network(stack, fact->network) : NULL;
        struct network implied = {.name = fact->network};
        char hash[DIGEST_TEXT_MAX];

        if (fact->removing)
                return NET_REMOVING;
        network_hash(network ? network : &implied, hash);
        if (!streq(hash, fact->spec_hash))
                return NET_OUTDATED;
        if (fact->up)
                return NET_UP;
        return fact->failed_ms ? NET_FAILED : NET_COMING;
}

static void add_net(struct view *view, const struct stack *stack, const char *name)
{
        struct net *net = array_push(&view->nets, &view->nets_len);
        const struct network *network = stack_find_network(stack, name);
        uint64_t key;
        size_t at;

        net->stack = stack;
        net->name = name;
        net->shared = network ? network_shared_name(network) : NULL;
        at = net_fact_index(view, net);
        if (at == view->input->facts->networks_len) {
                net->missing = network && network->external &&
                               (!view->shared || !stack_find_network(view->shared, net->shared));
                return;
        }
        net->fact = view->networks[at];
        net->state = net_state_of(net->shared ? view->shared : stack, net->fact);
        key = backoff_key(view->input->seed, net->fact->stack, net->fact->network, 0);
        net->retry_at_ms = net->fact->failed_ms + backoff_delay_ms(0, 0, net->fact->failures, key);
        if (!net->shared)
                view->networks_wanted[at] = net->state != NET_OUTDATED;
}

/* The networks that services of the stack use, each once; of STACK_SHARED all. */
static void find_nets(struct view *view, struct group *group)
{
        const struct stack *stack = group->stack;
        const char **names = NULL;
        size_t len = 0;

        for (size_t i = 0; stack == view->shared && i < stack->networks_len; i++)
                *array_push(&names, &len) = stack->networks[i].name;
        for (size_t i = 0; i < stack->services_len; i++)
                for (size_t j = 0; j < stack->services[i].networks_len; j++)
                        *array_push(&names, &len) = stack->services[i].networks[j].network;
        if (len)
                qsort(names, len, sizeof(*names), text_cmp);
        group->nets_begin = view->nets_len;
        for (size_t i = 0; i < len; i++)
                if (i == 0 || strcmp(names[i - 1], names[i]) != 0)
                        add_net(view, stack, names[i]);
        group->nets_end = view->nets_len;
        free(names);
}

const struct net *view_find_net(const struct view *view, const struct group *group,
                                const char *name)
{
        size_t low = group->nets_begin, high = group->nets_end;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = strcmp(view->nets[mid].name, name);

                if (c == 0)
                        return &view->nets[mid];
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return NULL;
}

static const struct stack_wishes *wishes_of(const struct view *view, size_t g)
{
        return view->input->wishes ? view->input->wishes[g] : NULL;
}

static void init_group(struct view *view, size_t g, size_t units_begin)
{
        struct group *group = &view->groups[g];

        group->stack = view->input->stacks[g];
        group->units_begin = units_begin;
        graph_init(&group->graph, group->stack);
        if (!view->input->hashes || !view->input->hashes[g])
                group->hashes = stack_hashes_new(group->stack, wishes_of(view, g));
        find_nets(view, group);
}

static void find_unit_nets(const struct view *view, struct unit *unit)
{
        const struct group *group = &view->groups[unit->group];

        for (size_t i = 0; i < unit->service->networks_len; i++) {
                const struct net *net =
                        view_find_net(view, group, unit->service->networks[i].network);

                if (net->state == NET_KEPT && !unit->kept_net)
                        unit->kept_net = net;
                if (net->state != NET_UP && net->state != NET_KEPT && !unit->missing_net)
                        unit->missing_net = net;
                if (net->state == NET_OUTDATED && !unit->outdated_net)
                        unit->outdated_net = net;
                unit->lacks_net = unit->lacks_net || net->missing;
        }
}

static bool has_net(const struct view *view, const struct group *group, enum net_state state)
{
        for (size_t i = group->nets_begin; i < group->nets_end; i++)
                if (view->nets[i].state == state)
                        return true;
        return false;
}

static bool uses_outdated_net(const struct view *view, const struct unit *unit)
{
        const struct group *group = &view->groups[unit->group];

        for (size_t i = 0; i < unit->service->networks_len; i++)
                if (view_find_net(view, group, unit->service->networks[i].network)->state ==
                    NET_OUTDATED)
                        return true;
        return false;
}

/* Whether a VM that may hold an outdated network could not come back, if it were stopped. */
static bool is_stuck(const struct view *view, const struct unit *unit)
{
        if (unit->stopped || (unit->image && unit->image->state == IMAGE_READY))
                return false;
        for (size_t k = unit->vms_begin; k < unit->vms_end; k++)
                if (vm_is_alive(view->vms[k]) &&
                    (!streq(view->vms[k]->spec_hash, unit->hash) || uses_outdated_net(view, unit)))
                        return true;
        return false;
}

/*
 * Nobody is stopped for a network before all can follow: until then it goes on as it was, also for
 * VMs that are started now. What an old VM is attached to is not known: each may hold it.
 */
static void keep_nets(struct view *view, const struct group *group)
{
        const struct unit *units = &view->units[group->units_begin], *stuck = NULL;

        for (size_t i = 0; i < group->stack->services_len && !stuck; i++)
                if (is_stuck(view, &units[i]))
                        stuck = &units[i];
        for (size_t i = group->nets_begin; i < group->nets_end && stuck; i++) {
                struct net *net = &view->nets[i];

                if (net->state != NET_OUTDATED || !net->fact->up)
                        continue;
                net->state = NET_KEPT;
                net->kept_for = stuck;
                view->networks_wanted[net_fact_index(view, net)] = true;
        }
}

/* A network that one stack cannot leave goes on for all that share it. */
static void keep_shared_nets(struct view *view)
{
        for (size_t i = 0; i < view->nets_len; i++) {
                const struct net *kept = &view->nets[i];

                for (size_t k = 0; kept->kept_for && kept->shared && k < view->nets_len; k++) {
                        struct net *net = &view->nets[k];

                        if (net->state != NET_OUTDATED || !streq(net->shared, kept->shared))
                                continue;
                        net->state = NET_KEPT;
                        net->kept_for = kept->kept_for;
                }
        }
}

/* What is known of it before the networks are looked at. */
static void init_unit(struct view *view, size_t g, size_t i)
{
        struct group *group = &view->groups[g];
        struct unit *unit = &view->units[group->units_begin + i];
        const struct stack_hashes *hashes = group->hashes ? group->hashes : view->input->hashes[g];

        unit->group = g;
        unit->stack = group->stack;
        unit->service = &group->stack->services[i];
        unit->hash = hashes->services[i];
        if (wishes_of(view, g))
                unit->wish = &wishes_of(view, g)->services[i];
        unit->image = find_image(view, unit_image_ref(unit));
        unit->stopped = unit->wish && unit->wish->stopped;
        unit->slots_len = unit->stopped ? 0 : unit->service->replicas;
        view_find_vms(view, unit->stack->name, unit->service->name, &unit->vms_begin,
                      &unit->vms_end);
        for (size_t k = unit->vms_begin; k < unit->vms_end; k++)
                view->vm_units[k] = group->units_begin + i;
}

static void complete_unit(struct view *view, struct unit *unit, struct slot **slots)
{
        /* An old VM may hold such a network, and its successor may wait for a service that waits
         * for the network: then nobody may wait for the successor. */
        unit->net_changes = has_net(view, &view->groups[unit->group], NET_OUTDATED);
        unit->net_waits = has_net(view, &view->groups[unit->group], NET_KEPT);
        unit->surges = rollout_surges(unit) && !unit->net_changes;
        unit->slots = *slots;
        *slots += unit->slots_len;
        find_unit_nets(view, unit);
        slots_fill(view, unit);
}

static void mark_awaited(struct view *view, const struct group *group)
{
        for (size_t i = 0; i < group->stack->services_len; i++) {
                const struct service *service = &group->stack->services[i];

                if (service->oneshot)
                        view->units[group->units_begin + i].awaited = true;
                for (size_t j = 0; j < service->depends_on_len; j++) {
                        const struct depends *dep = &service->depends_on[j];
                        size_t on = graph_find(&group->graph, group->stack, dep->service);

                        if (on != GRAPH_NONE && dep->condition == DEPENDS_COMPLETED)
                                view->units[group->units_begin + on].awaited = true;
                }
        }
}

void view_init(struct view *view, const struct reconcile_input *input)
{
        size_t slots_len = 0;
        struct slot *slots;

        *view = (struct view){.input = input, .groups_len = input->stacks_len};
        if (input->stacks_len && streq(input->stacks[0]->name, STACK_SHARED))
                view->shared = input->stacks[0];
        sort_facts(view);
        view->groups = xcalloc(view->groups_len, sizeof(*view->groups));
        for (size_t g = 0; g < view->groups_len; g++) {
                const struct stack *stack = input->stacks[g];

                init_group(view, g, view->units_len);
                view->units_len += stack->services_len;
                for (size_t i = 0; i < stack->services_len; i++)
                        slots_len += stack->services[i].replicas;
        }
        view->units = xcalloc(view->units_len, sizeof(*view->units));
        view->slots = slots = xcalloc(slots_len, sizeof(*view->slots));
        for (size_t g = 0; g < view->groups_len; g++) {
                for (size_t i = 0; i < input->stacks[g]->services_len; i++)
                        init_unit(view, g, i);
                keep_nets(view, &view->groups[g]);
        }
        keep_shared_nets(view);
        for (size_t u = 0; u < view->units_len; u++)
                complete_unit(view, &view->units[u], &slots);
        for (size_t g = 0; g < view->groups_len; g++)
                mark_awaited(view, &view->groups[g]);
}

void view_release(struct view *view)
{
        for (size_t g = 0; g < view->groups_len; g++) {
                graph_release(&view->groups[g].graph);
                stack_hashes_free(view->groups[g].hashes);
        }
        free(view->vms);
        free(view->vm_units);
        free(view->replicas);
        free(view->networks);
        free(view->networks_wanted);
        free(view->images);
        free(view->groups);
        free(view->units);
        free(view->slots);
        free(view->nets);
        *view = (struct view){0};
}
