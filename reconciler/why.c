/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/why.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/value.h"
#include "reconciler/rollout.h"
#include "reconciler/slot.h"
#include "reconciler/steps.h"

/* So many failures in a row are called a crash loop. */
#define CRASH_LOOP 3

/* "1.6s" below ten seconds, whole seconds above. ret: VALUE_DURATION_MAX bytes. */
static void span_text(int64_t ms, char *ret)
{
        if (ms < 0)
                ms = 0;
        if (ms < 10000 && ms % 1000 >= 100)
                (void)snprintf(ret, VALUE_DURATION_MAX, "%d.%ds", (int)(ms / 1000),
                               (int)(ms % 1000 / 100)); /* fits */
        else
                value_duration_text(ms - ms % 1000, ret);
}

/* text (freed), and ": cause" when there is one. */
static char *with_cause(char *text, const char *cause)
{
        char *both;

        if (!cause)
                return text;
        both = xasprintf("%s: %s", text, cause);
        free(text);
        return both;
}

static char *since_text(const struct view *view, const char *what, int64_t since_ms)
{
        char span[VALUE_DURATION_MAX];

        span_text(view->input->now_ms - since_ms, span);
        return xasprintf("%s since %s", what, span);
}

static char *running_text(const struct view *view, const struct slot *slot)
{
        AUTO_FREE char *running = since_text(view, "running", slot->vm->since_ms);

        return with_cause(xasprintf("%s, not healthy yet", running), slot->vm->message);
}

static char *end_text(const struct slot *slot)
{
        const struct replica_fact *memory = slot->memory;

        return with_cause(exit_text(memory->last_exit, memory->last_exit_code),
                          memory->last_message);
}

static char *backoff_text(const struct view *view, const struct slot *slot)
{
        AUTO_FREE char *end = end_text(slot);
        char span[VALUE_DURATION_MAX];

        span_text(slot->retry_at_ms - view->input->now_ms + 99, span); /* not before it is over */
        if (slot->memory->failures >= CRASH_LOOP)
                return xasprintf("crash loop, %u failures in a row: %s, next try in %s",
                                 slot->memory->failures, end, span);
        return xasprintf("%s, next try in %s", end, span);
}

static char *failed_text(const struct unit *unit, const struct slot *slot)
{
        unsigned max = unit->service->restart_max_attempts;
        AUTO_FREE char *end = end_text(slot);

        if (unit->service->restart != RESTART_ON_FAILURE || max == 0)
                return STEAL(end);
        return xasprintf("retry limit reached after %u restart%s: %s", max, max == 1 ? "" : "s",
                         end);
}

static char *image_text(const struct unit *unit)
{
        const char *ref = unit->service->image;

        if (!ref)
                return xstrdup("it has no image");
        if (!unit->image || unit->image->state != IMAGE_MISSING)
                return with_cause(xasprintf("waiting for image %s", ref),
                                  unit->image ? unit->image->message : NULL);
        return with_cause(xasprintf("image missing: %s", ref), unit->image->message);
}

static char *network_text(const struct view *view, const struct net *net)
{
        char span[VALUE_DURATION_MAX];

        if (net_is_in_backoff(view, net)) {
                span_text(net->retry_at_ms - view->input->now_ms + 99, span);
                return xasprintf("waiting for network %s%s%s, next try in %s", net->name,
                                 net->fact->message ? ": " : "",
                                 net->fact->message ? net->fact->message : "", span);
        }
        if (net->missing)
                return xasprintf("network %s is external and does not exist: make it with `berth "
                                 "network create %s`",
                                 net->shared, net->shared);
        if (net->state == NET_OUTDATED || net->state == NET_REMOVING)
                return xasprintf("waiting for network %s: it changed and is made anew", net->name);
        return with_cause(xasprintf("waiting for network %s", net->name),
                          net->fact ? net->fact->message : NULL);
}

/* How a dependency stands, in one step: chains are not written out, they can be long. */
static char *dependency_text(const struct view *view, const struct unit *on)
{
        const struct service_status *status = &on->status;

        if (on->root_cause)
                return with_cause(xasprintf("it waits for %s", on->root_cause->service->name),
                                  on->root_cause->status.why);
        if (status->phase == PHASE_WAITING && on->blocker)
                return xasprintf("it waits for %s", on->blocker);
        if (status->why)
                return xstrdup(status->why);
        if (on->slots_len && on->slots[0].vm && on->slots[0].vm->state == VM_RUNNING)
                return since_text(view, service_phase_name(status->phase),
                                  on->slots[0].vm->since_ms);
        return xstrdup(service_phase_name(status->phase));
}

static char *gate_text(const struct view *view, const struct gate *gate)
{
        AUTO_FREE char *how = NULL;

        if (!gate->on)
                how = xstrdup("it is not in the manifest");
        else if (gate->cycle)
                how = xstrdup("they depend on each other");
        else
                how = dependency_text(view, gate->on);
        return xasprintf("waiting for %s: %s", gate->closed_by->service, how);
}

/* What keeps a new VM from being made; NULL: nothing. */
static char *blocked_text(const struct view *view, const struct unit *unit, const struct gate *gate)
{
        if (!unit->image || unit->image->state != IMAGE_READY)
                return image_text(unit);
        if (unit->missing_net)
                return network_text(view, unit->missing_net);
        return gate->closed_by ? gate_text(view, gate) : NULL;
}

