/* SPDX-License-Identifier: Apache-2.0 */
/* One run: lives of the daemon, one after the other, until everything that can happen has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/sim/sim.h"

#define BEGIN_MS     1000000 /* clocks, far from 0, which means "never" */
#define WALL_MS      (INT64_C(1800000000) * 1000)
#define DOWN_MS      120     /* from a daemon's death to the next one */
#define SETTLE_MS    3600000 /* more than the longest chain of back-offs, stops and starts */
#define STARTS_MAX   400     /* of VMs while it settles */
#define LIVES_MAX    400
#define LIFE_SECONDS 60 /* of real time: then it hangs */

static const struct sim_event *events;
static size_t events_len;

/* ------------------------------------------------------------------------ one life of the daemon
 */

static void init_roots(struct roots *roots)
{
        roots->root = xstrdup(sim_root);
        roots->state = xstrdup(sim_root);
        roots->run = file_join(sim_root, "run");
        roots->images = file_join(sim_root, "images");
        roots->cache = file_join(sim_root, "cache");
}

static int open_daemon(struct daemon *d, struct err *err)
{
        int r;

        daemon_init(d, ev_default_loop(0));
        init_roots(&d->roots);
        d->kernel = xstrdup("/dev/null");
        d->initrd = xstrdup("/dev/null");
        d->storage = xstrdup("/dev/null");
        d->netd = xstrdup("/dev/null");
        r = daemon_make_folders(d, err);
        if (r == 0)
                r = daemon_open(d, err);
        if (r < 0)
                return r;
        d->accel_known = true;
        d->accel.accel = d->env.accel = ACCEL_KVM;
        sim_check_opened();
        daemon_dirty(d);
        return 0;
}

static void enter(enum sim_phase phase)
{
        sim_trace("-- phase %d", phase);
        sim->phase = phase;
        sim->phase_since_ms = sim->mono_ms;
        sim->starts = 0;
}

/* Of stacks that name one disk, only one can have it: the users of the others give up. */
static void end_conflicts(void)
{
        bool taken = false;
        struct err err = ERR_INIT;

        for (size_t i = 0; i < sim_daemon->desired_len; i++) {
                const struct stack *stack = sim_daemon->desired[i]->stack;
                bool names = false;

                for (size_t s = 0; s < stack->services_len; s++)
                        for (size_t v = 0; v < stack->services[s].volumes_len; v++)
                                names = names ||
                                        streq(stack->services[s].volumes[v].source, "common");
                if (names && taken) {
                        sim->promised[stack->name[0] - 'a'].delete_asked = true;
                        (void)daemon_delete(sim_daemon, stack->name, false, &err);
                }
                taken = taken || names;
        }
}

/* Faults stop, what is ill recovers, images are there: now all must become as wanted. */
static void begin_settling(void)
{
        sim->full = false;
        sim->crash_in = 0;
        memset(sim->armed, 0, sizeof(sim->armed));
        memset(sim->sick, 0, sizeof(sim->sick));
        for (size_t i = 0; i < SIM_IMAGES; i++)
                sim->images[i].present = true;
        images_forget(sim_daemon->images);
        end_conflicts();
        daemon_dirty(sim_daemon);
        enter(PHASE_SETTLE);
}

static void begin_deleting(void)
{
        struct err err = ERR_INIT;

        for (unsigned i = 0; i < SIM_STACKS; i++) {
                char name[] = {(char)('a' + i), '\0'};

                sim->promised[i].delete_asked = true;
                (void)daemon_delete(sim_daemon, name, true, &err); /* unknown ones, too */
        }
        sim->promised_net = false;
        enter(PHASE_DELETE);
}

/* The network that was made for itself stays with the last of its users. */
static void remove_shared(void)
{
        struct err err = ERR_INIT;

        if (shared_find(sim_daemon->shared, "x"))
                (void)daemon_network_delete(sim_daemon, "x",
                                            &err); /* in use: with the next quiet */
}

