/* SPDX-License-Identifier: Apache-2.0 */
/* What each step must keep to, whatever has happened. */
#include <stdlib.h>

#include "base/mem.h"
#include "tests/scenario/converge.h"

char *sim_wanted_hash(struct sim *sim, const struct stack *stack, const struct service *service)
{
        return world_hash(&sim->world, stack->name, service->name);
}

static bool replica_is(struct sim *sim, const struct stack *stack, const struct service *on,
                       unsigned replica, enum depends_condition condition)
{
        const struct facts *facts = &sim->world.facts;
        const struct replica_fact *memory =
                world_memory(&sim->world, stack->name, on->name, replica);
        AUTO_FREE char *hash = sim_wanted_hash(sim, stack, on);
        bool remembered = streq(memory->last_spec_hash, hash);

        if (condition == DEPENDS_COMPLETED)
                return remembered && memory->completed;
        for (size_t i = 0; i < facts->vms_len; i++) {
                const struct vm_fact *vm = &facts->vms[i];

                if (streq(vm->stack, stack->name) && streq(vm->service, on->name) &&
                    vm->replica == replica && vm->state == VM_RUNNING &&
                    streq(vm->spec_hash, hash) &&
                    (condition == DEPENDS_STARTED || vm->health == HEALTH_HEALTHY ||
                     (vm->health == HEALTH_NONE && !on->has_healthcheck)))
                        return true;
        }
        return condition == DEPENDS_STARTED && remembered && memory->last_end_ms;
}

static void check_dependencies(struct sim *sim, const struct step *step, const struct stack *stack,
                               const struct service *service)
{
        for (size_t i = 0; i < service->depends_on_len; i++) {
                const struct depends *dep = &service->depends_on[i];
                const struct service *on = stack_find_service(stack, dep->service);

                if (on && dep->required && world_wish(&sim->world, stack->name, on->name)->stopped)
                        sim_broken(sim, "started though its dependency is stopped", step);
                for (unsigned r = 1; on && dep->required && r <= on->replicas; r++)
                        if (!replica_is(sim, stack, on, r, dep->condition))
                                sim_broken(sim, "started before its dependency", step);
        }
}

static void attach(struct sim *sim, const struct step *step, const struct service *service,
                   const char *vm)
{
        for (size_t i = 0; i < service->networks_len; i++) {
                const struct network_fact *network =
                        world_net(&sim->world, step->stack, service->networks[i].network);
                struct attached *a;

                if (!network->up || network->removing)
                        sim_broken(sim, "created without its network", step);
                a = array_push(&sim->attached, &sim->attached_len);
                a->vm = xstrdup(vm);
                a->stack = xstrdup(step->stack);
                a->network = xstrdup(service->networks[i].network);
        }
}

/*
 * At most one VM exists for a replica; with start-first there may be an old one that serves, and
 * nothing that both would hold.
 */
static void check_alone(struct sim *sim, const struct step *step, const struct stack *stack,
                        const struct service *service)
{
        const struct facts *facts = &sim->world.facts;
        AUTO_FREE char *hash = sim_wanted_hash(sim, stack, service);
        unsigned others = 0;

        for (size_t i = 0; i < facts->vms_len; i++) {
                const struct vm_fact *vm = &facts->vms[i];

                if (!streq(vm->stack, step->stack) || !streq(vm->service, step->service) ||
                    vm->replica != step->replica)
                        continue;
                others++;
                if (vm->state == VM_RUNNING && streq(vm->spec_hash, hash))
                        sim_broken(sim, "a second VM of one spec", step);
        }
        if (others == 0)
                return;
        sim->surges++;
        if (others > 1)
                sim_broken(sim, "a third VM", step);
        if (service->volumes_len)
                sim_broken(sim, "a volume attached twice", step);
        if (service->update.order != UPDATE_START_FIRST &&
            service->rollback.order != UPDATE_START_FIRST)
                sim_broken(sim, "a second VM", step);
}

