/* SPDX-License-Identifier: Apache-2.0 */
/* The plan's text, hashes given from outside, odd facts without names, and the cost of a turn. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/scenario/world.h"
#include "tests/tap.h"

#define MANY 1000

static void test_text(void)
{
        struct step steps[] = {
                {.kind = STEP_IMAGE_RESOLVE, .image = (char[]){"web:1"}},
                {.kind = STEP_NETWORK_CREATE,
                 .stack = (char[]){"shop"},
                 .network = (char[]){"front"}},
                {.kind = STEP_VM_STOP,
                 .stack = (char[]){"shop"},
                 .service = (char[]){"web"},
                 .replica = 2,
                 .vm_id = (char[]){"vm-7"},
                 .reason = (char[]){"scaled down to 1"}},
        };
        struct plan plan = {.steps = steps, .steps_len = ARRAY_SIZE(steps)};
        AUTO_FREE char *text = plan_text(&plan);

        is_str(text,
               "image-resolve web:1\n"
               "network-create shop/front\n"
               "vm-stop shop/web/2 vm-7: scaled down to 1\n",
               "a plan as text");
}

static void test_nameless(void)
{
        struct vm_fact vm = {.state = VM_RUNNING};
        struct replica_fact replica = {0};
        struct network_fact network = {.up = true};
        struct image_fact image = {0};
        struct facts facts = {&vm, 1, &replica, 1, &network, 1, &image, 1};
        struct reconcile_input input = {.facts = &facts};
        struct plan plan;

        reconcile(&input, &plan);
        is_int(plan.steps_len, 2, "facts without names: the VM is stopped, the network removed");
        plan_release(&plan);
        ok(!plan.steps, "a released plan is empty");
        plan_release(&plan);
}

/* s0..: each depends on one before it, each with a network, an image and two replicas. */
static struct stack *many_services(struct world *world)
{
        struct stack *stack = world_stack(world, "big");

        for (unsigned i = 0; i < MANY; i++) {
                char *words[6] = {xasprintf("s%04u", i), xasprintf("image=i%u", i % 50),
                                  xstrdup("net=front"), xstrdup("env=A:1")};
                size_t len = 4;

                if (i)
                        words[len++] = xasprintf("depends=s%04u", i / 2);
                (void)world_service(stack, words, len);
                while (len)
                        free(words[--len]);
        }
        return stack;
}

static void run_all(struct world *world, const struct stack *stack)
{
        world_net(world, stack->name, "front")->up = true;
        for (unsigned i = 0; i < 50; i++) {
                AUTO_FREE char *ref = xasprintf("i%u", i);

                world_image(world, ref)->state = IMAGE_READY;
        }
        for (size_t i = 0; i < stack->services_len; i++)
                world_vm(world, stack->name, stack->services[i].name, 1, NULL)->state = VM_RUNNING;
}

static void test_many(void)
{
        struct world world;
        struct stack *stack;
        AUTO(stack_hashes) struct stack_hashes *hashes = NULL;
        struct plan plan;
        int64_t begin, spent = INT64_MAX;

        world_init(&world);
        stack = many_services(&world);
        run_all(&world, stack);
        hashes = stack_hashes_new(stack, NULL);
        for (int i = 0; i < 5; i++) {
                struct reconcile_input input = {
                        .stacks = (const struct stack *const *)world.stacks,
                        .stacks_len = 1,
                        .hashes = (const struct stack_hashes *const[]){hashes},
                        .facts = &world.facts,
                        .now_ms = world.now_ms,
                };

                begin = clock_mono_ns();
                reconcile(&input, &plan);
                if (clock_mono_ns() - begin < spent)
                        spent = clock_mono_ns() - begin;
                if (i == 0) {
                        is_int(plan.steps_len, 0, "%d running services: nothing to do", MANY);
                        is_int(plan.services_len, MANY, "a status for each");
                        ok(plan.services[MANY - 1].ok, "settled and ok");
                }
                plan_release(&plan);
        }
        printf("# %d services that run: decided in %lld us\n", MANY, (long long)spent / 1000);
        ok(spent < 200000000, "decided far below a quarter of a second");
        world_release(&world);
}

int main(void)
{
        test_text();
        test_nameless();
        test_many();
        return tap_done();
}
