/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/slot.h"

#include <string.h>

#include "base/mem.h"

bool vm_is_alive(const struct vm_fact *vm)
{
        return vm->state == VM_PREPARING || vm->state == VM_BOOTING || vm->state == VM_RUNNING;
}

bool vm_is_ended(const struct vm_fact *vm)
{
        return vm->state == VM_EXITED || vm->state == VM_FAILED;
}

bool service_has_test(const struct service *service)
{
        const struct healthcheck *check = &service->healthcheck;

        if (service->has_healthcheck && check->disable)
                return false;
        if (service->probe.tcp || service->probe.http_port)
                return true;
        return service->has_healthcheck && check->test.len > 0 &&
               !streq(check->test.items[0], "NONE");
}

static enum slot_state running_state(const struct unit *unit, const struct vm_fact *vm);

/* Which of several VMs of one replica is kept: the greatest. */
static int vm_rank(const struct unit *unit, const struct vm_fact *vm)
{
        int rank = 0;

        switch (vm->state) {
        case VM_FAILED:
        case VM_EXITED:
                return 0;
        case VM_STOPPING:
                return 1;
        case VM_PREPARING:
                rank = 2;
                break;
        case VM_BOOTING:
                rank = 3;
                break;
        case VM_RUNNING:
                rank = running_state(unit, vm) == SLOT_READY ? 5 : 4;
                break;
        }
        return streq(vm->spec_hash, unit->hash) ? rank + 4 : rank;
}

static const struct vm_fact *better_vm(const struct unit *unit, const struct vm_fact *a,
                                       const struct vm_fact *b)
{
        int rank_a, rank_b;

        if (!a)
                return b;
        rank_a = vm_rank(unit, a);
        rank_b = vm_rank(unit, b);
        if (rank_a != rank_b)
                return rank_a > rank_b ? a : b;
        return b->since_ms > a->since_ms ? b : a;
}

static enum slot_state running_state(const struct unit *unit, const struct vm_fact *vm)
{
        switch (vm->health) {
        case HEALTH_NONE: /* its first probe may not have been noted yet */
                return service_has_test(unit->service) ? SLOT_STARTING : SLOT_READY;
        case HEALTH_STARTING:
                return SLOT_STARTING;
        case HEALTH_HEALTHY:
                return SLOT_READY;
        case HEALTH_UNHEALTHY:
                return SLOT_UNHEALTHY;
        }
        bug("a health state without a meaning");
}

static void slot_classify(const struct unit *unit, struct slot *slot)
{
        const struct vm_fact *vm = slot->vm;

        if (!vm)
                slot->state = SLOT_VACANT;
        else if (vm->state == VM_STOPPING)
                slot->state = SLOT_STOPPING;
        else if (vm_is_ended(vm))
                slot->state = SLOT_ENDED;
        else if (vm->state == VM_RUNNING)
                slot->state = running_state(unit, vm);
        else
                slot->state = SLOT_ON_WAY;
        if (vm && vm_is_alive(vm) && !streq(vm->spec_hash, unit->hash)) {
                slot->serving = slot->state == SLOT_READY;
                slot->state = SLOT_OUTDATED;
        }
}

