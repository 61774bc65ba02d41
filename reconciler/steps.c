/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/steps.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reconciler/rollout.h"
#include "reconciler/slot.h"

void plan_add_vm(struct plan *plan, enum step_kind kind, const struct vm_fact *vm, char *reason)
{
        struct step *step = array_push(&plan->steps, &plan->steps_len);

        step->kind = kind;
        step->stack = xstrdup(vm->stack);
        step->service = xstrdup(vm->service);
        step->replica = vm->replica;
        step->vm_id = xstrdup(vm->id);
        step->reason = reason;
}

static int ref_cmp(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool wants_image(const struct unit *unit)
{
        if (!unit->service->image || (unit->image && unit->image->state != IMAGE_UNKNOWN))
                return false;
        if (unit->net_changes || unit->net_waits)
                return true; /* nobody is stopped before his image is there */
        for (size_t i = 0; i < unit->slots_len; i++)
                if (slot_wants_vm(&unit->slots[i]))
                        return true;
        return false;
}

void steps_images(const struct view *view, struct plan *plan)
{
        const char **refs = NULL;
        size_t len = 0;

        for (size_t u = 0; u < view->units_len; u++)
                if (wants_image(&view->units[u]))
                        *array_push(&refs, &len) = unit_image_ref(&view->units[u]);
        if (len)
                qsort(refs, len, sizeof(*refs), ref_cmp);
        for (size_t i = 0; i < len; i++) {
                struct step *step;

                if (i && strcmp(refs[i - 1], refs[i]) == 0)
                        continue;
                step = array_push(&plan->steps, &plan->steps_len);
                step->kind = STEP_IMAGE_RESOLVE;
                step->image = xstrdup(refs[i]);
        }
        free(refs);
}

static bool has_image(const struct unit *unit)
{
        return unit->image && unit->image->state == IMAGE_READY;
}

bool unit_is_equipped(const struct unit *unit)
{
        return has_image(unit) && !unit->missing_net;
}

/* A network that cannot be had may be waiting for one that the unit's old VMs hold. */
static bool may_replace(const struct unit *unit)
{
        return unit_is_equipped(unit) ||
               (unit->net_changes && has_image(unit) && unit->missing_net->state == NET_FAILED);
}

static char *end_reason(const struct vm_fact *vm)
{
        char *text = exit_text(vm->exit_reason, vm->exit_code), *with_cause;

        if (!vm->message)
                return text;
        with_cause = xasprintf("%s: %s", text, vm->message);
        free(text);
        return with_cause;
}

/* VMs that no slot counts: numbers that are not wanted, and second VMs of one replica. */
static void stop_excess(const struct view *view, struct unit *unit, struct plan *plan)
{
        if (!unit->excess)
                return;
        for (size_t k = unit->vms_end; k-- > unit->vms_begin;) {
                const struct vm_fact *vm = view->vms[k];
                bool wanted = vm->replica >= 1 && vm->replica <= unit->slots_len;

                if (wanted && (unit->slots[vm->replica - 1].vm == vm ||
                               unit->slots[vm->replica - 1].outgoing == vm))
                        continue;
                if (vm_is_ended(vm))
                        plan_add_vm(plan, STEP_VM_REMOVE, vm, end_reason(vm));
                else if (vm_is_alive(vm) && unit->stopped)
                        plan_add_vm(plan, STEP_VM_STOP, vm, xstrdup("stopped on request"));
                else if (vm_is_alive(vm) && !wanted)
                        plan_add_vm(plan, STEP_VM_STOP, vm,
                                    xasprintf("scaled down to %zu", unit->slots_len));
                else if (vm_is_alive(vm))
                        plan_add_vm(plan, STEP_VM_STOP, vm,
                                    xasprintf("surplus: VM %s stays",
                                              unit->slots[vm->replica - 1].vm->id));
        }
}

void plan_stop_slot(struct unit *unit, struct slot *slot, struct plan *plan, char *reason)
{
        plan_add_vm(plan, STEP_VM_STOP, slot->vm, reason);
        slot->planned = true;
        unit->busy = true;
}

static void remove_ended(struct unit *unit, struct plan *plan)
{
        for (size_t i = 0; i < unit->slots_len; i++) {
                struct slot *slot = &unit->slots[i];

                if (slot->state != SLOT_ENDED)
                        continue;
                plan_add_vm(plan, STEP_VM_REMOVE, slot->vm, end_reason(slot->vm));
                slot->planned = true;
                unit->busy = true;
        }
}

/* A service whose health decides over it: its run ends as a failure, and the policy goes on. */
static void end_unhealthy(struct unit *unit, struct plan *plan)
{
        for (size_t i = 0; i < unit->slots_len; i++) {
                struct slot *slot = &unit->slots[i];

                if (slot->state != SLOT_UNHEALTHY || slot->vm->ending ||
                    unit->service->on_unhealthy != UNHEALTHY_RESTART)
                        continue;
                plan_add_vm(plan, STEP_VM_END, slot->vm,
                            xstrdup(slot->vm->message ? slot->vm->message : "unhealthy"));
                slot->planned = true;
                unit->busy = true;
        }
}

static void stop_for_network(struct unit *unit, struct plan *plan)
{
        for (size_t i = 0; i < unit->slots_len; i++) {
                struct slot *slot = &unit->slots[i];

                if (slot->vm && vm_is_alive(slot->vm))
                        plan_stop_slot(unit, slot, plan,
                                       xasprintf("network %s changed", unit->outdated_net->name));
                if (slot->outgoing)
                        plan_add_vm(plan, STEP_VM_STOP, slot->outgoing,
                                    xasprintf("network %s changed", unit->outdated_net->name));
        }
}

/* Whether VMs of a dependant that is stopped, too, are still there: they go first. */
static bool dependants_stop_first(const struct view *view, const struct unit *unit)
{
        const struct group *group = &view->groups[unit->group];
        const struct graph *graph = &group->graph;
        size_t self = (size_t)(unit - view->units) - group->units_begin;

        for (size_t e = graph->back_begin[self]; e < graph->back_begin[self + 1]; e++) {
                size_t at = graph->back_edges[e];
                const struct unit *by = &view->units[group->units_begin + at];

                if (by->stopped && by->vms_begin < by->vms_end &&
                    !(graph->cyclic[self] && graph->cyclic[at]))
                        return true;
        }
        return false;
}

static void stop_unit(const struct view *view, struct unit *unit, struct plan *plan)
{
        if (unit->stopped && dependants_stop_first(view, unit))
                return;
        stop_excess(view, unit, plan);
        remove_ended(unit, plan);
        if (unit->outdated_net) {
                stop_for_network(unit, plan);
                return;
        }
        rollout_retire(view, unit, plan);
        if (may_replace(unit))
                rollout_replace(view, unit, plan);
        end_unhealthy(unit, plan);
}

void steps_stops(struct view *view, struct plan *plan)
{
        for (size_t g = 0; g < view->groups_len; g++) {
                const struct group *group = &view->groups[g];

                for (size_t k = group->graph.len; k-- > 0;)
                        stop_unit(view, &view->units[group->units_begin + group->graph.order[k]],
                                  plan);
        }
}

void steps_drop_idle(struct unit *unit, struct plan *plan)
{
        for (size_t i = 0; i < unit->slots_len; i++) {
                struct slot *slot = &unit->slots[i];

                if (slot->state != SLOT_IDLE)
                        continue;
                plan_add_vm(plan, STEP_VM_REMOVE, slot->vm, end_reason(slot->vm));
                slot->planned = true;
                unit->busy = true;
        }
}

static char *start_reason(const struct unit *unit, const struct slot *slot)
{
        const struct replica_fact *memory = slot->memory;
        AUTO_FREE char *end = NULL;

        if (slot->surge && !rollout_begun(unit, slot))
                return xstrdup(unit_change_text(unit));
        if (!memory || memory->last_exit == EXIT_NONE)
                return xstrdup("not running");
        if (!streq(memory->last_spec_hash, unit->hash))
                return xstrdup(unit_change_text(unit));
        if (memory->last_exit == EXIT_STOPPED)
                return xstrdup("not running");
        end = exit_text(memory->last_exit, memory->last_exit_code);
        return xasprintf("restart: %s", end);
}

static void start(struct unit *unit, struct slot *slot, struct plan *plan)
{
        struct step *step;

        slot->planned = true;
        unit->busy = true;
        if (slot->state == SLOT_IDLE) {
                plan_add_vm(plan, STEP_VM_RESTART, slot->vm, start_reason(unit, slot));
                return;
        }
        step = array_push(&plan->steps, &plan->steps_len);
        step->kind = STEP_VM_CREATE;
        step->stack = xstrdup(unit->stack->name);
        step->service = xstrdup(unit->service->name);
        step->replica = slot->number;
        step->reason = start_reason(unit, slot);
}

void steps_starts(struct unit *unit, struct plan *plan)
{
        bool equipped = unit_is_equipped(unit);

        for (size_t i = 0; i < unit->slots_len; i++) {
                struct slot *slot = &unit->slots[i];
                bool due = slot->verdict == REPLICA_DUE;

                if (slot->surge && slot->vms_len > 1)
                        continue; /* one of an earlier update is still on its way out */
                if ((equipped && (slot->surge || (slot->state == SLOT_VACANT && due))) ||
                    (slot->state == SLOT_IDLE && due))
                        start(unit, slot, plan);
        }
}
