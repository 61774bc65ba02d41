/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reconciler against simulated drivers: random stacks, edits and faults from a seed. At every
 * step of every plan the promises are checked; when faults stop, everything has to become as
 * wanted within a bounded number of turns. One seed is one run; seeds may be given as arguments.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "tests/scenario/world.h"
#include "tests/tap.h"

#if defined(__SANITIZE_ADDRESS__)
#        define RUNS 200
#else
#        define RUNS 2000
#endif
#define STEPS        300 /* of each run */
#define SETTLE_TURNS 600 /* far more than the longest chain of stops, back-offs and starts */

/* Networks that a VM is attached to, kept beside the facts: the reconciler does not know it. */
struct attached {
        char *vm, *stack, *network;
};

struct sim {
        struct world world;
        uint64_t state;
        bool faults;
        struct attached *attached;
        size_t attached_len;
        unsigned created, rerun, stopped, failed, surges, undone, steps; /* for the summary */
        char broken[256]; /* the first broken promise */
};

static unsigned roll(struct sim *sim, unsigned n)
{
        sim->state ^= sim->state << 13;
        sim->state ^= sim->state >> 7;
        sim->state ^= sim->state << 17;
        return (unsigned)(sim->state >> 33) % n;
}

/* True once in n times, and never when faults are off. */
static bool fault(struct sim *sim, unsigned n)
{
        return sim->faults && roll(sim, n) == 0;
}

static void broken(struct sim *sim, const char *what, const struct step *step)
{
        if (sim->broken[0])
                return;
        (void)snprintf(sim->broken, sizeof(sim->broken), "%s: %s %s/%s/%u %s", what,
                       step_kind_name(step->kind), step->stack ? step->stack : step->image,
                       step->service ? step->service : step->network, step->replica,
                       step->vm_id ? step->vm_id : ""); /* cut is fine */
}

/* ---------------------------------------------------------------- random manifests */

/* Services are called j0, j1.. (jobs that end) and s0, s1.. (that do not). */
static bool is_job(const char *service)
{
        return service[0] == 'j';
}

static char *random_dependency(struct sim *sim, unsigned i)
{
        static const char *const conditions[] = {"started", "healthy", "completed"};
        unsigned on = roll(sim, i);
        bool job = on % 3 == 2;

        return xasprintf("depends=%c%u:%s%s%s", job ? 'j' : 's', on,
                         conditions[job ? 2 * roll(sim, 2) : roll(sim, 2)], roll(sim, 8) ? "" : "?",
                         roll(sim, 4) ? "" : "!");
}

/* Mostly as it is without: the rest makes sure that all ways to replace are taken. */
static char *random_update(struct sim *sim, const char *what)
{
        static const char *const actions[] = {"pause", "continue", "rollback"};

        return xasprintf("%s=order:%s,action:%s,parallelism:%u,monitor:%us,ratio:%s", what,
                         roll(sim, 2) ? "start-first" : "stop-first", actions[roll(sim, 3)],
                         roll(sim, 3), roll(sim, 3), roll(sim, 3) ? "0" : "0.5");
}

static void random_service(struct sim *sim, struct stack *stack, unsigned i)
{
        static const char *const policies[] = {"no", "on-failure", "on-failure:3", "always"};
        bool job = i % 3 == 2;
        char *words[16];
        size_t len = 0;

        words[len++] = xasprintf("%c%u", job ? 'j' : 's', i);
        words[len++] = xasprintf("replicas=%u", roll(sim, 6) ? 1 + roll(sim, 3) : 0);
        words[len++] = xasprintf("image=i%u:1", roll(sim, 4));
        words[len++] = xasprintf("env=V:%u", roll(sim, 3));
        words[len++] = xasprintf("restart=%s", policies[roll(sim, job ? 3 : 4)]);
        if (roll(sim, 3))
                words[len++] = xasprintf("net=n%u", roll(sim, 3));
        if (roll(sim, 3) == 0)
                words[len++] = xasprintf("net=m%u", roll(sim, 2));
        if (!job && roll(sim, 2))
                words[len++] = xstrdup("health");
        if (roll(sim, 2))
                words[len++] = random_update(sim, "update");
        if (roll(sim, 4) == 0)
                words[len++] = random_update(sim, "rollback");
        if (roll(sim, 5) == 0)
                words[len++] = xasprintf("volume=v%u", i);
        for (unsigned k = 0; i && k < 2; k++)
                if (roll(sim, 2))
                        words[len++] = random_dependency(sim, i);
        (void)world_service(stack, words, len); /* the words are right by construction */
        for (size_t k = 0; k < len; k++)
                free(words[k]);
}

