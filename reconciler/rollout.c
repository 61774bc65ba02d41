/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/rollout.h"

#include "base/mem.h"
#include "reconciler/slot.h"
#include "reconciler/steps.h"

static const struct update_config *config_of(const struct unit *unit)
{
        return unit->wish && unit->wish->undoing ? &unit->service->rollback
                                                 : &unit->service->update;
}

bool rollout_surges(const struct unit *unit)
{
        const struct service *service = unit->service;

        if (config_of(unit)->order != UPDATE_START_FIRST)
                return false;
        for (size_t i = 0; i < service->networks_len; i++)
                if (service->networks[i].ipv4_address || service->networks[i].mac_address ||
                    service->networks[i].link_local_ips.len)
                        return false;
        for (size_t i = 0; i < service->volumes_len; i++)
                if (service->volumes[i].type == MOUNT_VOLUME)
                        return false;
        return true;
}

static int64_t monitor_ms(const struct unit *unit)
{
        int64_t monitor = config_of(unit)->monitor_ms;

        if (unit->surges && monitor < ROLLOUT_DRAIN_MS)
                return ROLLOUT_DRAIN_MS;
        return monitor > 0 ? monitor : 0;
}

/* Until the next replica's turn. */
static int64_t batch_ms(const struct unit *unit)
{
        int64_t monitor = monitor_ms(unit), delay = config_of(unit)->delay_ms;

        return delay > monitor ? delay : monitor;
}

static int64_t ready_since(const struct slot *slot)
{
        return slot->vm->health == HEALTH_HEALTHY ? slot->vm->health_since_ms : slot->vm->since_ms;
}

static bool ready_for(const struct view *view, const struct slot *slot, int64_t ms)
{
        int64_t now = view->input->now_ms, since;

        if (slot->state != SLOT_READY)
                return false;
        since = ready_since(slot);
        return now >= since + ms || since > now; /* in the future: another boot's clock */
}

bool rollout_proven(const struct view *view, const struct unit *unit, const struct slot *slot)
{
        return ready_for(view, slot, monitor_ms(unit));
}

bool rollout_begun(const struct unit *unit, const struct slot *slot)
{
        return slot->memory && slot->memory->failures &&
               streq(slot->memory->last_spec_hash, unit->hash);
}

static bool has_failed(const struct unit *unit, const struct slot *slot)
{
        if (slot->state == SLOT_UNHEALTHY)
                return true;
        return slot->state != SLOT_READY && slot->verdict != REPLICA_COMPLETED &&
               rollout_begun(unit, slot);
}

static bool too_many_failed(const struct unit *unit)
{
        size_t failed = 0;

        for (size_t i = 0; i < unit->slots_len; i++)
                failed += has_failed(unit, &unit->slots[i]) ? 1 : 0;
        return (double)failed > config_of(unit)->max_failure_ratio * (double)unit->slots_len;
}

static const struct slot *first_failed(const struct unit *unit)
{
        for (size_t i = 0; i < unit->slots_len; i++)
                if (has_failed(unit, &unit->slots[i]))
                        return &unit->slots[i];
        bug("no replica has failed");
}

static char *failure_text(const struct unit *unit)
{
        const struct slot *slot = first_failed(unit);
        const char *message;
        AUTO_FREE char *how = NULL;

        if (slot->state == SLOT_UNHEALTHY) {
                how = xstrdup("unhealthy");
                message = slot->vm->message;
        } else {
                how = exit_text(slot->memory->last_exit, slot->memory->last_exit_code);
                message = slot->memory->last_message;
        }
        return xasprintf("the update failed: replica %u: %s%s%s", slot->number, how,
                         message ? ": " : "", message ? message : "");
}

/* Only an update is undone: what fails after it was well once, is left to the restart policy. */
static bool wants_rollback(const struct unit *unit)
{
        const struct service_wish *wish = unit->wish;

        return config_of(unit)->failure_action == UPDATE_ROLLBACK && wish && wish->good &&
               !wish->undoing && !streq(wish->good, unit->hash) && too_many_failed(unit);
}

