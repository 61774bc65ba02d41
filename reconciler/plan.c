/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "reconciler/reconcile.h"

/* Far above STACK_SERVICES_MAX lines of the longest names. */
#define PLAN_TEXT_MAX (64u << 20)

static const char *const step_names[] = {
        [STEP_IMAGE_RESOLVE] = "image-resolve",
        [STEP_NETWORK_CREATE] = "network-create",
        [STEP_NETWORK_REMOVE] = "network-remove",
        [STEP_VM_CREATE] = "vm-create",
        [STEP_VM_RESTART] = "vm-restart",
        [STEP_VM_END] = "vm-end",
        [STEP_VM_STOP] = "vm-stop",
        [STEP_VM_REMOVE] = "vm-remove",
        [STEP_ROLLBACK] = "rollback",
        [STEP_STACK_DELETE] = "stack-delete",
};
static_assert(ARRAY_SIZE(step_names) == STEP_STACK_DELETE + 1, "a name for each kind");

static const char *const phase_names[] = {
        [PHASE_WAITING] = "waiting",     [PHASE_STARTING] = "starting",
        [PHASE_RUNNING] = "running",     [PHASE_HEALTHY] = "healthy",
        [PHASE_UNHEALTHY] = "unhealthy", [PHASE_COMPLETED] = "completed",
        [PHASE_BACKOFF] = "backoff",     [PHASE_FAILED] = "failed",
        [PHASE_STOPPING] = "stopping",   [PHASE_STOPPED] = "stopped",
};
static_assert(ARRAY_SIZE(phase_names) == PHASE_STOPPED + 1, "a name for each phase");

const char *step_kind_name(enum step_kind kind)
{
        assert(kind < ARRAY_SIZE(step_names));
        return step_names[kind];
}

const char *service_phase_name(enum service_phase phase)
{
        assert(phase < ARRAY_SIZE(phase_names));
        return phase_names[phase];
}

static void step_text(const struct step *step, struct strbuf *sb)
{
        strbuf_adds(sb, step_kind_name(step->kind));
        switch (step->kind) {
        case STEP_IMAGE_RESOLVE:
                strbuf_addf(sb, " %s", step->image);
                break;
        case STEP_NETWORK_CREATE:
        case STEP_NETWORK_REMOVE:
                strbuf_addf(sb, " %s/%s", step->stack, step->network);
                break;
        case STEP_ROLLBACK:
                strbuf_addf(sb, " %s/%s", step->stack, step->service);
                break;
        case STEP_STACK_DELETE:
                strbuf_addf(sb, " %s", step->stack);
                break;
        case STEP_VM_CREATE:
                strbuf_addf(sb, " %s/%s/%u", step->stack, step->service, step->replica);
                break;
        case STEP_VM_RESTART:
        case STEP_VM_END:
        case STEP_VM_STOP:
        case STEP_VM_REMOVE:
                strbuf_addf(sb, " %s/%s/%u %s", step->stack, step->service, step->replica,
                            step->vm_id);
                break;
        }
        if (step->reason)
                strbuf_addf(sb, ": %s", step->reason);
        strbuf_addc(sb, '\n');
}

char *plan_text(const struct plan *plan)
{
        AUTO_STRBUF struct strbuf sb = STRBUF_INIT(PLAN_TEXT_MAX);

        for (size_t i = 0; i < plan->steps_len; i++)
                step_text(&plan->steps[i], &sb);
        return strbuf_take(&sb);
}

static void step_release(struct step *step)
{
        free(step->stack);
        free(step->service);
        free(step->network);
        free(step->vm_id);
        free(step->image);
        free(step->reason);
}

void plan_release(struct plan *plan)
{
        for (size_t i = 0; i < plan->steps_len; i++)
                step_release(&plan->steps[i]);
        for (size_t i = 0; i < plan->services_len; i++) {
                free(plan->services[i].stack);
                free(plan->services[i].service);
                free(plan->services[i].why);
                free(plan->services[i].waits_for);
        }
        free(plan->steps);
        free(plan->services);
        *plan = (struct plan){0};
}