static void random_network(struct sim *sim, struct stack *stack, unsigned i)
{
        char name[] = {'n', (char)('0' + i), '\0'}, internal[] = "internal";
        char *words[] = {name, internal};

        world_network(stack, words, 1 + roll(sim, 2));
}

static void random_edit(struct sim *sim)
{
        char name[] = {'a', '\0'};
        struct stack *stack;

        name[0] = (char)('a' + roll(sim, 3));
        if (roll(sim, 5) == 0) {
                world_drop(&sim->world, name, roll(sim, 4) != 0);
                return;
        }
        stack = world_stack(&sim->world, name);
        for (unsigned i = 0; i < 3; i++)
                if (roll(sim, 2))
                        random_network(sim, stack, i);
        for (unsigned i = 0, n = 1 + roll(sim, 6); i < n; i++)
                random_service(sim, stack, i);
}

/* berth stop, start, restart, and the end of an undoing. */
static void random_wish(struct sim *sim)
{
        char stack[] = {(char)('a' + roll(sim, 3)), '\0'};
        char service[] = {'s', (char)('0' + roll(sim, 6)), '\0'};
        struct service_wish *wish = world_wish(&sim->world, stack, service);

        switch (roll(sim, 8)) {
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
        memory = &facts->replicas[roll(sim, (unsigned)facts->replicas_len)];
        free(memory->last_spec_hash);
        free(memory->last_message);
        *memory = (struct replica_fact){
                .stack = memory->stack, .service = memory->service, .replica = memory->replica};
}

/* ---------------------------------------------------------------- promises */

static char *wanted_hash(struct sim *sim, const struct stack *stack, const struct service *service)
{
        return world_hash(&sim->world, stack->name, service->name);
}

static bool replica_is(struct sim *sim, const struct stack *stack, const struct service *on,
                       unsigned replica, enum depends_condition condition)
{
        const struct facts *facts = &sim->world.facts;
        const struct replica_fact *memory =
                world_memory(&sim->world, stack->name, on->name, replica);
        AUTO_FREE char *hash = wanted_hash(sim, stack, on);
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
                        broken(sim, "started though its dependency is stopped", step);
                for (unsigned r = 1; on && dep->required && r <= on->replicas; r++)
                        if (!replica_is(sim, stack, on, r, dep->condition))
                                broken(sim, "started before its dependency", step);
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
                        broken(sim, "created without its network", step);
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
        AUTO_FREE char *hash = wanted_hash(sim, stack, service);
        unsigned others = 0;

        for (size_t i = 0; i < facts->vms_len; i++) {
                const struct vm_fact *vm = &facts->vms[i];

                if (!streq(vm->stack, step->stack) || !streq(vm->service, step->service) ||
                    vm->replica != step->replica)
                        continue;
                others++;
                if (vm->state == VM_RUNNING && streq(vm->spec_hash, hash))
                        broken(sim, "a second VM of one spec", step);
        }
        if (others == 0)
                return;
        sim->surges++;
        if (others > 1)
                broken(sim, "a third VM", step);
        if (service->volumes_len)
                broken(sim, "a volume attached twice", step);
        if (service->update.order != UPDATE_START_FIRST &&
            service->rollback.order != UPDATE_START_FIRST)
                broken(sim, "a second VM", step);
}

static void check_create(struct sim *sim, const struct step *step)
{
        const struct stack *stack = world_find_stack(&sim->world, step->stack);
        const struct service *service = stack ? stack_find_service(stack, step->service) : NULL;
        AUTO_FREE char *next = xasprintf("vm-%u", sim->world.last_vm + 1);

        sim->created++;
        if (!service || step->replica < 1 || step->replica > service->replicas) {
                broken(sim, "created though not wanted", step);
                return;
        }
        if (world_wish(&sim->world, step->stack, step->service)->stopped)
                broken(sim, "created though stopped", step);
        check_alone(sim, step, stack, service);
        if (world_image(&sim->world, service->image)->state != IMAGE_READY)
                broken(sim, "created without its image", step);
        check_dependencies(sim, step, stack, service);
        attach(sim, step, service, next);
}

/* The same VM runs the service again: nothing else may have changed. */
static void check_rerun(struct sim *sim, const struct step *step)
{
        const struct stack *stack = world_find_stack(&sim->world, step->stack);
        const struct service *service = stack ? stack_find_service(stack, step->service) : NULL;
        const struct vm_fact *vm = world_find_vm(&sim->world, step->vm_id);
        AUTO_FREE char *hash = service ? wanted_hash(sim, stack, service) : NULL;

        sim->rerun++;
        if (!vm || vm->state != VM_EXITED || !vm->reusable || !streq(vm->spec_hash, hash))
                broken(sim, "run again in a VM that cannot", step);
        else if (world_wish(&sim->world, step->stack, step->service)->stopped)
                broken(sim, "run again though stopped", step);
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
                                        broken(sim, "stopped before its dependant", step);
        }
}

