/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole daemon in a simulated world (tests/sim/sim.h): random manifests, commands and faults
 * from a seed. Promises are checked after every callback; when faults stop, everything has to
 * become as wanted; deleted, nothing may be left. A seed that breaks a promise is shrunk to a
 * scenario.
 *
 *   simulation_test            the scenarios of tests/sim/scenario, then seeds 1, 2...
 *   simulation_test SEED...    these, with what happens (-v first)
 *   simulation_test FILE...    scenarios
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/sim/sim.h"
#include "tests/tap.h"

#if defined(__SANITIZE_ADDRESS__)
#        define RUNS 60
#else
#        define RUNS 2000
#endif
#define EVENTS     26 /* of each run */
#define EVENTS_MAX 1000

static struct {
        unsigned runs, bad, lives, effects, calls, steps, created, surges, stopped, edits, changes,
                deletes, refused, undone, crashes, deaths, net_deaths, lost, fulls, jumps, reboots,
                unable;
        unsigned faults[HOW_COUNT];
} total;

static void add_up(const struct world *w)
{
        total.runs++;
        total.bad += w->broken[0] != '\0';
        total.lives += w->lives;
        total.effects += w->effects;
        total.calls += w->calls;
        total.steps += w->steps;
        total.created += w->created;
        total.surges += w->surges;
        total.stopped += w->stopped;
        total.edits += w->edits;
        total.changes += w->changes;
        total.deletes += w->deletes;
        total.refused += w->refused;
        total.undone += w->undone;
        total.crashes += w->crashes;
        total.deaths += w->deaths;
        total.net_deaths += w->net_deaths;
        total.lost += w->lost;
        total.fulls += w->fulls;
        total.jumps += w->jumps;
        total.reboots += w->reboots;
        total.unable += w->unable;
        for (size_t i = 0; i < HOW_COUNT; i++)
                total.faults[i] += w->faults[i];
}

static void print_summary(void)
{
        tap_note("simulation of the daemon: %u runs of %d events: %u lives of the daemon, %u "
                 "steps, %u VMs (%u beside "
                 "another), %u stopped, %u rollbacks",
                 total.runs, EVENTS, total.lives, total.steps, total.created, total.surges,
                 total.stopped, total.undone);
        tap_note("simulation of the daemon, asked: %u applies (%u refused), %u commands, %u "
                 "deletes; %u driver calls, %u "
                 "effects on disk and drivers",
                 total.edits, total.refused, total.changes, total.deletes, total.calls,
                 total.effects);
        tap_note("simulation of the daemon, faults: %u errors, %u hangs, %u slow, %u partial, %u "
                 "doubled, %u conversations "
                 "lost, %u VMs and %u netds dead, %u daemon deaths, %u reboots, %u full disks, %u "
                 "clock jumps, %u starts refused by the disk",
                 total.faults[HOW_ERROR], total.faults[HOW_HANG], total.faults[HOW_SLOW],
                 total.faults[HOW_PARTIAL], total.faults[HOW_DOUBLE], total.lost, total.deaths,
                 total.net_deaths, total.crashes, total.reboots, total.fulls, total.jumps,
                 total.unable);
}

static void print_events(const struct sim_event *events, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                AUTO_FREE char *text = sim_event_text(&events[i]);

                printf("#   %s\n", text);
        }
}

static void draw(uint64_t seed, struct sim_event *events)
{
        for (unsigned i = 0; i < EVENTS; i++)
                sim_event_draw(seed, i, &events[i]);
}

/* one: its result is told also when it is good. */
static void run_seed(unsigned seed, bool one)
{
        struct sim_event events[EVENTS];
        const struct world *w;
        size_t n = EVENTS;
        unsigned runs;

        draw(seed, events);
        w = sim_run(events, n);
        add_up(w);
        if (one || w->broken[0])
                ok(!w->broken[0], "seed %u: %s", seed,
                   w->broken[0] ? w->broken : "all promises kept");
        if (!w->broken[0] || getenv("BERTH_SIM_NO_SHRINK"))
                return;
        sim_verbose = false;
        runs = sim_shrink(events, &n);
        printf("# shrunk to %zu events in %u runs; for a file in tests/sim/scenario:\n", n, runs);
        print_events(events, n);
}

static void run_file(const char *path)
{
        struct sim_event *events = xcalloc(EVENTS_MAX, sizeof(*events));
        AUTO_FREE char *text = NULL;
        struct err err = ERR_INIT;
        const char *wrong = NULL;
        char *save = NULL;
        size_t n = 0;

        if (file_read(path, 1u << 20, &text, NULL, &err) < 0)
                wrong = err.msg;
        for (char *line = text ? strtok_r(text, "\n", &save) : NULL;
             line && !wrong && n < EVENTS_MAX; line = strtok_r(NULL, "\n", &save))
                if (line[0] != '#')
                        wrong = sim_event_parse(line, &events[n++]);
        if (!wrong)
                wrong = sim_run(events, n)->broken;
        ok(!*wrong, "%s: %s", path, *wrong ? wrong : "all promises kept");
        free(events);
}

static void run_scenarios(void)
{
        AUTO_DIR DIR *dir = opendir("tests/sim/scenario");
        const struct dirent *de;

        while (dir && (de = readdir(dir))) {
                AUTO_FREE char *path = file_join("tests/sim/scenario", de->d_name);

                if (strstr(de->d_name, ".sim"))
                        run_file(path);
        }
}

/* Text and back is the same event; equal events, equal traces. */
static void test_determinism(void)
{
        struct sim_event events[EVENTS], again;
        unsigned different = 0;
        uint64_t trace;

        for (unsigned seed = 1; seed <= 5; seed++) {
                draw(seed, events);
                for (size_t i = 0; i < EVENTS; i++) {
                        AUTO_FREE char *text = sim_event_text(&events[i]), *back = NULL;

                        if (sim_event_parse(text, &again))
                                different++;
                        back = sim_event_text(&again);
                        different += !streq(text, back);
                }
                trace = sim_run(events, EVENTS)->trace;
                different += sim_run(events, EVENTS)->trace != trace;
        }
        ok(different == 0, "one seed is one run: same events, same trace");
}

int main(int argc, char **argv)
{
        char *runs_text = getenv("BERTH_SIM_RUNS");
        unsigned runs = runs_text ? (unsigned)strtoul(runs_text, NULL, 10) : RUNS;
        char top[] = "/dev/shm/berth-sim.XXXXXX";
        struct err err = ERR_INIT;
        AUTO_FREE char *root = NULL;

        if (!mkdtemp(top))
                return 1;
        root = file_join(top, "root");
        sim_root = root;
        for (int i = 1; i < argc; i++) {
                if (streq(argv[i], "-v"))
                        sim_verbose = true;
                else if (strchr(argv[i], '.'))
                        run_file(argv[i]);
                else
                        run_seed((unsigned)strtoul(argv[i], NULL, 10), true);
        }
        if (argc == 1) {
                test_determinism();
                run_scenarios();
                for (unsigned seed = 1; seed <= runs; seed++)
                        run_seed(seed, false);
                ok(total.bad == 0, "%u runs keep all promises, %u do not", total.runs, total.bad);
        }
        print_summary();
        (void)file_remove_tree(top, &err); /* in memory: gone with the machine at the latest */
        return tap_done();
}
