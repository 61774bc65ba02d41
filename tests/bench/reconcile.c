/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the decision takes when there is nothing to decide, and how long a diff takes, with
 * 100, 1,000 and 10,000 services in stacks of 100: the best and the median of several runs, in
 * processor time, which other load on the machine disturbs least.
 *
 *   make bench-reconcile
 */
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "reconciler/diff.h"
#include "tests/scenario/world.h"

#define SERVICES_PER_STACK 100
#define RUNS               15

static int64_t cpu_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* it is always there */
        return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct stack *stack_new(unsigned number, const char *env)
{
        struct stack *stack = xnew(struct stack);

        stack->name = xasprintf("s%05u", number);
        for (unsigned i = 0; i < SERVICES_PER_STACK; i++) {
                char *words[] = {xasprintf("v%03u", i), xstrdup("net=front"), xstrdup("health"),
                                 xasprintf("env=GREETING:%s", env),
                                 i ? xasprintf("depends=v%03u:healthy", i / 2)
                                   : xstrdup("net=back")};

                (void)world_service(stack, words, ARRAY_SIZE(words)); /* right by construction */
                for (size_t k = 0; k < ARRAY_SIZE(words); k++)
                        free(words[k]);
        }
        return stack;
}

/* Everything runs as wanted. */
static void add_facts(struct facts *facts, const struct stack *stack,
                      const struct stack_hashes *hashes)
{
        static const char *const networks[] = {"front", "back"};

        for (size_t i = 0; i < stack->services_len; i++) {
                struct vm_fact *vm = array_push(&facts->vms, &facts->vms_len);
                struct image_fact *image = array_push(&facts->images, &facts->images_len);
                struct replica_fact *memory = array_push(&facts->replicas, &facts->replicas_len);

                vm->id = xasprintf("%s-%zu", stack->name, i);
                vm->stack = xstrdup(stack->name);
                vm->service = xstrdup(stack->services[i].name);
                vm->replica = memory->replica = 1;
                vm->spec_hash = xstrdup(hashes->services[i]);
                vm->state = VM_RUNNING;
                vm->health = HEALTH_HEALTHY;
                memory->stack = xstrdup(stack->name);
                memory->service = xstrdup(stack->services[i].name);
                memory->started_ms = 1;
                image->ref = xstrdup(stack->services[i].image);
                image->state = IMAGE_READY;
        }
        for (size_t i = 0; i < ARRAY_SIZE(networks); i++) {
                struct network_fact *network = array_push(&facts->networks, &facts->networks_len);
                struct network declared = {.name = (char *)(uintptr_t)networks[i]};
                char hash[DIGEST_TEXT_MAX];

                network_hash(&declared, hash);
                network->stack = xstrdup(stack->name);
                network->network = xstrdup(networks[i]);
                network->spec_hash = xstrdup(hash);
                network->up = true;
        }
}

static int time_cmp(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return (x > y) - (x < y);
}

static void report(const char *what, unsigned services, int64_t *times)
{
        qsort(times, RUNS, sizeof(*times), time_cmp);
        printf("%-22s %6u services: best %8.3f ms, median %8.3f ms\n", what, services,
               (double)times[0] / 1e6, (double)times[RUNS / 2] / 1e6);
}

static size_t bench_reconcile(const struct reconcile_input *input, unsigned services)
{
        int64_t times[RUNS];
        size_t steps = 0;

        for (size_t r = 0; r < RUNS; r++) {
                struct plan plan;
                int64_t begin = cpu_ns();

                reconcile(input, &plan);
                times[r] = cpu_ns() - begin;
                steps += plan.steps_len;
                plan_release(&plan);
        }
        report("no-op reconcile", services, times);
        return steps;
}

static size_t bench_diff(struct stack *const *before, struct stack *const *after, size_t n)
{
        int64_t times[RUNS];
        size_t changes_len = 0;

        for (size_t r = 0; r < RUNS; r++) {
                int64_t begin = cpu_ns();

                for (size_t i = 0; i < n; i++) {
                        struct changes changes = {0};

                        stack_diff(before[i], after[i], &changes);
                        changes_len += changes.len;
                        changes_release(&changes);
                }
                times[r] = cpu_ns() - begin;
        }
        report("diff, all changed", (unsigned)n * SERVICES_PER_STACK, times);
        return changes_len;
}

static void bench(unsigned services)
{
        size_t n = services / SERVICES_PER_STACK;
        struct stack **stacks = xcalloc(n, sizeof(*stacks)),
                     **changed = xcalloc(n, sizeof(*changed));
        struct stack_hashes **hashes = xcalloc(n, sizeof(*hashes));
        struct facts facts = {0};
        struct reconcile_input input = {.stacks = (const struct stack *const *)stacks,
                                        .stacks_len = n,
                                        .hashes = (const struct stack_hashes *const *)hashes,
                                        .facts = &facts,
                                        .now_ms = 100000};

        for (size_t i = 0; i < n; i++) {
                stacks[i] = stack_new((unsigned)i, "hello");
                changed[i] = stack_new((unsigned)i, "hallo");
                hashes[i] = stack_hashes_new(stacks[i], NULL);
                add_facts(&facts, stacks[i], hashes[i]);
        }
        if (bench_reconcile(&input, services))
                printf("there were steps: these figures say nothing\n");
        if (bench_diff(stacks, changed, n) != (size_t)services * RUNS)
                printf("not all services differ: these figures say nothing\n");
        for (size_t i = 0; i < n; i++) {
                stack_free(stacks[i]);
                stack_free(changed[i]);
                stack_hashes_free(hashes[i]);
        }
        facts_release(&facts);
        free(stacks);
        free(changed);
        free(hashes);
}

int main(void)
{
        bench(100);
        bench(1000);
        bench(10000);
        return 0;
}