/* Nothing more is due now. */
static void on_quiet(void)
{
        bool late = sim->mono_ms - sim->phase_since_ms > SETTLE_MS || sim->starts > STARTS_MAX;
        char why[300] = "";

        switch (sim->phase) {
        case PHASE_EVENTS:
                if (sim->next_event == events_len && sim->only_events)
                        enter(PHASE_OVER);
                else if (sim->next_event == events_len)
                        begin_settling();
                return;
        case PHASE_SETTLE:
                if (sim_is_settled(why, sizeof(why)) && sim_is_as_wanted(why, sizeof(why)))
                        begin_deleting();
                else if (late)
                        sim_broken("does not become as wanted: %s", why);
                return;
        case PHASE_DELETE:
                remove_shared();
                if (sim_nothing_left(why, sizeof(why)))
                        enter(PHASE_OVER);
                else if (late)
                        sim_broken("deleted stacks leave something: %s", why);
                return;
        case PHASE_OVER:
                return;
        }
}

static bool event_is_due(void)
{
        return sim->next_event < events_len &&
               sim->event_at_ms + events[sim->next_event].wait_ms <= sim->mono_ms;
}

static int64_t least(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

static void pass_time(void)
{
        int64_t next = least(sim_next_due(), sim_world_next());

        if (sim->next_event < events_len)
                next = least(next, sim->event_at_ms + events[sim->next_event].wait_ms);
        if (next == SIM_NEVER) /* only the deadline is left */
                next = sim->mono_ms + 60000;
        if (next > sim->mono_ms)
                sim->busy = 0;
        if (next > sim->mono_ms)
                sim->mono_ms = next;
}

static void live(void)
{
        sim_world_advance();
        if (sim_dispatch()) {
                sim_check_step();
                return;
        }
        if (event_is_due()) {
                const struct sim_event *event = &events[sim->next_event++];

                sim->event_at_ms += event->wait_ms;
                sim_event_run(event);
                sim_check_step();
                return;
        }
        on_quiet();
        pass_time();
}

static int life(void)
{
        struct daemon daemon;
        struct err err = ERR_INIT;
        int r;

        sim_daemon = &daemon;
        sim_disk_init();
        r = open_daemon(&daemon, &err);
        while (r == 0 && sim->phase != PHASE_OVER && !sim->broken[0])
                live();
        if (r < 0)
                sim_trace("the daemon cannot begin: %s", err.msg);
        if (r < 0 && sim->unable > 50)
                sim_broken("the daemon cannot begin: %s", err.msg);
        sim->crash_in = 0;
        daemon_close(&daemon);
        return r < 0 ? LIFE_UNABLE : LIFE_OVER;
}

/* ------------------------------------------------------------------------------------ the parent
 */

/* What OpenSSL sets up at its first use takes a tenth of a life: every child inherits it. */
static void warm_up(void)
{
        char digest[DIGEST_TEXT_MAX];

        digest_text("", 0, digest);
}

static void init_world(void)
{
        if (!sim) {
                sim = mmap(NULL, sizeof(*sim), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                           -1, 0);
                if (sim == MAP_FAILED)
                        bug("no shared memory");
                warm_up();
        }
        memset(sim, 0, sizeof(*sim));
        sim->mono_ms = sim->event_at_ms = BEGIN_MS;
        sim->wall_offset_ms = WALL_MS;
        sim->random = UINT64_C(0x2545f4914f6cdd1d);
        sim->trace = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < SIM_IMAGES; i++)
                sim->images[i].present = true;
}

static void note_end(int status)
{
        if (WIFSIGNALED(status))
                sim_broken("the daemon ends by signal %d: %s", WTERMSIG(status),
                           WTERMSIG(status) == SIGALRM ? "it hangs" : "see above");
        else if (WEXITSTATUS(status) != LIFE_OVER && WEXITSTATUS(status) != LIFE_CRASHED &&
                 WEXITSTATUS(status) != LIFE_UNABLE)
                sim_broken("the daemon ends with %d: see above", WEXITSTATUS(status));
        sim->mono_ms += DOWN_MS;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != LIFE_UNABLE)
                return;
        sim->unable++; /* whoever looks after it makes room and starts it again */
        sim->full = false;
}