static void check_network_remove(struct sim *sim, const struct step *step)
{
        for (size_t i = 0; i < sim->attached_len; i++) {
                const struct attached *a = &sim->attached[i];

                if (streq(a->stack, step->stack) && streq(a->network, step->network) &&
                    world_find_vm(&sim->world, a->vm))
                        broken(sim, "a network taken from a VM", step);
        }
}

static void check_step(struct sim *sim, const struct step *step)
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
                        broken(sim, "removed though gone", step);
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

/* What has begun is seen in the facts: it must not be planned again. */
static void check_not_again(struct sim *sim, const struct plan *begun)
{
        struct plan plan;

        world_plan(&sim->world, &plan);
        for (size_t i = 0; i < begun->steps_len; i++)
                for (size_t j = 0; j < plan.steps_len; j++)
                        if (same_step(&begun->steps[i], &plan.steps[j]))
                                broken(sim, "planned again", &plan.steps[j]);
        plan_release(&plan);
}

/* ---------------------------------------------------------------- drivers */

/* What the executor does with a rollback and with what is well: all in the wishes. */
static void note_good(struct sim *sim, const struct plan *plan)
{
        for (size_t i = 0; i < plan->services_len; i++) {
                const struct service_status *status = &plan->services[i];
                struct service_wish *wish;
                char *hash;

                if (!status->complete)
                        continue;
                hash = world_hash(&sim->world, status->stack, status->service);
                wish = world_wish(&sim->world, status->stack, status->service);
                free(wish->good);
                wish->good = hash;
        }
}

/* The spec that was good: one that differs from the present one is all that counts here. */
static void undo(struct sim *sim, const struct step *step)
{
        struct service_wish *wish = world_wish(&sim->world, step->stack, step->service);

        if (wish->undoing || !wish->good)
                broken(sim, "rolled back twice", step);
        sim->undone++;
        wish->undoing = true;
        wish->generation++;
}