static void check_create(struct sim *sim, const struct step *step)
{
        const struct stack *stack = world_find_stack(&sim->world, step->stack);
        const struct service *service = stack ? stack_find_service(stack, step->service) : NULL;
        AUTO_FREE char *next = xasprintf("vm-%u", sim->world.last_vm + 1);

        sim->created++;
        if (!service || step->replica < 1 || step->replica > service->replicas) {
                sim_broken(sim, "created though not wanted", step);
                return;
        }
        if (world_wish(&sim->world, step->stack, step->service)->stopped)
                sim_broken(sim, "created though stopped", step);
        check_alone(sim, step, stack, service);
        if (world_image(&sim->world, service->image)->state != IMAGE_READY)
                sim_broken(sim, "created without its image", step);
        check_dependencies(sim, step, stack, service);
        attach(sim, step, service, next);
}

/* The same VM runs the service again: nothing else may have changed. */
static void check_rerun(struct sim *sim, const struct step *step)
{
        const struct stack *stack = world_find_stack(&sim->world, step->stack);
        const struct service *service = stack ? stack_find_service(stack, step->service) : NULL;
        const struct vm_fact *vm = world_find_vm(&sim->world, step->vm_id);
        AUTO_FREE char *hash = service ? sim_wanted_hash(sim, stack, service) : NULL;

        sim->rerun++;
        if (!vm || vm->state != VM_EXITED || !vm->reusable || !streq(vm->spec_hash, hash))
                sim_broken(sim, "run again in a VM that cannot", step);
        else if (world_wish(&sim->world, step->stack, step->service)->stopped)
                sim_broken(sim, "run again though stopped", step);
        else
                check_dependencies(sim, step, stack, service);
}

static const struct stack *find_leaving(const struct sim *sim, const char *name)
{
        for (size_t i = 0; i < sim->world.leaving_len; i++)
                if (streq(sim->world.leaving[i]->name, name))
                        return sim->world.leaving[i];
        return NULL;
}

/* VMs of a stack that is gone stop after those of their dependants. */
static void check_stop(struct sim *sim, const struct step *step)
{
        const struct stack *stack = find_leaving(sim, step->stack);

        sim->stopped++;
        if (!stack || world_find_stack(&sim->world, step->stack) ||
            !stack_find_service(stack, step->service))
                return;
        for (size_t i = 0; i < stack->services_len; i++) {
                const struct service *by = &stack->services[i];

                for (size_t d = 0; d < by->depends_on_len; d++)
                        for (unsigned r = 1; r <= 3; r++)
                                if (streq(by->depends_on[d].service, step->service) &&
                                    world_replica_vm(&sim->world, stack->name, by->name, r))
                                        sim_broken(sim, "stopped before its dependant", step);
        }
}

static void check_network_remove(struct sim *sim, const struct step *step)
{
        for (size_t i = 0; i < sim->attached_len; i++) {
                const struct attached *a = &sim->attached[i];

                if (streq(a->stack, step->stack) && streq(a->network, step->network) &&
                    world_find_vm(&sim->world, a->vm))
                        sim_broken(sim, "a network taken from a VM", step);
        }
}

void sim_check_step(struct sim *sim, const struct step *step)
{
        switch (step->kind) {
        case STEP_VM_CREATE:
                check_create(sim, step);
                return;
        case STEP_VM_STOP:
                check_stop(sim, step);
                return;
        case STEP_VM_REMOVE:
                if (!world_find_vm(&sim->world, step->vm_id))
                        sim_broken(sim, "removed though gone", step);
                return;
        case STEP_NETWORK_REMOVE:
                check_network_remove(sim, step);
                return;
        case STEP_VM_RESTART:
                check_rerun(sim, step);
                return;
        case STEP_VM_END:
        case STEP_IMAGE_RESOLVE:
        case STEP_NETWORK_CREATE:
        case STEP_ROLLBACK:
        case STEP_STACK_DELETE:
                return;
        }
}

static bool same_step(const struct step *a, const struct step *b)
{
        return a->kind == b->kind && streq(a->stack, b->stack) && streq(a->service, b->service) &&
               streq(a->network, b->network) && streq(a->vm_id, b->vm_id) &&
               streq(a->image, b->image) && a->replica == b->replica;
}

void sim_check_not_again(struct sim *sim, const struct plan *begun)
{
        struct plan plan;

        world_plan(&sim->world, &plan);
        for (size_t i = 0; i < begun->steps_len; i++)
                for (size_t j = 0; j < plan.steps_len; j++)
                        if (same_step(&begun->steps[i], &plan.steps[j]))
                                sim_broken(sim, "planned again", &plan.steps[j]);
        plan_release(&plan);
}