/* Libraries that clean up at exit take their time; the search for leaks is at exit, too. */
static _Noreturn void end_life(int how)
{
#if defined(__SANITIZE_ADDRESS__)
        exit(how);
#else
        (void)fflush(stdout);
        _exit(how);
#endif
}

static void one_life(void)
{
        int status = 0;
        pid_t pid;

        (void)fflush(stdout);
        sim->lives++;
        pid = fork();
        if (pid < 0)
                bug("no fork");
        if (pid == 0) {
                (void)alarm(LIFE_SECONDS);
                end_life(life());
        }
        if (waitpid(pid, &status, 0) < 0)
                bug("a child is gone");
        note_end(status);
}

static const struct world *run(const struct sim_event *list, size_t n, bool only_events)
{
        struct err err = ERR_INIT;

        init_world();
        sim->only_events = only_events;
        events = list;
        events_len = n;
        if (file_remove_tree(sim_root, &err) < 0)
                sim_broken("cannot begin: %s", err.msg);
        while (sim->phase != PHASE_OVER && !sim->broken[0]) {
                if (sim->lives > LIVES_MAX)
                        sim_broken("it dies for ever: %u lives", sim->lives);
                else
                        one_life();
        }
        return sim;
}

const struct world *sim_run(const struct sim_event *list, size_t n)
{
        return run(list, n, false);
}

const struct world *sim_run_only(const struct sim_event *list, size_t n)
{
        return run(list, n, true);
}

/* ----------------------------------------------------------------------------------- shrinking */

void sim_promise_of(const struct world *world, char *ret, size_t size)
{
        (void)snprintf(ret, size, "%.*s", (int)strcspn(world->broken, ":"), world->broken);
}

struct shrinking {
        struct sim_event *events;
        size_t n;
        char promise[120];
        unsigned runs;
};

static bool still_breaks(struct shrinking *s, const struct sim_event *list, size_t n)
{
        char promise[120];

        s->runs++;
        sim_promise_of(sim_run(list, n), promise, sizeof(promise));
        return streq(promise, s->promise);
}

/* Leave out pieces of ever smaller size. */
static void drop_events(struct shrinking *s)
{
        struct sim_event *list = xcalloc(s->n, sizeof(*list));

        for (size_t size = s->n / 2; size > 0; size /= 2)
                for (size_t at = 0; at < s->n;) {
                        size_t cut = at + size < s->n ? size : s->n - at;

                        memcpy(list, s->events, at * sizeof(*list));
                        memcpy(list + at, s->events + at + cut, (s->n - at - cut) * sizeof(*list));
                        if (!still_breaks(s, list, s->n - cut)) {
                                at += cut;
                                continue;
                        }
                        s->n -= cut;
                        memcpy(s->events, list, s->n * sizeof(*list));
                }
        free(list);
}

static void simplify_manifests(struct shrinking *s)
{
        for (size_t i = 0; i < s->n; i++)
                for (unsigned part = 0; s->events[i].verb == VERB_APPLY; part++) {
                        struct sim_event before = s->events[i];

                        if (!sim_manifest_simplify(&s->events[i].manifest, part))
                                break;
                        if (memcmp(&before, &s->events[i], sizeof(before)) != 0 &&
                            !still_breaks(s, s->events, s->n))
                                s->events[i] = before;
                }
}

static void simplify_numbers(struct shrinking *s)
{
        for (size_t i = 0; i < s->n; i++) {
                unsigned *values[] = {&s->events[i].wait_ms, &s->events[i].a, &s->events[i].b,
                                      &s->events[i].c};

                for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
                        unsigned before = *values[k];

                        if (before == 0 || (k == 2 && s->events[i].verb == VERB_FAULT))
                                continue;
                        *values[k] = 0;
                        if (!still_breaks(s, s->events, s->n))
                                *values[k] = before;
                }
        }
}

unsigned sim_shrink(struct sim_event *list, size_t *n)
{
        struct shrinking s = {.events = list, .n = *n};
        size_t before;

        sim_promise_of(sim_run(list, *n), s.promise, sizeof(s.promise));
        do {
                before = s.n;
                drop_events(&s);
                simplify_manifests(&s);
                simplify_numbers(&s);
        } while (s.n < before);
        *n = s.n;
        return s.runs;
}