static size_t sim_turn(struct sim *sim)
{
        struct plan plan;
        size_t len;

        world_plan(&sim->world, &plan);
        len = plan.steps_len;
        if (fault(sim, 10)) /* the daemon dies among the steps */
                len = roll(sim, (unsigned)len + 1);
        for (size_t i = 0; i < len; i++) {
                check_step(sim, &plan.steps[i]);
                if (plan.steps[i].kind == STEP_ROLLBACK)
                        undo(sim, &plan.steps[i]);
                world_begin(&sim->world, &plan.steps[i]);
                sim->steps++;
        }
        note_good(sim, &plan);
        if (len == plan.steps_len)
                check_not_again(sim, &plan);
        if (!sim->faults && len == 0 && plan.wake_at_ms > sim->world.now_ms)
                sim->world.now_ms = plan.wake_at_ms;
        plan_release(&plan);
        return len;
}

static void fail_vm(struct sim *sim, struct vm_fact *vm)
{
        static const enum exit_reason running[] = {EXIT_CODE,  EXIT_SIGNAL, EXIT_OOM,
                                                   EXIT_PANIC, EXIT_VMM,    EXIT_CODE};

        static const enum exit_reason starting[] = {EXIT_PREPARE, EXIT_BOOT, EXIT_VMM, EXIT_START};
        enum exit_reason reason =
                vm->state == VM_RUNNING ? running[roll(sim, 6)] : starting[roll(sim, 4)];

        sim->failed++;
        world_vm_ends(&sim->world, vm,
                      reason == EXIT_CODE || reason == EXIT_SIGNAL ? VM_EXITED : VM_FAILED, reason,
                      reason == EXIT_CODE ? (int)roll(sim, 3) : 137, roll(sim, 2) ? "why" : NULL);
        vm->reusable = vm->state == VM_EXITED && roll(sim, 2);
}

static void advance_running(struct sim *sim, struct vm_fact *vm)
{
        const struct stack *stack = world_find_stack(&sim->world, vm->stack);
        const struct service *service = stack ? stack_find_service(stack, vm->service) : NULL;

        if (is_job(vm->service))
                world_vm_ends(&sim->world, vm, VM_EXITED, EXIT_CODE, 0, NULL);
        else if (fault(sim, 4))
                vm->health = HEALTH_UNHEALTHY;
        else if ((service && service->has_healthcheck) || vm->health == HEALTH_UNHEALTHY)
                vm->health = HEALTH_HEALTHY;
}

static void advance_vm(struct sim *sim, struct vm_fact *vm)
{
        if (vm->state != VM_STOPPING && vm->state != VM_EXITED && vm->state != VM_FAILED &&
            fault(sim, 12)) {
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
                vm->reusable = vm->reusable && !fault(sim, 8);
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
                network->up = !fault(sim, 3);
                network->failed_ms = network->up ? 0 : sim->world.now_ms;
                network->failures = network->up ? 0 : network->failures + 1;
        }
}

static void advance_image(struct sim *sim, struct image_fact *image)
{
        if (image->state == IMAGE_BUSY)
                image->state = fault(sim, 4) ? IMAGE_MISSING : IMAGE_READY;
        else if (image->state == IMAGE_MISSING || fault(sim, 20))
                image->state = IMAGE_UNKNOWN;
}

/* A VM from nowhere: of an unknown stack, a second one, of an old spec. */
static void odd_vm(struct sim *sim)
{
        char stack[] = {(char)('a' + roll(sim, 4)), '\0'};
        char service[] = {roll(sim, 2) ? 's' : 'j', (char)('0' + roll(sim, 6)), '\0'};

        (void)world_vm(&sim->world, stack, service, roll(sim, 5), roll(sim, 2) ? "old" : NULL);
}

