/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/status.h"

#include "base/mem.h"
#include "reconciler/rollout.h"
#include "reconciler/slot.h"
#include "reconciler/steps.h"
#include "reconciler/why.h"

static void gate_close(struct gate *gate, const struct depends *dep, const struct unit *on,
                       bool in_vain, bool cycle)
{
        if (gate->closed_by && (gate->in_vain || !in_vain))
                return; /* the first is named, unless a later one will never open */
        *gate = (struct gate){dep, on, in_vain, cycle};
}

struct gate gate_check(const struct view *view, const struct unit *unit)
{
        const struct group *group = &view->groups[unit->group];
        const struct graph *graph = &group->graph;
        size_t self = (size_t)(unit - view->units) - group->units_begin;
        struct gate gate = {0};

        for (size_t i = 0; i < unit->service->depends_on_len; i++) {
                const struct depends *dep = &unit->service->depends_on[i];
                size_t at = graph_find(graph, group->stack, dep->service);
                const struct unit *on;

                if (at == GRAPH_NONE) {
                        if (dep->required)
                                gate_close(&gate, dep, NULL, true, false);
                        continue;
                }
                on = &view->units[group->units_begin + at];
                if (graph->cyclic[self] && graph->cyclic[at])
                        gate_close(&gate, dep, on, true, true);
                else if (!unit_satisfies(on, dep->condition) &&
                         (dep->required || !on->status.settled))
                        gate_close(&gate, dep, on, on->status.settled, false);
        }
        return gate;
}

/* What one slot means for its service. */
struct verdict {
        enum service_phase phase;
        bool settled, ok;
};

/* A replica whose run is due: what it needs. One that has its VM needs the gate only. */
static struct verdict judge_due(const struct unit *unit, const struct slot *slot,
                                const struct gate *gate)
{
        if (slot->state == SLOT_IDLE)
                return (struct verdict){gate->closed_by ? PHASE_WAITING : PHASE_STARTING,
                                        gate->closed_by && gate->in_vain, false};
        if (!unit->service->image || unit->lacks_net ||
            (unit->image && unit->image->state == IMAGE_MISSING))
                return (struct verdict){PHASE_FAILED, true, false};
        if (!unit_is_equipped(unit))
                return (struct verdict){PHASE_WAITING, false, false};
        if (gate->closed_by)
                return (struct verdict){PHASE_WAITING, gate->in_vain, false};
        return (struct verdict){PHASE_STARTING, false, false};
}

/* No VM counts for the slot: none there, going away, or ended. */
static struct verdict judge_vacant(const struct unit *unit, const struct slot *slot,
                                   const struct gate *gate)
{
        bool gone = slot->state == SLOT_VACANT || slot->state == SLOT_IDLE;
        struct verdict due;

        switch (slot->verdict) {
        case REPLICA_COMPLETED:
                return (struct verdict){PHASE_COMPLETED, gone, gone};
        case REPLICA_FAILED:
                return (struct verdict){PHASE_FAILED, gone, false};
        case REPLICA_BACKOFF:
                due = judge_due(unit, slot, gate);
                return due.phase == PHASE_FAILED ? due
                                                 : (struct verdict){PHASE_BACKOFF, false, false};
        case REPLICA_DUE:
                break;
        }
        if (!gone)
                return (struct verdict){PHASE_STARTING, false, false};
        return judge_due(unit, slot, gate);
}

/*
 * An outdated one that stays for now: it waits for its turn, or for what its successor needs. The
 * rest of its service decides whether that turn will come.
 */
static struct verdict judge_outdated(const struct unit *unit, const struct slot *slot,
                                     const struct gate *gate)
{
        if (slot->planned)
                return (struct verdict){PHASE_STARTING, false, false};
        if (unit->surges && rollout_begun(unit, slot) && slot->verdict == REPLICA_BACKOFF)
                return (struct verdict){PHASE_BACKOFF, false, false};
        if (unit->surges && rollout_begun(unit, slot) && slot->verdict == REPLICA_FAILED)
                return (struct verdict){PHASE_FAILED, true, false};
        if (!unit_is_equipped(unit))
                return judge_due(unit, slot, gate);
        if (unit->surges && gate->closed_by)
                return (struct verdict){PHASE_WAITING, gate->in_vain, false};
        return (struct verdict){PHASE_STARTING, unit->halted || (gate->closed_by && gate->in_vain),
                                false};
}

/* A port that could not be published is being tried again: soon it is known. */
static bool is_tried(const struct vm_fact *vm)
{
        return vm->degraded && vm->degraded_retry_ms == 0;
}