/* First replica fact of the unit, or the number of all. */
static size_t find_memories(const struct view *view, const struct unit *unit)
{
        size_t low = 0, high = view->input->facts->replicas_len;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                const struct replica_fact *r = view->replicas[mid];
                int c = strcmp(r->stack ? r->stack : "", unit->stack->name);

                if (c == 0)
                        c = strcmp(r->service ? r->service : "", unit->service->name);
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static void join_memories(const struct view *view, struct unit *unit)
{
        size_t len = view->input->facts->replicas_len;

        for (size_t i = find_memories(view, unit); i < len; i++) {
                const struct replica_fact *r = view->replicas[i];

                if (!streq(r->stack, unit->stack->name) || !streq(r->service, unit->service->name))
                        break;
                if (r->replica >= 1 && r->replica <= unit->slots_len)
                        unit->slots[r->replica - 1].memory = r;
        }
}

static bool vm_is_ready(const struct unit *unit, const struct vm_fact *vm)
{
        return vm->state == VM_RUNNING && running_state(unit, vm) == SLOT_READY;
}

/*
 * What goes on serving while its successor of the wanted spec is on its way, and drains when that
 * serves. One that is not ready has nothing to give a ready one.
 */
static void find_outgoing(const struct view *view, struct unit *unit)
{
        for (size_t k = unit->vms_begin; k < unit->vms_end; k++) {
                const struct vm_fact *vm = view->vms[k];
                struct slot *slot;

                if (vm->replica < 1 || vm->replica > unit->slots_len || vm->state != VM_RUNNING)
                        continue;
                slot = &unit->slots[vm->replica - 1];
                if (!streq(vm->spec_hash, unit->hash) && streq(slot->vm->spec_hash, unit->hash) &&
                    vm_is_alive(slot->vm) &&
                    (vm_is_ready(unit, vm) || !vm_is_ready(unit, slot->vm)))
                        slot->outgoing = better_vm(unit, slot->outgoing, vm);
        }
}

/* The file system of the last run stays, as with a container that is restarted. */
static bool can_run_again(const struct unit *unit, const struct slot *slot)
{
        const struct vm_fact *vm = slot->vm;

        return vm->state == VM_EXITED && vm->reusable && streq(vm->spec_hash, unit->hash) &&
               (slot->verdict == REPLICA_DUE || slot->verdict == REPLICA_BACKOFF) &&
               !unit->missing_net && !unit->net_changes;
}

void slots_fill(const struct view *view, struct unit *unit)
{
        for (size_t i = 0; i < unit->slots_len; i++)
                unit->slots[i].number = (unsigned)i + 1;
        for (size_t k = unit->vms_begin; k < unit->vms_end; k++) {
                const struct vm_fact *vm = view->vms[k];
                struct slot *slot;

                if (vm->replica < 1 || vm->replica > unit->slots_len) {
                        unit->excess = true;
                        continue;
                }
                slot = &unit->slots[vm->replica - 1];
                if (slot->vms_len++)
                        unit->excess = true;
                slot->vm = better_vm(unit, slot->vm, vm);
        }
        if (unit->surges && unit->excess)
                find_outgoing(view, unit);
        join_memories(view, unit);
        for (size_t i = 0; i < unit->slots_len; i++) {
                struct slot *slot = &unit->slots[i];

                slot_classify(unit, slot);
                slot->verdict =
                        replica_judge(slot->memory, unit->service, unit->hash, view->input->now_ms,
                                      view->input->seed, &slot->retry_at_ms);
                if (slot->state == SLOT_ENDED && can_run_again(unit, slot))
                        slot->state = SLOT_IDLE;
        }
}

bool slot_wants_vm(const struct slot *slot)
{
        switch (slot->state) {
        case SLOT_VACANT:
        case SLOT_STOPPING:
        case SLOT_ENDED:
                return slot->verdict == REPLICA_DUE || slot->verdict == REPLICA_BACKOFF;
        case SLOT_OUTDATED:
                return true;
        case SLOT_ON_WAY:
        case SLOT_STARTING:
        case SLOT_READY:
        case SLOT_UNHEALTHY:
        case SLOT_IDLE:
                break;
        }
        return false;
}

bool slot_in_flight(const struct slot *slot)
{
        switch (slot->state) {
        case SLOT_ON_WAY:
        case SLOT_STARTING:
                return true;
        case SLOT_VACANT:
        case SLOT_STOPPING:
        case SLOT_ENDED:
        case SLOT_IDLE:
                return slot->verdict == REPLICA_DUE;
        case SLOT_OUTDATED:
        case SLOT_READY:
        case SLOT_UNHEALTHY:
                break;
        }
        return false;
}

/* A run of the wanted spec that ended by itself: it was started, whatever became of it. */
static bool ran_to_end(const struct slot *slot)
{
        switch (slot->verdict) {
        case REPLICA_COMPLETED:
                return true;
        case REPLICA_FAILED:
                return slot->memory->last_exit != EXIT_START;
        case REPLICA_DUE:
        case REPLICA_BACKOFF:
                break;
        }
        return false;
}

static bool slot_satisfies(const struct unit *unit, const struct slot *slot,
                           enum depends_condition condition)
{
        if (slot->planned && slot->vm && vm_is_alive(slot->vm) && condition != DEPENDS_COMPLETED)
                return false; /* it is being stopped */
        switch (condition) {
        case DEPENDS_STARTED:
                return slot->state == SLOT_READY || slot->state == SLOT_STARTING ||
                       slot->state == SLOT_UNHEALTHY ||
                       (slot->state != SLOT_OUTDATED && slot->state != SLOT_ON_WAY &&
                        ran_to_end(slot));
        case DEPENDS_HEALTHY:
                return slot->state == SLOT_READY;
        case DEPENDS_COMPLETED:
                return slot->memory && slot->memory->completed &&
                       streq(slot->memory->last_spec_hash, unit->hash);
        }
        bug("a condition without a meaning");
}

const char *unit_change_text(const struct unit *unit)
{
        return unit->wish && unit->wish->cause ? unit->wish->cause : "configuration changed";
}

bool unit_satisfies(const struct unit *unit, enum depends_condition condition)
{
        if (unit->stopped)
                return false;
        for (size_t i = 0; i < unit->slots_len; i++)
                if (!slot_satisfies(unit, &unit->slots[i], condition))
                        return false;
        return true;
}
