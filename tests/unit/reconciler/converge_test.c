/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reconciler against simulated drivers: random stacks, edits and faults from a seed. At every
 * step of every plan the promises are checked; when faults stop, everything has to become as
 * wanted within a bounded number of turns. One seed is one run; seeds may be given as arguments.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "tests/scenario/converge.h"
#include "tests/tap.h"

#if defined(__SANITIZE_ADDRESS__)
#        define RUNS 200
#else
#        define RUNS 2000
#endif
#define STEPS        300 /* of each run */
#define SETTLE_TURNS 600 /* far more than the longest chain of stops, back-offs and starts */

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
                sim_broken(sim, "rolled back twice", step);
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
        if (sim_fault(sim, 10)) /* the daemon dies among the steps */
                len = sim_roll(sim, (unsigned)len + 1);
        for (size_t i = 0; i < len; i++) {
                sim_check_step(sim, &plan.steps[i]);
                if (plan.steps[i].kind == STEP_ROLLBACK)
                        undo(sim, &plan.steps[i]);
                world_begin(&sim->world, &plan.steps[i]);
                sim->steps++;
        }
        note_good(sim, &plan);
        if (len == plan.steps_len)
                sim_check_not_again(sim, &plan);
        if (!sim->faults && len == 0 && plan.wake_at_ms > sim->world.now_ms)
                sim->world.now_ms = plan.wake_at_ms;
        plan_release(&plan);
        return len;
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
        AUTO_FREE char *hash = sim_wanted_hash(sim, stack, service);
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
                AUTO_FREE char *hash = service ? sim_wanted_hash(sim, stack, service) : NULL;

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
                sim_edit(&sim);
        for (unsigned i = 0; i < STEPS && !sim.broken[0]; i++) {
                sim_event(&sim);
                (void)sim_turn(&sim);
        }
        sim.faults = false;
        while (turns < SETTLE_TURNS && !sim.broken[0] &&
               !(plan_is_settled(&sim, false) && world_is_as_wanted(&sim, false))) {
                turns++;
                sim_advance(&sim);
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
