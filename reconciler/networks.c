/* SPDX-License-Identifier: Apache-2.0 */
/* Networks: there before the first VM that uses them, gone after the last. */
#include "base/mem.h"
#include "reconciler/steps.h"

static bool service_uses(const struct service *service, const char *network)
{
        for (size_t i = 0; i < service->networks_len; i++)
                if (streq(service->networks[i].network, network))
                        return true;
        return false;
}

/*
 * Whether a VM may be attached. What a VM of an unknown or outdated spec is attached to is not
 * known here: such a one counts for all networks of its stack.
 */
static bool network_is_used(const struct view *view, const struct network_fact *network)
{
        size_t begin, end;

        if (network->guests)
                return true;
        if (!network->stack)
                return false;
        view_find_vms(view, network->stack, NULL, &begin, &end);
        for (size_t k = begin; k < end; k++) {
                size_t u = view->vm_units[k];

                if (u == UNIT_NONE || !streq(view->vms[k]->spec_hash, view->units[u].hash) ||
                    service_uses(view->units[u].service, network->network))
                        return true;
        }
        return false;
}

bool net_is_in_backoff(const struct view *view, const struct net *net)
{
        int64_t now = view->input->now_ms;

        /* A failure in the future comes from another clock: it says nothing about the delay. */
        return net->state == NET_FAILED && now < net->retry_at_ms && net->fact->failed_ms <= now;
}

static void add_network(struct plan *plan, enum step_kind kind, const char *stack,
                        const char *network, const char *reason)
{
        struct step *step = array_push(&plan->steps, &plan->steps_len);

        step->kind = kind;
        step->stack = xstrdup(stack);
        step->network = xstrdup(network);
        step->reason = xstrdup(reason);
}

/* A second fact of one network must not take the first away. */
static bool is_second(const struct view *view, size_t i)
{
        return i > 0 && streq(view->networks[i - 1]->stack, view->networks[i]->stack) &&
               streq(view->networks[i - 1]->network, view->networks[i]->network);
}

void steps_networks(const struct view *view, struct plan *plan)
{
        for (size_t i = 0; i < view->input->facts->networks_len; i++) {
                const struct network_fact *network = view->networks[i];

                if (view->networks_wanted[i] || network->removing || is_second(view, i) ||
                    network_is_used(view, network))
                        continue;
                add_network(plan, STEP_NETWORK_REMOVE, network->stack, network->network,
                            "changed or not used any more");
        }
        for (size_t i = 0; i < view->nets_len; i++) {
                const struct net *net = &view->nets[i];
                bool again = net->state == NET_FAILED && !net_is_in_backoff(view, net);

                if ((net->state == NET_ABSENT || again) && !net->shared)
                        add_network(plan, STEP_NETWORK_CREATE, net->stack->name, net->name,
                                    again ? "trying again" : NULL);
        }
}