static char *due_text(const struct view *view, const struct unit *unit, const struct slot *slot,
                      const struct gate *gate)
{
        char *blocked;

        if (slot->state == SLOT_STOPPING)
                return xstrdup("its previous VM is stopping");
        if (slot->state == SLOT_IDLE)
                return gate->closed_by ? gate_text(view, gate) : xstrdup("starting");
        blocked = blocked_text(view, unit, gate);
        return blocked ? blocked : xstrdup("starting");
}

static char *vacant_text(const struct view *view, const struct unit *unit, const struct slot *slot,
                         const struct gate *gate)
{
        switch (slot->verdict) {
        case REPLICA_COMPLETED:
                return NULL;
        case REPLICA_FAILED:
                return failed_text(unit, slot);
        case REPLICA_BACKOFF:
                return unit->status.phase == PHASE_FAILED ? image_text(unit)
                                                          : backoff_text(view, slot);
        case REPLICA_DUE:
                break;
        }
        return due_text(view, unit, slot, gate);
}

static char *outdated_text(const struct view *view, const struct unit *unit,
                           const struct slot *slot, const struct gate *gate)
{
        AUTO_FREE char *blocked = NULL;

        if (slot->planned)
                return xasprintf("%s, being replaced", unit_change_text(unit));
        if (unit->outdated_net)
                return network_text(view, unit->outdated_net);
        if (unit->surges && rollout_begun(unit, slot) && slot->verdict != REPLICA_DUE) {
                AUTO_FREE char *end = slot->verdict == REPLICA_BACKOFF ? backoff_text(view, slot)
                                                                       : failed_text(unit, slot);

                return xasprintf("%s, the previous VM keeps serving", end);
        }
        if (unit->halted)
                return xasprintf("%s, the update is paused: too many replicas failed with it",
                                 unit_change_text(unit));
        blocked = blocked_text(view, unit, gate);
        if (!blocked)
                return xasprintf("%s, replaced after the other replicas", unit_change_text(unit));
        return xasprintf("%s, the previous one keeps running: %s", unit_change_text(unit), blocked);
}

static char *degraded_text(const struct view *view, const struct vm_fact *vm)
{
        char span[VALUE_DURATION_MAX];

        if (vm->degraded_retry_ms == 0)
                return xstrdup(vm->message);
        span_text(vm->degraded_retry_ms - view->input->now_ms + 99, span);
        return xasprintf("%s, next try in %s", vm->message ? vm->message : "degraded", span);
}

static char *ready_text(const struct view *view, const struct unit *unit, const struct slot *slot)
{
        const struct net *net = unit->kept_net;

        if (slot->planned)
                return xstrdup("its VM is being stopped");
        if (slot->outgoing)
                return xstrdup("the new VM serves, the previous one stops soon");
        if (slot->vm->degraded)
                return degraded_text(view, slot->vm);
        if (!net)
                return NULL;
        return xasprintf("network %s changed and stays as it was for now: service %s waits for "
                         "image %s",
                         net->name, net->kept_for->service->name, net->kept_for->service->image);
}

static char *slot_text(const struct view *view, const struct unit *unit, const struct slot *slot,
                       const struct gate *gate)
{
        switch (slot->state) {
        case SLOT_READY:
                return ready_text(view, unit, slot);
        case SLOT_UNHEALTHY:
                return with_cause(since_text(view, "unhealthy", slot->vm->health_since_ms),
                                  slot->vm->message);
        case SLOT_ON_WAY:
                return with_cause(
                        since_text(view, vm_state_name(slot->vm->state), slot->vm->since_ms),
                        slot->vm->message);
        case SLOT_STARTING:
                return running_text(view, slot);
        case SLOT_OUTDATED:
                return outdated_text(view, unit, slot, gate);
        case SLOT_VACANT:
        case SLOT_STOPPING:
        case SLOT_ENDED:
        case SLOT_IDLE:
                break;
        }
        return vacant_text(view, unit, slot, gate);
}

/* A paused update is the reason that the other replicas are as they are. text: taken. */
static char *with_pause(const struct unit *unit, const struct slot *slot, char *text)
{
        size_t old = 0;
        char *both;

        for (size_t i = 0; i < unit->slots_len; i++)
                old += unit->slots[i].state == SLOT_OUTDATED;
        if (!text || !rollout_is_paused(unit) || !old || slot->state == SLOT_OUTDATED)
                return text;
        both = xasprintf("%s, the update is paused: %zu of %zu replicas still ha%s the previous VM",
                         text, old, unit->slots_len, old == 1 ? "s" : "ve");
        free(text);
        return both;
}

char *why_text(const struct view *view, const struct unit *unit, const struct slot *slot,
               const struct gate *gate)
{
        AUTO_FREE char *text = NULL;

        if (!slot && unit->stopped)
                return xstrdup(unit->excess ? "stopped on request, its VMs are stopping"
                                            : "stopped on request");
        if (!slot)
                return xstrdup(unit->excess ? "scaled to 0, its VMs are stopping" : "scaled to 0");
        text = slot_text(view, unit, slot, gate);
        if (!text || unit->slots_len == 1 || unit->status.phase == PHASE_WAITING)
                return STEAL(text);
        return with_pause(unit, slot, xasprintf("replica %u: %s", slot->number, text));
}
