/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash points of the daemon's own operations, in the simulated world (tests/sim/sim.h): each
 * operation is asked for, and the daemon dies at the first effect after that, in the next run at
 * the second, and so on, until everything that follows from the operation is over: writes of the
 * database, files and folders made, renamed and removed, orders to VMs and networks. What the next
 * daemon finds wanted has to be the state before or after; then all must become as wanted, and
 * deleted stacks leave nothing.
 */
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/sim/sim.h"
#include "tests/tap.h"

#if defined(__SANITIZE_ADDRESS__)
#        define STRIDE 13 /* every so many effects */
#else
#        define STRIDE 1
#endif
#define POINTS_MAX 3000
#define LINES_MAX  8
#define STATES_MAX 3

#define WEB "service=0 replicas=1 restart=always"

/* What there is, then the operation. */
static const struct operation {
        const char *name;
        const char *before[4];
        const char *line;
} operations[] = {
        {"apply a first stack", {NULL}, "+0 apply a internal=0 " WEB " health=1 port=1"},
        {"apply another", {"+0 apply a internal=0 " WEB}, "+0 apply b internal=0 " WEB},
        {"apply a changed spec",
         {"+0 apply a internal=0 " WEB},
         "+0 apply a internal=0 " WEB " env=1"},
        {"apply a start-first change",
         {"+0 apply a internal=0 " WEB},
         "+0 apply a internal=0 " WEB " env=1 order=start-first port=1"},
        {"apply a changed network", {"+0 apply a internal=0 " WEB}, "+0 apply a internal=1 " WEB},
        {"create a volume", {NULL}, "+0 apply a internal=0 " WEB " volume=own"},
        {"create a shared volume", {NULL}, "+0 apply a internal=0 " WEB " volume=shared"},
        {"delete", {"+0 apply a internal=0 " WEB " volume=own"}, "+0 delete a 0"},
        {"delete with volumes", {"+0 apply a internal=0 " WEB " volume=own"}, "+0 delete a 1"},
        {"roll back",
         {"+0 apply a internal=0 " WEB, "+3000 apply a internal=0 " WEB " env=1"},
         "+0 rollback a"},
        {"an update that rolls itself back",
         {"+0 apply a internal=0 " WEB " action=rollback order=stop-first",
          "+3000 fault guest-run error 0"},
         "+0 apply a internal=0 " WEB " action=rollback order=stop-first env=1"},
        {"scale", {"+0 apply a internal=0 " WEB}, "+0 scale a 0 3"},
        {"stop", {"+0 apply a internal=0 " WEB}, "+0 stop a 0"},
        {"start", {"+0 apply a internal=0 " WEB, "+3000 stop a 0"}, "+0 start a 0"},
        {"restart", {"+0 apply a internal=0 " WEB}, "+0 restart a 0"},
        {"create a shared network", {NULL}, "+0 net-create 0"},
        {"remove a shared network", {"+0 net-create 0"}, "+0 net-rm"},
        {"join a shared network",
         {"+0 net-create 0", "+50 apply a internal=0 " WEB},
         "+0 apply a internal=0 external=1 " WEB},
        {"name a network", {"+0 apply a internal=0 " WEB}, "+0 apply a internal=0 named=1 " WEB},
        {"delete who named a network",
         {"+0 apply a internal=0 named=1 " WEB, "+3000 apply b internal=0 named=1 " WEB},
         "+0 delete a 0"},
        {"a VM ends", {"+0 apply a internal=0 " WEB}, "+0 vm-dies 0 2"},
        {"a netd ends", {"+0 apply a internal=0 " WEB}, "+0 net-dies 0"},
};

static void add(struct sim_event *events, size_t *n, const char *line)
{
        const char *wrong = sim_event_parse(line, &events[(*n)++]);

        if (wrong)
                ok(false, "%s: %s", line, wrong);
}

/* The events until the operation: everything has settled by then. */
static size_t begin(const struct operation *op, struct sim_event *events)
{
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(op->before) && op->before[i]; i++)
                add(events, &n, op->before[i]);
        add(events, &n, "+5000 room");
        return n;
}

/* What a daemon finds wanted that comes so long after the operation; NULL: without it. */
static uint64_t state(const struct operation *op, const char *outage)
{
        struct sim_event events[LINES_MAX];
        size_t n = begin(op, events);

        if (outage)
                add(events, &n, op->line);
        add(events, &n, outage ? outage : "+0 outage 0 0");
        add(events, &n, "+0 room");
        return sim_run_only(events, n)->opened;
}

static bool is_one_of(uint64_t found, const uint64_t *states)
{
        for (size_t i = 0; i < STATES_MAX; i++)
                if (states[i] == found)
                        return true;
        return false;
}

static unsigned test_operation(const struct operation *op)
{
        /* Deleted stacks are known as such for a while: that is between the two, and after. */
        const uint64_t states[STATES_MAX] = {state(op, NULL), state(op, "+0 outage 0 0"),
                                             state(op, "+9000 outage 0 0")};
        unsigned points = 0, wrong = 0, after = 0;

        for (unsigned effect = 0; effect < POINTS_MAX; effect += STRIDE) {
                AUTO_FREE char *crash = xasprintf("+0 crash %u", effect);
                struct sim_event events[LINES_MAX];
                size_t n = begin(op, events);
                const struct world *w;

                add(events, &n, crash);
                add(events, &n, op->line);
                add(events, &n, "+9000 room");
                w = sim_run(events, n);
                if (w->crashes == 0)
                        break;
                points++;
                after += w->opened != states[0];
                if (!w->broken[0] && is_one_of(w->opened, states))
                        continue;
                wrong++;
                printf("# killed at effect %u: %s\n", effect,
                       w->broken[0] ? w->broken : "neither the state before nor after");
        }
        ok(wrong == 0 && points > 0,
           "%s: killed at %u effects, always the state before or after (%u times), and all becomes "
           "as wanted",
           op->name, points, after);
        return points;
}

int main(void)
{
        char top[] = "/dev/shm/berth-crash.XXXXXX";
        struct err err = ERR_INIT;
        AUTO_FREE char *root = NULL;
        unsigned points = 0;

        if (!mkdtemp(top))
                return 1;
        root = file_join(top, "root");
        sim_root = root;
        for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
                points += test_operation(&operations[i]);
        tap_note("crash points: %u of %zu operations of the daemon, always the state before or "
                 "after",
                 points, ARRAY_SIZE(operations));
        (void)file_remove_tree(top, &err); /* in memory: gone with the machine at the latest */
        return tap_done();
}