static struct verdict judge(const struct unit *unit, const struct slot *slot,
                            const struct gate *gate)
{
        switch (slot->state) {
        case SLOT_READY:
                return (struct verdict){slot->vm->health == HEALTH_HEALTHY ? PHASE_HEALTHY
                                                                           : PHASE_RUNNING,
                                        !unit->awaited && !slot->outgoing && !is_tried(slot->vm),
                                        !slot->vm->degraded};
        case SLOT_UNHEALTHY:
                return (struct verdict){PHASE_UNHEALTHY,
                                        unit->service->on_unhealthy == UNHEALTHY_NONE, false};
        case SLOT_ON_WAY:
        case SLOT_STARTING:
                return (struct verdict){PHASE_STARTING, false, false};
        case SLOT_OUTDATED:
                return judge_outdated(unit, slot, gate);
        case SLOT_VACANT:
        case SLOT_STOPPING:
        case SLOT_ENDED:
        case SLOT_IDLE:
                break;
        }
        return judge_vacant(unit, slot, gate);
}

/* Of several replicas, the one with the greatest weight speaks for the service. */
static int phase_weight(enum service_phase phase)
{
        switch (phase) {
        case PHASE_FAILED:
                return 8;
        case PHASE_UNHEALTHY:
                return 7;
        case PHASE_BACKOFF:
                return 6;
        case PHASE_WAITING:
                return 5;
        case PHASE_STARTING:
                return 4;
        case PHASE_STOPPING:
        case PHASE_STOPPED:
                return 3;
        case PHASE_RUNNING:
                return 2;
        case PHASE_HEALTHY:
                return 1;
        case PHASE_COMPLETED:
                break;
        }
        return 0;
}

static void note_cause(struct unit *unit, const struct gate *gate)
{
        if (unit->status.phase != PHASE_WAITING)
                return;
        if (unit->missing_net)
                unit->blocker = unit->missing_net->name;
        if (!unit->image || unit->image->state != IMAGE_READY)
                unit->blocker = unit->service->image;
        if (unit->blocker || !gate->closed_by)
                return;
        unit->blocker = gate->closed_by->service;
        unit->status.waits_for = xstrdup(unit->blocker);
        if (gate->in_vain && gate->on && !gate->cycle)
                unit->root_cause = gate->on->root_cause ? gate->on->root_cause : gate->on;
}

/* Those of a run with another spec, and of one that is ready again, are history. */
static void note_failures(const struct unit *unit, struct service_status *status,
                          const struct slot *slot)
{
        const struct replica_fact *memory = slot->memory;

        if (!memory || slot->state == SLOT_READY || !streq(memory->last_spec_hash, unit->hash))
                return;
        if (memory->failures > status->failures && slot->verdict != REPLICA_COMPLETED)
                status->failures = memory->failures;
}

/* Every replica is proven, or has completed, and nothing of another spec is left. */
static bool is_complete(const struct view *view, const struct unit *unit)
{
        if (unit->busy || unit->excess)
                return false;
        for (size_t i = 0; i < unit->slots_len; i++) {
                const struct slot *slot = &unit->slots[i];

                if (!rollout_proven(view, unit, slot) &&
                    !(slot->state == SLOT_VACANT && slot->verdict == REPLICA_COMPLETED))
                        return false;
        }
        return unit->slots_len > 0;
}

void status_make(const struct view *view, struct unit *unit, const struct gate *gate)
{
        struct service_status *status = &unit->status;
        const struct slot *speaker = NULL;
        bool settled = !unit->busy && !unit->excess, ok = true;
        int64_t retry_at = 0;

        status->stack = xstrdup(unit->stack->name);
        status->service = xstrdup(unit->service->name);
        status->phase = unit->slots_len ? PHASE_COMPLETED
                        : unit->excess  ? PHASE_STOPPING
                        : unit->stopped ? PHASE_STOPPED
                                        : PHASE_RUNNING;
        for (size_t i = 0; i < unit->slots_len; i++) {
                const struct slot *slot = &unit->slots[i];
                struct verdict verdict = judge(unit, slot, gate);

                settled = settled && verdict.settled;
                if (slot->state == SLOT_READY && rollout_is_update(unit))
                        settled = settled && rollout_proven(view, unit, slot);
                note_failures(unit, status, slot);
                ok = ok && verdict.ok;
                if (!speaker || phase_weight(verdict.phase) > phase_weight(status->phase)) {
                        speaker = slot;
                        status->phase = verdict.phase;
                }
                if (verdict.phase == PHASE_BACKOFF && (!retry_at || slot->retry_at_ms < retry_at))
                        retry_at = slot->retry_at_ms;
        }
        status->settled = settled;
        status->ok = settled && ok;
        status->complete = is_complete(view, unit);
        status->retry_at_ms = status->phase == PHASE_BACKOFF ? retry_at : 0;
        note_cause(unit, gate);
        status->why = why_text(view, unit, speaker, gate);
}
