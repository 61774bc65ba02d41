/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash points of the state store: every operation that changes it is killed at the entry of each
 * of its system calls that write, opening the database included, one run a call. Whatever is on
 * disk then has to open and to be the state before or after the operation, nothing in between.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/store.h"
#include "tests/crash.h"
#include "tests/tap.h"

#define DUMP_MAX (1u << 20)

static char top[] = "/tmp/berth-crash.XXXXXX";

static struct stored_stack stack_of(const char *name, unsigned revision, const char *manifest)
{
        return (struct stored_stack){.name = (char *)(uintptr_t)name,
                                     .revision = revision,
                                     .manifest = (char *)(uintptr_t)manifest,
                                     .created_ms = 1,
                                     .updated_ms = revision};
}

static int put_first(struct store *store, struct err *err)
{
        struct stored_stack stack = stack_of("shop", 1, "{\"v\":1}");
        static char name[] = "shop", web[] = "web", text[] = "x";
        struct replica_fact fact = {
                .stack = name, .service = web, .replica = 1, .failures = 1, .last_message = text};
        const struct event event = {
                .stack = name, .service = web, .type = text, .reason = text, .message = text};
        int r = store_put_stack(store, &stack, err);

        if (r == 0)
                r = store_put_replica(store, &fact, err);
        if (r == 0)
                r = store_put_subnet(store, "shop", "front", 0x0ac00000, 24, err);
        if (r == 0)
                r = store_put_lease(store, "shop", "front", "web", 1, 0x0ac00002, err);
        return r == 0 ? store_add_event(store, &event, NULL, err) : r;
}

static int put_stack(struct store *store, struct err *err)
{
        struct stored_stack stack = stack_of("shop", 2, "{\"v\":2}");

        return store_put_stack(store, &stack, err);
}

static int put_another(struct store *store, struct err *err)
{
        struct stored_stack stack = stack_of("blog", 1, "{\"v\":1}");

        return store_put_stack(store, &stack, err);
}

static int set_wanted(struct store *store, struct err *err)
{
        return store_set_wanted(store, "shop", STACK_DELETING, err);
}

static int set_wishes(struct store *store, struct err *err)
{
        return store_set_wishes(store, "shop", "{\"web\":{\"stopped\":true}}", err);
}

static int delete_stack(struct store *store, struct err *err)
{
        return store_delete_stack(store, "shop", err);
}

static int put_replica(struct store *store, struct err *err)
{
        static char name[] = "shop", web[] = "web";
        struct replica_fact fact = {.stack = name, .service = web, .replica = 1, .failures = 2};

        return store_put_replica(store, &fact, err);
}

static int delete_replica(struct store *store, struct err *err)
{
        return store_delete_replica(store, "shop", "web", 0, err);
}

static int put_subnet(struct store *store, struct err *err)
{
        return store_put_subnet(store, "shop", "back", 0x0ac00100, 24, err);
}

static int delete_subnet(struct store *store, struct err *err)
{
        return store_delete_subnet(store, "shop", "front", err);
}

static int put_lease(struct store *store, struct err *err)
{
        return store_put_lease(store, "shop", "front", "db", 1, 0x0ac00003, err);
}

static int delete_lease(struct store *store, struct err *err)
{
        return store_delete_lease(store, "shop", "web", 0, err);
}

static int add_event(struct store *store, struct err *err)
{
        static char text[] = "y";
        const struct event event = {
                .stack = text, .service = text, .type = text, .reason = text, .message = text};

        return store_add_event(store, &event, NULL, err);
}

static int batch(struct store *store, struct err *err)
{
        int r = store_begin(store, err);

        if (r == 0)
                r = put_stack(store, err);
        if (r == 0)
                r = put_replica(store, err);
        if (r == 0)
                r = put_lease(store, err);
        return r == 0 ? store_commit(store, err) : r;
}

static const struct {
        const char *name;
        int (*run)(struct store *store, struct err *err);
} operations[] = {
        {"put a revision", put_stack},
        {"put a stack", put_another},
        {"want it gone", set_wanted},
        {"set wishes", set_wishes},
        {"delete a stack", delete_stack},
        {"put a replica", put_replica},
        {"delete a replica", delete_replica},
        {"put a subnet", put_subnet},
        {"delete a subnet", delete_subnet},
        {"put a lease", put_lease},
        {"delete a lease", delete_lease},
        {"add an event", add_event},
        {"a batch", batch},
};

static void dump_stacks(struct store *store, struct strbuf *sb)
{
        struct stored_revisions revisions = {0};
        struct stored_stacks stacks = {0};

        if (store_list_stacks(store, &stacks, NULL) < 0)
                strbuf_adds(sb, "no stacks\n");
        for (size_t i = 0; i < stacks.len; i++)
                strbuf_addf(sb, "stack %s %u %s %d %s\n", stacks.items[i].name,
                            stacks.items[i].revision, stacks.items[i].manifest,
                            stacks.items[i].wanted, stacks.items[i].wishes);
        if (store_list_history(store, "shop", &revisions, NULL) < 0)
                strbuf_adds(sb, "no history\n");
        for (size_t i = 0; i < revisions.len; i++)
                strbuf_addf(sb, "revision %u %s\n", revisions.items[i].revision,
                            revisions.items[i].manifest);
        stored_stacks_release(&stacks);
        stored_revisions_release(&revisions);
}