static void random_event(struct sim *sim)
{
        struct facts *facts = &sim->world.facts;

        switch (roll(sim, 8)) {
        case 0:
        case 1:
        case 2:
        case 3:
                if (facts->vms_len)
                        advance_vm(sim, &facts->vms[roll(sim, (unsigned)facts->vms_len)]);
                return;
        case 4:
                if (facts->networks_len)
                        advance_network(sim,
                                        &facts->networks[roll(sim, (unsigned)facts->networks_len)]);
                return;
        case 5:
                if (facts->images_len)
                        advance_image(sim, &facts->images[roll(sim, (unsigned)facts->images_len)]);
                return;
        case 6:
                sim->world.now_ms += roll(sim, 8) ? roll(sim, 2000) : roll(sim, 100000);
                return;
        case 7:
                if (roll(sim, 20) == 0)
                        random_edit(sim);
                else if (roll(sim, 12) == 0)
                        odd_vm(sim);
                else if (roll(sim, 3) == 0)
                        random_wish(sim);
                else if (roll(sim, 30) == 0)
                        lose_memory(sim);
                return;
        default:
                return;
        }
}

/* ---------------------------------------------------------------- convergence */

static void advance_all(struct sim *sim)
{
        struct facts *facts = &sim->world.facts;

        for (size_t i = facts->vms_len; i-- > 0;)
                advance_vm(sim, &facts->vms[i]);
        for (size_t i = facts->networks_len; i-- > 0;)
                advance_network(sim, &facts->networks[i]);
        for (size_t i = 0; i < facts->images_len; i++)
                advance_image(sim, &facts->images[i]);
}

static bool plan_is_settled(struct sim *sim, bool complain)
{
        struct plan plan;
        bool settled;

        world_plan(&sim->world, &plan);
        settled = plan.steps_len == 0;
        for (size_t i = 0; i < plan.services_len; i++) {
                const struct service_status *status = &plan.services[i];

                settled = settled && status->settled;
                if (complain && !status->settled)
                        printf("# %s/%s %s: %s\n", status->stack, status->service,
                               service_phase_name(status->phase), status->why);
                if (status->settled && !status->ok && status->phase != PHASE_FAILED &&
                    status->phase != PHASE_WAITING)
                        settled = false;
        }
        plan_release(&plan);
        return settled;
}

/*
 * The update is paused because a replica failed for good with the present spec, or (start-first)
 * because what the successors depend on has: the old VMs go on.
 */
static bool has_given_up(struct sim *sim, const struct stack *stack, const struct service *service)
{
        AUTO_FREE char *hash = wanted_hash(sim, stack, service);
        bool waits = false;
        struct plan plan;

        world_plan(&sim->world, &plan);
        for (size_t i = 0; i < plan.services_len; i++)
                waits = waits ||
                        (plan.services[i].phase == PHASE_WAITING && plan.services[i].settled &&
                         streq(plan.services[i].stack, stack->name) &&
                         streq(plan.services[i].service, service->name));
        plan_release(&plan);
        if (waits) /* for good: an old VM stays as long as its successor cannot come */
                return true;

        for (unsigned r = 1; r <= service->replicas; r++) {
                const struct replica_fact *memory =
                        world_memory(&sim->world, stack->name, service->name, r);

                if (memory->failures && streq(memory->last_spec_hash, hash))
                        return true;
        }
        return false;
}

/* Every VM is wanted, runs, and has the present spec; there is no network without a user. */
static bool world_is_as_wanted(struct sim *sim, bool complain)
{
        const struct facts *facts = &sim->world.facts;

        for (size_t i = 0; i < facts->vms_len; i++) {
                const struct vm_fact *vm = &facts->vms[i];
                const struct stack *stack = world_find_stack(&sim->world, vm->stack);
                const struct service *service =
                        stack ? stack_find_service(stack, vm->service) : NULL;
                AUTO_FREE char *hash = service ? wanted_hash(sim, stack, service) : NULL;

                if (!service || vm->state != VM_RUNNING || vm->replica < 1 ||
                    vm->replica > service->replicas ||
                    (!streq(hash, vm->spec_hash) && !has_given_up(sim, stack, service)) ||
                    world_replica_vm(&sim->world, vm->stack, vm->service, vm->replica) != vm) {
                        if (complain)
                                printf("# %s %s/%s/%u is %s, %s, %s spec%s\n", vm->id, vm->stack,
                                       vm->service, vm->replica, vm_state_name(vm->state),
                                       health_state_name(vm->health),
                                       streq(hash, vm->spec_hash) ? "present" : "another",
                                       service && vm->replica > service->replicas ? ", excess"
                                                                                  : "");
                        return false;
                }
        }
        for (size_t i = 0; i < facts->networks_len; i++)
                if (!facts->networks[i].up ||
                    !world_find_stack(&sim->world, facts->networks[i].stack)) {
                        if (complain)
                                printf("# network %s/%s\n", facts->networks[i].stack,
                                       facts->networks[i].network);
                        return false;
                }
        return true;
}

