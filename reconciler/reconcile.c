/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision, read from top to bottom. Facts and desired state are joined in a view; then each
 * kind of step is derived from it, in the order in which an executor can begin them: find images,
 * stop what must go (dependants before what they depend on), networks, start what may start
 * (dependencies first). Services are looked at in order of dependency, because what a service waits
 * for is told by the status of what it depends on.
 */
#include "reconciler/reconcile.h"

#include <assert.h>

#include "base/mem.h"
#include "reconciler/rollout.h"
#include "reconciler/slot.h"
#include "reconciler/status.h"
#include "reconciler/steps.h"
#include "reconciler/view.h"

static void start_group(struct view *view, const struct group *group, struct plan *plan)
{
        for (size_t k = 0; k < group->graph.len; k++) {
                struct unit *unit = &view->units[group->units_begin + group->graph.order[k]];
                struct gate gate = gate_check(view, unit);

                if (!gate.closed_by)
                        steps_starts(unit, plan);
                else if (gate.in_vain)
                        steps_drop_idle(unit, plan);
                status_make(view, unit, &gate);
        }
}

/* Nothing of it runs, or will by itself. Its VM may still be there: deleting ends that, too. */
static bool has_ended(const struct unit *unit)
{
        switch (unit->status.phase) {
        case PHASE_COMPLETED:
        case PHASE_FAILED:
        case PHASE_STOPPED:
                return true;
        case PHASE_WAITING:
        case PHASE_STARTING:
        case PHASE_RUNNING:
        case PHASE_HEALTHY:
        case PHASE_UNHEALTHY:
        case PHASE_BACKOFF:
        case PHASE_STOPPING:
                break;
        }
        return false;
}

static void delete_when_done(const struct view *view, const struct group *group, struct plan *plan)
{
        struct step *step;

        for (size_t k = 0; k < group->graph.len; k++) {
                const struct unit *unit = &view->units[group->units_begin + k];

                if (!unit->wish || !unit->wish->once || !has_ended(unit))
                        return;
        }
        if (group->graph.len == 0)
                return;
        step = array_push(&plan->steps, &plan->steps_len);
        step->kind = STEP_STACK_DELETE;
        step->stack = xstrdup(group->stack->name);
}

static void wake_by(int64_t *wake, int64_t at)
{
        if (*wake == 0 || at < *wake)
                *wake = at;
}

/* The earliest end of a back-off or a monitor time: nothing else happens by time alone. */
static int64_t wake_time(const struct view *view)
{
        int64_t wake = 0;

        for (size_t u = 0; u < view->units_len; u++)
                for (size_t i = 0; i < view->units[u].slots_len; i++) {
                        const struct slot *slot = &view->units[u].slots[i];

                        int64_t rollout = rollout_wake_ms(view, &view->units[u], slot);

                        if ((slot->state == SLOT_VACANT || slot->state == SLOT_IDLE) &&
                            slot->verdict == REPLICA_BACKOFF)
                                wake_by(&wake, slot->retry_at_ms);
                        if (rollout)
                                wake_by(&wake, rollout);
                }
        for (size_t i = 0; i < view->nets_len; i++)
                if (net_is_in_backoff(view, &view->nets[i]))
                        wake_by(&wake, view->nets[i].retry_at_ms);
        return wake;
}

static void hand_over_statuses(struct view *view, struct plan *plan)
{
        plan->services = xcalloc(view->units_len, sizeof(*plan->services));
        plan->services_len = view->units_len;
        for (size_t u = 0; u < view->units_len; u++)
                plan->services[u] = view->units[u].status;
}

void reconcile(const struct reconcile_input *input, struct plan *ret_plan)
{
        struct view view;

        assert(input->facts);
        *ret_plan = (struct plan){0};
        view_init(&view, input);
        steps_images(&view, ret_plan);
        steps_leaving(&view, ret_plan);
        steps_stops(&view, ret_plan);
        steps_networks(&view, ret_plan);
        for (size_t g = 0; g < view.groups_len; g++)
                start_group(&view, &view.groups[g], ret_plan);
        for (size_t g = 0; g < view.groups_len; g++)
                delete_when_done(&view, &view.groups[g], ret_plan);
        ret_plan->wake_at_ms = wake_time(&view);
        hand_over_statuses(&view, ret_plan);
        view_release(&view);
}
