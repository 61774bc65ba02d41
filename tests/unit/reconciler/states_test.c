/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a replica and of an update, as tables for docs/reconciler.md, drawn by asking the
 * reconciler itself about each of them. UPDATE=1 writes them; otherwise they have to be there so.
 */
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tests/scenario/world.h"
#include "tests/tap.h"

#define DOC       "docs/reconciler.md"
#define BEGIN     "<!-- states: drawn by tests/unit/reconciler/states_test (UPDATE=1 writes it). -->\n"
#define END       "<!-- states end -->\n"
#define DOC_MAX   (1u << 20)
#define SINCE_MS  1000 /* how long ago things happened: no back-off is over, nothing is proven */
#define PROVEN_MS 5000

/* ---------------------------------------------------------------- a replica and its VM */

/* What there is of the replica: a VM, or the end of its last run. */
static const struct situation {
        const char *name;
        enum vm_state state; /* of its VM, unless absent */
        bool absent;
        enum health_state health;
        enum exit_reason ended; /* of the last run, which was of the wanted spec */
        int code;
        const char *restart;
} situations[] = {
        {"no VM, never ran", 0, true, HEALTH_NONE, EXIT_NONE, 0, "always"},
        {"no VM, exited with 1, `always`", 0, true, HEALTH_NONE, EXIT_CODE, 1, "always"},
        {"no VM, exited with 0, `on-failure`", 0, true, HEALTH_NONE, EXIT_CODE, 0, "on-failure"},
        {"no VM, exited with 1, `no`", 0, true, HEALTH_NONE, EXIT_CODE, 1, "no"},
        {"no VM, did not boot, `no`", 0, true, HEALTH_NONE, EXIT_BOOT, 0, "no"},
        {"PREPARING", VM_PREPARING, false, HEALTH_NONE, EXIT_NONE, 0, "always"},
        {"BOOTING", VM_BOOTING, false, HEALTH_NONE, EXIT_NONE, 0, "always"},
        {"RUNNING, health starting", VM_RUNNING, false, HEALTH_STARTING, EXIT_NONE, 0, "always"},
        {"RUNNING, healthy", VM_RUNNING, false, HEALTH_HEALTHY, EXIT_NONE, 0, "always"},
        {"RUNNING, unhealthy", VM_RUNNING, false, HEALTH_UNHEALTHY, EXIT_NONE, 0, "always"},
        {"STOPPING", VM_STOPPING, false, HEALTH_NONE, EXIT_STOPPED, 0, "always"},
        {"EXITED with 1, `always`", VM_EXITED, false, HEALTH_NONE, EXIT_CODE, 1, "always"},
        {"EXITED with 0, `no`", VM_EXITED, false, HEALTH_NONE, EXIT_CODE, 0, "no"},
        {"FAILED: guest panic", VM_FAILED, false, HEALTH_NONE, EXIT_PANIC, 0, "always"},
};

/* What is wanted of it. */
enum wanted {
        WANTED,
        WANTED_OTHER,
        WANTED_SURGE,
        WANTED_STOPPED,
        WANTED_LESS,
        WANTED_NOT,
        WANTEDS
};

static const char *const wanted_names[] = {
        [WANTED] = "as it is",
        [WANTED_OTHER] = "another spec",
        [WANTED_SURGE] = "another spec, start-first",
        [WANTED_STOPPED] = "stopped",
        [WANTED_LESS] = "scaled down",
        [WANTED_NOT] = "stack deleted",
};

static void want(struct world *world, const char *restart, enum wanted wanted)
{
        struct stack *stack = world_stack(world, "shop");
        char *words[8];
        size_t len = 0;

        words[len++] = xstrdup("web");
        words[len++] = xstrdup("health");
        words[len++] = xasprintf("restart=%s", restart);
        words[len++] = xasprintf("replicas=%d", wanted == WANTED_LESS ? 0 : 1);
        if (wanted == WANTED_OTHER || wanted == WANTED_SURGE)
                words[len++] = xstrdup("env=V:2");
        if (wanted == WANTED_SURGE)
                words[len++] = xstrdup("update=order:start-first");
        (void)world_service(stack, words, len); /* the words are right */
        for (size_t i = 0; i < len; i++)
                free(words[i]);
        world_wish(world, "shop", "web")->stopped = wanted == WANTED_STOPPED;
}

/* As if all of it had happened a second ago. */
static void set_situation(struct world *world, const struct situation *s)
{
        struct vm_fact *vm = world_vm(world, "shop", "web", 1, NULL);

        if (s->ended != EXIT_NONE || s->health != HEALTH_NONE)
                world_vm_runs(world, vm);
        if (s->ended != EXIT_NONE)
                world_vm_ends(world, vm, s->state == VM_FAILED ? VM_FAILED : VM_EXITED, s->ended,
                              s->code, NULL);
        if (s->absent) {
                world_vm_gone(world, vm);
        } else {
                vm->state = s->state;
                vm->health = s->health;
        }
        world->now_ms += s->absent && s->ended == EXIT_CODE && s->code ? 10 : SINCE_MS;
}

