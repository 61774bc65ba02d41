/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/facts.h"

#include <assert.h>
#include <stdlib.h>

#include "base/auto.h"

static const char *const vm_state_names[] = {
        [VM_PREPARING] = "preparing", [VM_BOOTING] = "booting",   [VM_RUNNING] = "running",
        [VM_EXITED] = "exited",       [VM_STOPPING] = "stopping", [VM_FAILED] = "failed",
};
static_assert(ARRAY_SIZE(vm_state_names) == VM_FAILED + 1, "a name for each state");

static const char *const health_state_names[] = {
        [HEALTH_NONE] = "none",
        [HEALTH_STARTING] = "starting",
        [HEALTH_HEALTHY] = "healthy",
        [HEALTH_UNHEALTHY] = "unhealthy",
};
static_assert(ARRAY_SIZE(health_state_names) == HEALTH_UNHEALTHY + 1, "a name for each state");

static const char *const exit_reason_names[] = {
        [EXIT_NONE] = "none",          [EXIT_CODE] = "exit-code",
        [EXIT_SIGNAL] = "signal",      [EXIT_OOM] = "oom",
        [EXIT_START] = "start-failed", [EXIT_HEALTH] = "unhealthy",
        [EXIT_PANIC] = "panic",        [EXIT_VMM] = "vmm-died",
        [EXIT_BOOT] = "boot-failed",   [EXIT_PREPARE] = "prepare-failed",
        [EXIT_STOPPED] = "stopped",
};
static_assert(ARRAY_SIZE(exit_reason_names) == EXIT_STOPPED + 1, "a name for each reason");

const char *vm_state_name(enum vm_state state)
{
        assert(state < ARRAY_SIZE(vm_state_names));
        return vm_state_names[state];
}

const char *health_state_name(enum health_state state)
{
        assert(state < ARRAY_SIZE(health_state_names));
        return health_state_names[state];
}

const char *exit_reason_name(enum exit_reason reason)
{
        assert(reason < ARRAY_SIZE(exit_reason_names));
        return exit_reason_names[reason];
}

static void vm_fact_release(struct vm_fact *vm)
{
        free(vm->id);
        free(vm->stack);
        free(vm->service);
        free(vm->spec_hash);
        free(vm->message);
}

static void replica_fact_release(struct replica_fact *replica)
{
        free(replica->stack);
        free(replica->service);
        free(replica->last_message);
        free(replica->last_spec_hash);
}

static void network_fact_release(struct network_fact *network)
{
        free(network->stack);
        free(network->network);
        free(network->spec_hash);
        free(network->message);
}

static void image_fact_release(struct image_fact *image)
{
        free(image->ref);
        free(image->digest);
        free(image->message);
}

void facts_release(struct facts *facts)
{
        for (size_t i = 0; i < facts->vms_len; i++)
                vm_fact_release(&facts->vms[i]);
        for (size_t i = 0; i < facts->replicas_len; i++)
                replica_fact_release(&facts->replicas[i]);
        for (size_t i = 0; i < facts->networks_len; i++)
                network_fact_release(&facts->networks[i]);
        for (size_t i = 0; i < facts->images_len; i++)
                image_fact_release(&facts->images[i]);
        free(facts->vms);
        free(facts->replicas);
        free(facts->networks);
        free(facts->images);
        *facts = (struct facts){0};
}