static void roll_back(struct unit *unit, struct plan *plan)
{
        struct step *step = array_push(&plan->steps, &plan->steps_len);

        step->kind = STEP_ROLLBACK;
        step->stack = xstrdup(unit->stack->name);
        step->service = xstrdup(unit->service->name);
        step->reason = failure_text(unit);
        unit->busy = true;
}

void rollout_retire(const struct view *view, struct unit *unit, struct plan *plan)
{
        for (size_t i = 0; i < unit->slots_len; i++) {
                const struct slot *slot = &unit->slots[i];

                if (!slot->outgoing || !rollout_proven(view, unit, slot))
                        continue;
                plan_add_vm(plan, STEP_VM_STOP, slot->outgoing,
                            xasprintf("%s, VM %s has taken over", unit_change_text(unit),
                                      slot->vm->id));
                unit->busy = true;
        }
}

static void replace(struct unit *unit, struct slot *slot, struct plan *plan)
{
        if (unit->surges)
                slot->surge = true;
        else
                plan_stop_slot(unit, slot, plan, xstrdup(unit_change_text(unit)));
}

/* What is under way already, and what goes at once because nothing is lost by it. */
static size_t go_on(const struct view *view, struct unit *unit, struct plan *plan)
{
        size_t under_way = 0;

        for (size_t i = 0; i < unit->slots_len; i++) {
                struct slot *slot = &unit->slots[i];

                if (slot->state != SLOT_OUTDATED) {
                        bool ready = slot->state == SLOT_READY;

                        under_way += slot_in_flight(slot) ||
                                     (ready && !ready_for(view, slot, batch_ms(unit)));
                } else if (!slot->serving || slot->verdict == REPLICA_COMPLETED) {
                        plan_stop_slot(unit, slot, plan, xstrdup(unit_change_text(unit)));
                        under_way++;
                } else if (unit->surges && rollout_begun(unit, slot) &&
                           slot->verdict == REPLICA_DUE) {
                        slot->surge = true;
                        under_way++;
                }
        }
        return under_way;
}

void rollout_replace(const struct view *view, struct unit *unit, struct plan *plan)
{
        const struct update_config *config = config_of(unit);
        bool all = config->parallelism == 0 || unit->net_changes;
        size_t limit = all ? unit->slots_len : config->parallelism, under_way;

        unit->halted = !unit->net_changes && config->failure_action != UPDATE_CONTINUE &&
                       too_many_failed(unit);
        if (wants_rollback(unit)) {
                roll_back(unit, plan);
                return;
        }
        under_way = go_on(view, unit, plan);
        for (size_t i = 0; i < unit->slots_len && !unit->halted; i++) {
                struct slot *slot = &unit->slots[i];

                if (slot->state != SLOT_OUTDATED || !slot->serving || slot->surge ||
                    (unit->surges && rollout_begun(unit, slot)))
                        continue;
                if (under_way++ < limit || unit->net_changes)
                        replace(unit, slot, plan);
        }
}

bool rollout_is_paused(const struct unit *unit)
{
        return unit->halted && !wants_rollback(unit);
}

bool rollout_is_update(const struct unit *unit)
{
        return unit->wish && !streq(unit->wish->good, unit->hash);
}

static bool has_outdated(const struct unit *unit)
{
        for (size_t i = 0; i < unit->slots_len; i++)
                if (unit->slots[i].state == SLOT_OUTDATED)
                        return true;
        return false;
}

int64_t rollout_wake_ms(const struct view *view, const struct unit *unit, const struct slot *slot)
{
        int64_t ms = batch_ms(unit);

        if (slot->state == SLOT_OUTDATED && unit->surges && rollout_begun(unit, slot) &&
            slot->verdict == REPLICA_BACKOFF)
                return slot->retry_at_ms;
        if (slot->state != SLOT_READY ||
            !(slot->outgoing || rollout_is_update(unit) || has_outdated(unit)))
                return 0;
        if (!ready_for(view, slot, monitor_ms(unit)))
                return ready_since(slot) + monitor_ms(unit);
        return ready_for(view, slot, ms) ? 0 : ready_since(slot) + ms;
}
