/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/scenario/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"
#include "tests/scenario/line.h"

#define FILE_MAX     65536
#define CONVERGE_MAX 200 /* turns; far more than any scenario needs */

const char *line_word(const struct scenario *s, size_t i)
{
        return i < s->len ? s->words[i] : "";
}

const char *line_text_behind(const struct scenario *s, size_t n)
{
        const char *p = s->rest;

        for (size_t i = 1; i < n; i++) {
                p += strspn(p, " ");
                p += strcspn(p, " ");
        }
        p += strspn(p, " ");
        return *p ? p : NULL;
}

void line_split_replica(char *text, const char **stack, const char **service, unsigned *replica)
{
        char *slash = strchr(text, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;
        int64_t n = 1;

        *stack = text;
        *service = slash ? slash + 1 : "";
        if (slash)
                *slash = '\0';
        if (second) {
                *second = '\0';
                (void)value_int(second + 1, 0, 100000, &n, NULL); /* 1 when it is no number */
        }
        *replica = (unsigned)n;
}

static int do_begin(struct scenario *s, struct err *err)
{
        struct plan plan;

        (void)err;
        world_plan(&s->world, &plan);
        for (size_t i = 0; i < plan.steps_len; i++)
                world_begin(&s->world, &plan.steps[i]);
        plan_release(&plan);
        return 0;
}

static int do_converge(struct scenario *s, struct err *err)
{
        for (unsigned turn = 0; turn < CONVERGE_MAX; turn++) {
                struct plan plan;
                bool done;

                facts_finish(&s->world);
                world_plan(&s->world, &plan);
                done = plan.steps_len == 0;
                for (size_t i = 0; i < plan.steps_len; i++)
                        world_begin(&s->world, &plan.steps[i]);
                plan_release(&plan);
                if (done)
                        return 0;
        }
        return err_set(err, EINVAL, "still steps after %d turns", CONVERGE_MAX);
}

/* The indented lines that follow, without the indent. */
static void expected_lines(struct scenario *s, struct strbuf *sb)
{
        while (s->next && s->next[0] == ' ') {
                char *end = strchr(s->next, '\n');
                char *line = s->next + strspn(s->next, " ");

                if (end)
                        *end = '\0';
                if (*line)
                        strbuf_addf(sb, "%s\n", line);
                s->next = end ? end + 1 : NULL;
                s->line++;
        }
}

static int do_expect(struct scenario *s, struct err *err)
{
        AUTO_STRBUF struct strbuf expected = STRBUF_INIT(FILE_MAX);
        AUTO_FREE char *text = NULL;
        struct plan plan;

        expected_lines(s, &expected);
        world_plan(&s->world, &plan);
        text = plan_text(&plan);
        plan_release(&plan);
        if (streq(text, strbuf_str(&expected)))
                return 0;
        return err_set(err, EINVAL, "expected\n%sgot\n%s", strbuf_str(&expected), text);
}

static char *status_text(const struct service_status *status)
{
        return xasprintf("%s%s%s%s", service_phase_name(status->phase),
                         status->ok        ? " ok"
                         : status->settled ? " settled"
                                           : "",
                         status->why ? ": " : "", status->why ? status->why : "");
}

static int do_status(struct scenario *s, struct err *err)
{
        const char *expected = line_text_behind(s, 2);
        AUTO_FREE char *text = NULL;
        struct plan plan;

        world_plan(&s->world, &plan);
        for (size_t i = 0; i < plan.services_len; i++)
                if (!text && streq(plan.services[i].service, line_word(s, 1)))
                        text = status_text(&plan.services[i]);
        plan_release(&plan);
        if (streq(text, expected))
                return 0;
        return err_set(err, EINVAL, "%s: expected\n  %s\ngot\n  %s", line_word(s, 1), expected,
                       text ? text : "no such service");
}

static int do_failures(struct scenario *s, struct err *err)
{
        unsigned got = 0;
        struct plan plan;

        world_plan(&s->world, &plan);
        for (size_t i = 0; i < plan.services_len; i++)
                if (streq(plan.services[i].service, line_word(s, 1)))
                        got = plan.services[i].failures;
        plan_release(&plan);
        if (got == (unsigned)strtoul(line_word(s, 2), NULL, 10))
                return 0;
        return err_set(err, EINVAL, "%u failures", got);
}

static int do_complete(struct scenario *s, struct err *err)
{
        bool got = false;
        struct plan plan;

        world_plan(&s->world, &plan);
        for (size_t i = 0; i < plan.services_len; i++)
                if (streq(plan.services[i].service, line_word(s, 1)))
                        got = plan.services[i].complete;
        plan_release(&plan);
        if (got == streq(line_word(s, 0), "complete"))
                return 0;
        return err_set(err, EINVAL, "it is %s", got ? "complete" : "incomplete");
}

static int do_wake(struct scenario *s, struct err *err)
{
        int64_t expected = 0, got;
        struct plan plan;

        if (!streq(line_word(s, 1), "never")) {
                if (value_duration_ms(line_word(s, 1), &expected, err) < 0)
                        return -EINVAL;
                expected += WORLD_BEGIN_MS;
        }
        world_plan(&s->world, &plan);
        got = plan.wake_at_ms;
        plan_release(&plan);
        if (got == expected)
                return 0;
        return err_set(err, EINVAL, "would wake at %lld ms",
                       (long long)(got ? got - WORLD_BEGIN_MS : -1));
}

static int do_stack(struct scenario *s, struct err *err)
{
        (void)err;
        s->stack = world_stack(&s->world, line_word(s, 1));
        return 0;
}

/* The networks that stacks share: a revision of their own. */
static int do_shared(struct scenario *s, struct err *err)
{
        (void)err;
        s->stack = world_stack(&s->world, STACK_SHARED);
        return 0;
}

static int do_part(struct scenario *s, struct err *err)
{
        const char *wrong = NULL;

        if (!s->stack)
                return err_set(err, EINVAL, "no stack yet");
        if (streq(line_word(s, 0), "network"))
                world_network(s->stack, s->words + 1, s->len - 1);
        else if (streq(line_word(s, 0), "service"))
                wrong = world_service(s->stack, s->words + 1, s->len - 1);
        else
                world_source(s->stack, streq(line_word(s, 0), "secret"), line_word(s, 1));
        return wrong ? err_set(err, EINVAL, "%s", wrong) : 0;
}

static int do_drop(struct scenario *s, struct err *err)
{
        (void)err;
        s->stack = NULL;
        world_drop(&s->world, line_word(s, 1), !streq(line_word(s, 2), "unknown"));
        return 0;
}

static int do_seed(struct scenario *s, struct err *err)
{
        int64_t seed = 0;
        int r = value_int(line_word(s, 1), 1, INT64_MAX, &seed, err);

        s->world.seed = (uint64_t)seed;
        return r;
}

static int do_wish(struct scenario *s, struct err *err)
{
        const char *stack, *service;
        struct service_wish *wish;
        unsigned n;

        line_split_replica(s->words[1], &stack, &service, &n);
        wish = world_wish(&s->world, stack, service);
        if (streq(line_word(s, 2), "once")) {
                wish->once = true;
                return 0;
        }
        if (streq(line_word(s, 2), "stop") || streq(line_word(s, 2), "start")) {
                wish->stopped = streq(line_word(s, 2), "stop");
                return 0;
        }
        if (streq(line_word(s, 2), "good")) {
                free(wish->good);
                wish->good = world_hash(&s->world, stack, service);
                wish->good_revision = 1;
                return 0;
        }
        if (streq(line_word(s, 2), "image")) {
                free(wish->image);
                wish->image = xstrdup(line_word(s, 3));
                return 0;
        }
        if (streq(line_word(s, 2), "undoing")) {
                wish->undoing = true;
                return 0;
        }
        if (!streq(line_word(s, 2), "renew"))
                return err_set(err, EINVAL, "unknown wish %s", line_word(s, 2));
        wish->generation++;
        free(wish->cause);
        wish->cause = xstrdup(line_text_behind(s, 3));
        return 0;
}

static int do_forget(struct scenario *s, struct err *err)
{
        const char *stack, *service;
        struct replica_fact *memory;
        unsigned replica;

        (void)err;
        line_split_replica(s->words[1], &stack, &service, &replica);
        memory = world_memory(&s->world, stack, service, replica);
        free(memory->last_spec_hash);
        free(memory->last_message);
        *memory = (struct replica_fact){
                .stack = memory->stack, .service = memory->service, .replica = replica};
        return 0;
}

static int do_time(struct scenario *s, struct err *err)
{
        int64_t ms;

        if (value_duration_ms(line_word(s, 1), &ms, err) < 0)
                return -EINVAL;
        s->world.now_ms = (streq(line_word(s, 0), "at") ? WORLD_BEGIN_MS : s->world.now_ms) + ms;
        return 0;
}

static const struct verb {
        const char *name;
        int (*run)(struct scenario *s, struct err *err);
} verbs[] = {
        {"at", do_time},           {"complete", do_complete}, {"incomplete", do_complete},
        {"config", do_part},       {"converge", do_converge}, {"do", do_begin},
        {"drop", do_drop},         {"expect", do_expect},     {"fact", fact_change},
        {"failures", do_failures}, {"forget", do_forget},     {"network", do_part},
        {"passes", do_time},       {"secret", do_part},       {"service", do_part},
        {"stack", do_stack},       {"status", do_status},     {"wake", do_wake},
        {"seed", do_seed},         {"wish", do_wish},         {"shared", do_shared},
};

static void split_words(struct scenario *s, char *line)
{
        char *save = NULL;

        s->len = 0;
        for (char *w = strtok_r(line, " ", &save); w && s->len < LINE_WORDS_MAX;
             w = strtok_r(NULL, " ", &save))
                s->words[s->len++] = w;
}

static int run_line(struct scenario *s, char *line, struct err *err)
{
        AUTO_FREE char *copy = NULL;

        if (strchr(line, ';'))
                *strchr(line, ';') = '\0';
        for (size_t n = strlen(line); n && line[n - 1] == ' '; n--)
                line[n - 1] = '\0';
        copy = xstrdup(line);
        split_words(s, line);
        if (s->len == 0)
                return 0;
        s->rest = copy + strcspn(copy, " ");
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                if (streq(verbs[i].name, s->words[0]))
                        return verbs[i].run(s, err);
        return err_set(err, EINVAL, "unknown verb %s", s->words[0]);
}

int scenario_run(const char *path, struct err *err)
{
        struct scenario s = {.next = NULL};
        AUTO_FREE char *text = NULL;
        int r = file_read(path, FILE_MAX, &text, NULL, err);

        if (r < 0)
                return r;
        world_init(&s.world);
        s.next = text;
        while (r >= 0 && s.next) {
                char *line = s.next, *end = strchr(line, '\n');
                unsigned at = ++s.line;

                if (end)
                        *end = '\0';
                s.next = end ? end + 1 : NULL;
                r = run_line(&s, line, err);
                if (r < 0)
                        err_wrap(err, "%s:%u", path, at);
        }
        world_release(&s.world);
        return r;
}
