/* SPDX-License-Identifier: Apache-2.0 */
/* What happens by chance: manifests, edits and wishes, what drivers do, and what goes wrong. */
#include <stdlib.h>

#include "base/mem.h"
#include "tests/scenario/converge.h"

unsigned sim_roll(struct sim *sim, unsigned n)
{
        sim->state ^= sim->state << 13;
        sim->state ^= sim->state >> 7;
        sim->state ^= sim->state << 17;
        return (unsigned)(sim->state >> 33) % n;
}

bool sim_fault(struct sim *sim, unsigned n)
{
        return sim->faults && sim_roll(sim, n) == 0;
}

void sim_broken(struct sim *sim, const char *what, const struct step *step)
{
        if (sim->broken[0])
                return;
        (void)snprintf(sim->broken, sizeof(sim->broken), "%s: %s %s/%s/%u %s", what,
                       step_kind_name(step->kind), step->stack ? step->stack : step->image,
                       step->service ? step->service : step->network, step->replica,
                       step->vm_id ? step->vm_id : ""); /* cut is fine */
}

/* ---------------------------------------------------------------- random manifests */

bool sim_is_job(const char *service)
{
        return service[0] == 'j';
}

static char *random_dependency(struct sim *sim, unsigned i)
{
        static const char *const conditions[] = {"started", "healthy", "completed"};
        unsigned on = sim_roll(sim, i);
        bool job = on % 3 == 2;

        return xasprintf("depends=%c%u:%s%s%s", job ? 'j' : 's', on,
                         conditions[job ? 2 * sim_roll(sim, 2) : sim_roll(sim, 2)], sim_roll(sim, 8) ? "" : "?",
                         sim_roll(sim, 4) ? "" : "!");
}

/* Mostly as it is without: the rest makes sure that all ways to replace are taken. */
static char *random_update(struct sim *sim, const char *what)
{
        static const char *const actions[] = {"pause", "continue", "rollback"};

        return xasprintf("%s=order:%s,action:%s,parallelism:%u,monitor:%us,ratio:%s", what,
                         sim_roll(sim, 2) ? "start-first" : "stop-first", actions[sim_roll(sim, 3)],
                         sim_roll(sim, 3), sim_roll(sim, 3), sim_roll(sim, 3) ? "0" : "0.5");
}

static void random_service(struct sim *sim, struct stack *stack, unsigned i)
{
        static const char *const policies[] = {"no", "on-failure", "on-failure:3", "always"};
        bool job = i % 3 == 2;
        char *words[16];
        size_t len = 0;

        words[len++] = xasprintf("%c%u", job ? 'j' : 's', i);
        words[len++] = xasprintf("replicas=%u", sim_roll(sim, 6) ? 1 + sim_roll(sim, 3) : 0);
        words[len++] = xasprintf("image=i%u:1", sim_roll(sim, 4));
        words[len++] = xasprintf("env=V:%u", sim_roll(sim, 3));
        words[len++] = xasprintf("restart=%s", policies[sim_roll(sim, job ? 3 : 4)]);
        if (sim_roll(sim, 3))
                words[len++] = xasprintf("net=n%u", sim_roll(sim, 3));
        if (sim_roll(sim, 3) == 0)
                words[len++] = xasprintf("net=m%u", sim_roll(sim, 2));
        if (!job && sim_roll(sim, 2))
                words[len++] = xstrdup("health");
        if (sim_roll(sim, 2))
                words[len++] = random_update(sim, "update");
        if (sim_roll(sim, 4) == 0)
                words[len++] = random_update(sim, "rollback");
        if (sim_roll(sim, 5) == 0)
                words[len++] = xasprintf("volume=v%u", i);
        for (unsigned k = 0; i && k < 2; k++)
                if (sim_roll(sim, 2))
                        words[len++] = random_dependency(sim, i);
        (void)world_service(stack, words, len); /* the words are right by construction */
        for (size_t k = 0; k < len; k++)
                free(words[k]);
}

static void random_network(struct sim *sim, struct stack *stack, unsigned i)
{
        char name[] = {'n', (char)('0' + i), '\0'}, internal[] = "internal";
        char *words[] = {name, internal};

        world_network(stack, words, 1 + sim_roll(sim, 2));
}

void sim_edit(struct sim *sim)
{
        char name[] = {'a', '\0'};
        struct stack *stack;

        name[0] = (char)('a' + sim_roll(sim, 3));
        if (sim_roll(sim, 5) == 0) {
                world_drop(&sim->world, name, sim_roll(sim, 4) != 0);
                return;
        }
        stack = world_stack(&sim->world, name);
        for (unsigned i = 0; i < 3; i++)
                if (sim_roll(sim, 2))
                        random_network(sim, stack, i);
        for (unsigned i = 0, n = 1 + sim_roll(sim, 6); i < n; i++)
                random_service(sim, stack, i);
}

/* berth stop, start, restart, and the end of an undoing. */
static void random_wish(struct sim *sim)
{
        char stack[] = {(char)('a' + sim_roll(sim, 3)), '\0'};
        char service[] = {'s', (char)('0' + sim_roll(sim, 6)), '\0'};
        struct service_wish *wish = world_wish(&sim->world, stack, service);

        switch (sim_roll(sim, 8)) {
        case 0:
                wish->stopped = true;
                return;
        case 1:
                wish->stopped = false;
                return;
        case 2:
                wish->undoing = false;
                return;
        default:
                wish->generation++;
                return;
        }
}