static void add_steps(struct strbuf *sb, const struct plan *plan)
{
        size_t begin = sb->len;

        for (size_t i = 0; i < plan->steps_len; i++)
                strbuf_addf(sb, "%s%s", sb->len > begin ? ", " : "",
                            step_kind_name(plan->steps[i].kind));
        if (sb->len == begin && plan->wake_at_ms)
                strbuf_adds(sb, "later");
        else if (sb->len == begin)
                strbuf_adds(sb, "-");
}

static void add_cell(struct strbuf *sb, const struct situation *s, enum wanted wanted)
{
        struct world world;
        struct plan plan;

        world_init(&world);
        want(&world, s->restart, WANTED);
        world_image(&world, "web:1")->state = IMAGE_READY;
        set_situation(&world, s);
        if (wanted == WANTED_NOT)
                world_drop(&world, "shop", true);
        else if (wanted != WANTED)
                want(&world, s->restart, wanted);
        world_plan(&world, &plan);
        strbuf_adds(sb, " ");
        add_steps(sb, &plan);
        if (plan.services_len)
                strbuf_addf(sb, " (%s)", service_phase_name(plan.services[0].phase));
        strbuf_adds(sb, " |");
        plan_release(&plan);
        world_release(&world);
}

static void draw_replica(struct strbuf *sb)
{
        strbuf_adds(sb, "\n| there is | wanted: as it is |");
        for (int w = WANTED_OTHER; w < WANTEDS; w++)
                strbuf_addf(sb, " %s |", wanted_names[w]);
        strbuf_adds(sb, "\n|---|");
        for (int w = 0; w < WANTEDS; w++)
                strbuf_adds(sb, "---|");
        strbuf_adds(sb, "\n");
        for (size_t i = 0; i < ARRAY_SIZE(situations); i++) {
                strbuf_addf(sb, "| %s |", situations[i].name);
                for (int w = 0; w < WANTEDS; w++)
                        add_cell(sb, &situations[i], (enum wanted)w);
                strbuf_adds(sb, "\n");
        }
}

/* ---------------------------------------------------------------- an update of two replicas */

/* Replica 1 is at this point of the update, replica 2 is an old one that serves. */
static const struct stage {
        const char *name;
        bool old_vm, new_vm;
        enum vm_state state; /* of the new one */
        enum health_state health;
        bool failed; /* its first run of the new spec has */
        int64_t since_ms;
} stages[] = {
        {"old", true, false, 0, 0, false, SINCE_MS},
        {"old gone", false, false, 0, 0, false, SINCE_MS},
        {"new one is made", false, true, VM_PREPARING, HEALTH_NONE, false, SINCE_MS},
        {"new one is made, old serves", true, true, VM_PREPARING, HEALTH_NONE, false, SINCE_MS},
        {"new one starts, old serves", true, true, VM_RUNNING, HEALTH_STARTING, false, SINCE_MS},
        {"new one is well since 1 s", false, true, VM_RUNNING, HEALTH_HEALTHY, false, SINCE_MS},
        {"new one is well since 1 s, old serves", true, true, VM_RUNNING, HEALTH_HEALTHY, false,
         SINCE_MS},
        {"new one is proven", false, true, VM_RUNNING, HEALTH_HEALTHY, false, PROVEN_MS},
        {"new one is proven, old is there", true, true, VM_RUNNING, HEALTH_HEALTHY, false,
         PROVEN_MS},
        {"new one is unhealthy", false, true, VM_RUNNING, HEALTH_UNHEALTHY, false, SINCE_MS},
        {"new one has failed", false, false, 0, 0, true, 10},
        {"new one has failed, old serves", true, false, 0, 0, true, 10},
};

static const struct {
        const char *name, *update;
} kinds[] = {
        {"stop-first, pause", "update=order:stop-first,parallelism:1,monitor:3s"},
        {"stop-first, continue",
         "update=order:stop-first,action:continue,parallelism:1,monitor:3s"},
        {"start-first, pause", "update=order:start-first,parallelism:1,monitor:3s"},
        {"start-first, rollback",
         "update=order:start-first,action:rollback,parallelism:1,monitor:3s"},
};

static void revision(struct world *world, const char *update, const char *env)
{
        struct stack *stack = world_stack(world, "shop");
        char *words[] = {xstrdup("web"),  xstrdup("health"),         xstrdup("replicas=2"),
                         xstrdup(update), xstrdup("restart=always"), xstrdup(env)};

        (void)world_service(stack, words, ARRAY_SIZE(words)); /* the words are right */
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                free(words[i]);
}