static struct {
        unsigned runs, bad, steps, created, rerun, stopped, failed, surges, undone, turns;
} total;

static void add_up(const struct sim *sim, unsigned turns, bool good)
{
        total.runs++;
        total.bad += good ? 0 : 1;
        total.steps += sim->steps;
        total.created += sim->created;
        total.rerun += sim->rerun;
        total.stopped += sim->stopped;
        total.failed += sim->failed;
        total.surges += sim->surges;
        total.undone += sim->undone;
        total.turns = turns > total.turns ? turns : total.turns;
}

/* one: its results are told also when they are good. */
static void run_seed(unsigned seed, bool one)
{
        struct sim sim = {.state = 0x9e3779b97f4a7c15u * (seed + 1), .faults = true};
        unsigned turns = 0;
        bool good;

        world_init(&sim.world);
        for (unsigned i = 0; i < 3; i++)
                random_edit(&sim);
        for (unsigned i = 0; i < STEPS && !sim.broken[0]; i++) {
                random_event(&sim);
                (void)sim_turn(&sim);
        }
        sim.faults = false;
        while (turns < SETTLE_TURNS && !sim.broken[0] &&
               !(plan_is_settled(&sim, false) && world_is_as_wanted(&sim, false))) {
                turns++;
                advance_all(&sim);
                (void)sim_turn(&sim);
        }
        good = !sim.broken[0] && plan_is_settled(&sim, false) && world_is_as_wanted(&sim, false);
        if (!good || one) {
                if (!ok(!sim.broken[0], "seed %u: promises kept", seed))
                        printf("# %s\n", sim.broken);
                ok(plan_is_settled(&sim, true), "seed %u: settles in %u turns", seed, turns);
                ok(world_is_as_wanted(&sim, true), "seed %u: everything is as wanted", seed);
        }
        add_up(&sim, turns, good);
        for (size_t i = 0; i < sim.attached_len; i++) {
                free(sim.attached[i].vm);
                free(sim.attached[i].stack);
                free(sim.attached[i].network);
        }
        free(sim.attached);
        world_release(&sim.world);
}

int main(int argc, char **argv)
{
        unsigned runs = RUNS;

        if (getenv("BERTH_SIM_RUNS"))
                runs = (unsigned)strtoul(getenv("BERTH_SIM_RUNS"), NULL, 10);
        if (argc > 1)
                for (int i = 1; i < argc; i++)
                        run_seed((unsigned)strtoul(argv[i], NULL, 10), true);
        else
                for (unsigned seed = 1; seed <= runs; seed++)
                        run_seed(seed, false);
        tap_note("simulation of the reconciler: %u runs: %u steps, %u VMs created, %u of them "
                 "beside another, %u run again, %u stopped, %u failures, %u rollbacks; settled in "
                 "at most %u turns",
                 total.runs, total.steps, total.created, total.surges, total.rerun, total.stopped,
                 total.failed, total.undone, total.turns);
        ok(total.bad == 0, "%u runs keep the promises and converge, %u do not", total.runs,
           total.bad);
        return tap_done();
}