static void dump_rest(struct store *store, struct strbuf *sb)
{
        const struct event_filter all = {0};
        struct stored_replicas replicas = {0};
        struct stored_leases leases = {0};
        struct stored_events events = {0};

        if (store_list_replicas(store, &replicas, NULL) < 0 ||
            store_list_leases(store, &leases, NULL) < 0 ||
            store_list_events(store, &all, 0, 100, &events, NULL) < 0)
                strbuf_adds(sb, "unreadable\n");
        for (size_t i = 0; i < replicas.len; i++)
                strbuf_addf(sb, "replica %s %u %u\n", replicas.items[i].service,
                            replicas.items[i].replica, replicas.items[i].failures);
        for (size_t i = 0; i < leases.subnets_len; i++)
                strbuf_addf(sb, "subnet %s %u\n", leases.subnets[i].network,
                            leases.subnets[i].subnet);
        for (size_t i = 0; i < leases.leases_len; i++)
                strbuf_addf(sb, "lease %s %u\n", leases.leases[i].service, leases.leases[i].ip);
        for (size_t i = 0; i < events.len; i++)
                strbuf_addf(sb, "event %s\n", events.items[i].message);
        stored_replicas_release(&replicas);
        stored_leases_release(&leases);
        stored_events_release(&events);
}

/* All that a database says, or why it does not open. */
static char *dump(const char *path)
{
        struct strbuf sb = STRBUF_INIT(DUMP_MAX);
        struct store_report report = {0};
        struct store *store = NULL;
        struct err err = ERR_INIT;

        if (store_open(path, NULL, NULL, &store, &report, &err) < 0) {
                strbuf_addf(&sb, "does not open: %s\n", err.msg);
                return strbuf_take(&sb);
        }
        if (report.moved_to)
                strbuf_adds(&sb, "moved aside\n");
        dump_stacks(store, &sb);
        dump_rest(store, &sb);
        store_report_release(&report);
        store_close(store);
        return strbuf_take(&sb);
}

struct run {
        const char *path;
        int (*run)(struct store *store, struct err *err);
};

static int run_operation(void *ctx)
{
        const struct run *run = ctx;
        struct store_report report = {0};
        struct store *store = NULL;

        if (store_open(run->path, NULL, NULL, &store, &report, NULL) < 0 ||
            run->run(store, NULL) < 0)
                return 1;
        store_close(store);
        return 0;
}

/* A folder with the state that every run begins with. */
static char *fresh(const char *name)
{
        AUTO_FREE char *folder = file_join(top, name);
        char *path = file_join(folder, "state.db");
        struct store_report report = {0};
        struct store *store = NULL;
        struct err err = ERR_INIT;

        if (file_remove_tree(folder, &err) < 0 || file_mkdir_p(folder, 0700, &err) < 0 ||
            store_open(path, NULL, NULL, &store, &report, &err) < 0 || put_first(store, &err) < 0)
                printf("# %s\n", err.msg);
        store_report_release(&report);
        store_close(store);
        return path;
}

static unsigned test_operation(size_t op)
{
        AUTO_FREE char *before = NULL, *after = NULL;
        unsigned point = 0, wrong = 0, done = 0;
        int result = -1;

        for (point = 0; result < 0 && point < CRASH_MAX; point++) {
                AUTO_FREE char *path = fresh("db");
                AUTO_FREE char *state = NULL;
                struct run run = {path, operations[op].run};

                if (!before)
                        before = dump(path);
                /* The first run goes to its end: that is the state after. */
                result = crash_run(run_operation, &run, point);
                state = dump(path);
                if (!after) {
                        ok(result == 0 && !streq(state, before), "%s: works when left alone",
                           operations[op].name);
                        after = STEAL(state);
                        result = -1;
                        continue;
                }
                done += streq(state, after) ? 1 : 0;
                if (streq(state, before) || streq(state, after))
                        continue;
                wrong++;
                printf("# killed at write %u:\n%s", point, state);
        }
        point = point > 2 ? point - 2 : 0; /* without the first run and the last, not killed one */
        ok(wrong == 0 && point > 0 && result == 0,
           "%s: killed at %u writes, always the state before or after (%u times)",
           operations[op].name, point, done);
        return point;
}

int main(void)
{
        struct err err = ERR_INIT;
        unsigned points = 0;

        if (!mkdtemp(top))
                return 1;
        for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
                points += test_operation(i);
        tap_note("crash points: %u of %zu operations of the store", points, ARRAY_SIZE(operations));
        file_remove_tree(top, &err);
        return tap_done();
}