static void serve(struct world *world, struct vm_fact *vm, enum health_state health)
{
        world_vm_runs(world, vm);
        vm->health = health;
        vm->since_ms = vm->health_since_ms = world->now_ms;
}

static void set_stage(struct world *world, const struct stage *s, const char *update)
{
        struct service_wish *wish;

        revision(world, update, "env=V:1");
        world_image(world, "web:1")->state = IMAGE_READY;
        wish = world_wish(world, "shop", "web");
        wish->good = world_hash(world, "shop", "web");
        serve(world, world_vm(world, "shop", "web", 2, NULL), HEALTH_HEALTHY);
        if (s->old_vm)
                serve(world, world_vm(world, "shop", "web", 1, NULL), HEALTH_HEALTHY);
        world->now_ms += 60000;
        revision(world, update, "env=V:2");
        if (s->failed) {
                struct vm_fact *vm = world_vm(world, "shop", "web", 1, NULL);

                world_vm_runs(world, vm);
                world_vm_ends(world, vm, VM_EXITED, EXIT_CODE, 1, NULL);
                world_vm_gone(world, vm);
        }
        if (s->new_vm) {
                struct vm_fact *vm = world_vm(world, "shop", "web", 1, NULL);

                if (s->state == VM_RUNNING)
                        serve(world, vm, s->health);
        }
        world->now_ms += s->since_ms;
}

static void add_update_steps(struct strbuf *sb, const struct plan *plan)
{
        size_t begin = sb->len;

        for (size_t i = 0; i < plan->steps_len; i++) {
                strbuf_addf(sb, "%s%s", sb->len > begin ? ", " : "",
                            step_kind_name(plan->steps[i].kind));
                if (plan->steps[i].replica)
                        strbuf_addf(sb, " %u", plan->steps[i].replica);
        }
        if (sb->len == begin)
                strbuf_adds(sb, plan->wake_at_ms ? "later" : "-");
}

static void draw_update(struct strbuf *sb)
{
        strbuf_adds(sb, "\n| replica 1 |");
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
                strbuf_addf(sb, " %s |", kinds[k].name);
        strbuf_adds(sb, "\n|---|---|---|---|---|\n");
        for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
                strbuf_addf(sb, "| %s |", stages[i].name);
                for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                        struct world world;
                        struct plan plan;

                        world_init(&world);
                        set_stage(&world, &stages[i], kinds[k].update);
                        world_plan(&world, &plan);
                        strbuf_adds(sb, " ");
                        add_update_steps(sb, &plan);
                        strbuf_addf(sb, " (%s) |", service_phase_name(plan.services[0].phase));
                        plan_release(&plan);
                        world_release(&world);
                }
                strbuf_adds(sb, "\n");
        }
}

/* ---------------------------------------------------------------- the page */

static void draw(struct strbuf *sb)
{
        strbuf_adds(sb, BEGIN);
        strbuf_adds(sb, "\n### A replica\n\nWhat is planned for a replica with a healthcheck, and "
                        "in brackets the phase of its service. *Later*: when a time has come; "
                        "`-`: nothing until something happens.\n");
        draw_replica(sb);
        strbuf_adds(sb, "\n### An update\n\nTwo replicas, `parallelism: 1`, `monitor: 3s`; replica "
                        "2 still has the old spec, and serves.\n");
        draw_update(sb);
        strbuf_adds(sb, "\n" END);
}

int main(void)
{
        struct strbuf drawn = STRBUF_INIT(DOC_MAX), page = STRBUF_INIT(DOC_MAX);
        AUTO_FREE char *text = NULL;
        char *begin, *end;
        struct err err = ERR_INIT;

        draw(&drawn);
        if (!ok(file_read(DOC, DOC_MAX, &text, NULL, &err) == 0, "%s is there", DOC))
                return tap_done();
        begin = strstr(text, BEGIN);
        end = begin ? strstr(begin, END) : NULL;
        if (!ok(end, "%s has a place for the tables", DOC))
                return tap_done();
        if (getenv("UPDATE")) {
                strbuf_add(&page, text, (size_t)(begin - text));
                strbuf_adds(&page, strbuf_str(&drawn));
                strbuf_adds(&page, end + strlen(END));
                ok(file_write_atomic(DOC, strbuf_str(&page), page.len, 0644, &err) == 0,
                   "%s written", DOC);
        } else {
                *(end + strlen(END)) = '\0';
                ok(streq(begin, strbuf_str(&drawn)),
                   "the tables of %s are what the reconciler does (UPDATE=1 writes them)", DOC);
        }
        strbuf_release(&drawn);
        strbuf_release(&page);
        return tap_done();
}