/* The daemon has no room on disk, and then dies: what it knew of a replica is lost. */
static void lose_memory(struct sim *sim)
{
        struct facts *facts = &sim->world.facts;
        struct replica_fact *memory;

        if (facts->replicas_len == 0)
                return;
        memory = &facts->replicas[sim_roll(sim, (unsigned)facts->replicas_len)];
        free(memory->last_spec_hash);
        free(memory->last_message);
        *memory = (struct replica_fact){
                .stack = memory->stack, .service = memory->service, .replica = memory->replica};
}

/* ---------------------------------------------------------------- drivers */

static void fail_vm(struct sim *sim, struct vm_fact *vm)
{
        static const enum exit_reason running[] = {EXIT_CODE,  EXIT_SIGNAL, EXIT_OOM,
                                                   EXIT_PANIC, EXIT_VMM,    EXIT_CODE};

        static const enum exit_reason starting[] = {EXIT_PREPARE, EXIT_BOOT, EXIT_VMM, EXIT_START};
        enum exit_reason reason =
                vm->state == VM_RUNNING ? running[sim_roll(sim, 6)] : starting[sim_roll(sim, 4)];

        sim->failed++;
        world_vm_ends(&sim->world, vm,
                      reason == EXIT_CODE || reason == EXIT_SIGNAL ? VM_EXITED : VM_FAILED, reason,
                      reason == EXIT_CODE ? (int)sim_roll(sim, 3) : 137, sim_roll(sim, 2) ? "why" : NULL);
        vm->reusable = vm->state == VM_EXITED && sim_roll(sim, 2);
}

static void advance_running(struct sim *sim, struct vm_fact *vm)
{
        const struct stack *stack = world_find_stack(&sim->world, vm->stack);
        const struct service *service = stack ? stack_find_service(stack, vm->service) : NULL;

        if (sim_is_job(vm->service))
                world_vm_ends(&sim->world, vm, VM_EXITED, EXIT_CODE, 0, NULL);
        else if (sim_fault(sim, 4))
                vm->health = HEALTH_UNHEALTHY;
        else if ((service && service->has_healthcheck) || vm->health == HEALTH_UNHEALTHY)
                vm->health = HEALTH_HEALTHY;
}

static void advance_vm(struct sim *sim, struct vm_fact *vm)
{
        if (vm->state != VM_STOPPING && vm->state != VM_EXITED && vm->state != VM_FAILED &&
            sim_fault(sim, 12)) {
                fail_vm(sim, vm);
                return;
        }
        switch (vm->state) {
        case VM_PREPARING:
                vm->state = VM_BOOTING;
                vm->since_ms = sim->world.now_ms;
                return;
        case VM_BOOTING:
                world_vm_runs(&sim->world, vm);
                return;
        case VM_RUNNING:
                advance_running(sim, vm);
                return;
        case VM_STOPPING:
                world_vm_gone(&sim->world, vm);
                return;
        case VM_EXITED: /* its QEMU dies while it waits for the next run */
                vm->reusable = vm->reusable && !sim_fault(sim, 8);
                return;
        case VM_FAILED:
                return;
        }
}

static void advance_network(struct sim *sim, struct network_fact *network)
{
        if (network->removing) {
                world_net_gone(&sim->world, network);
        } else if (!network->up && !network->failed_ms) {
                network->up = !sim_fault(sim, 3);
                network->failed_ms = network->up ? 0 : sim->world.now_ms;
                network->failures = network->up ? 0 : network->failures + 1;
        }
}

static void advance_image(struct sim *sim, struct image_fact *image)
{
        if (image->state == IMAGE_BUSY)
                image->state = sim_fault(sim, 4) ? IMAGE_MISSING : IMAGE_READY;
        else if (image->state == IMAGE_MISSING || sim_fault(sim, 20))
                image->state = IMAGE_UNKNOWN;
}

/* A VM from nowhere: of an unknown stack, a second one, of an old spec. */
static void odd_vm(struct sim *sim)
{
        char stack[] = {(char)('a' + sim_roll(sim, 4)), '\0'};
        char service[] = {sim_roll(sim, 2) ? 's' : 'j', (char)('0' + sim_roll(sim, 6)), '\0'};

        (void)world_vm(&sim->world, stack, service, sim_roll(sim, 5), sim_roll(sim, 2) ? "old" : NULL);
}

void sim_event(struct sim *sim)
{
        struct facts *facts = &sim->world.facts;

        switch (sim_roll(sim, 8)) {
        case 0:
        case 1:
        case 2:
        case 3:
                if (facts->vms_len)
                        advance_vm(sim, &facts->vms[sim_roll(sim, (unsigned)facts->vms_len)]);
                return;
        case 4:
                if (facts->networks_len)
                        advance_network(sim,
                                        &facts->networks[sim_roll(sim, (unsigned)facts->networks_len)]);
                return;
        case 5:
                if (facts->images_len)
                        advance_image(sim, &facts->images[sim_roll(sim, (unsigned)facts->images_len)]);
                return;
        case 6:
                sim->world.now_ms += sim_roll(sim, 8) ? sim_roll(sim, 2000) : sim_roll(sim, 100000);
                return;
        case 7:
                if (sim_roll(sim, 20) == 0)
                        sim_edit(sim);
                else if (sim_roll(sim, 12) == 0)
                        odd_vm(sim);
                else if (sim_roll(sim, 3) == 0)
                        random_wish(sim);
                else if (sim_roll(sim, 30) == 0)
                        lose_memory(sim);
                return;
        default:
                return;
        }
}

void sim_advance(struct sim *sim)
{
        struct facts *facts = &sim->world.facts;

        for (size_t i = facts->vms_len; i-- > 0;)
                advance_vm(sim, &facts->vms[i]);
        for (size_t i = facts->networks_len; i-- > 0;)
                advance_network(sim, &facts->networks[i]);
        for (size_t i = 0; i < facts->images_len; i++)
                advance_image(sim, &facts->images[i]);
}
