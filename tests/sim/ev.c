/* SPDX-License-Identifier: Apache-2.0 */
/* libev with a virtual clock: timers and posts in order of time, descriptors that never become
 * ready. What the daemon does not use of libev is not there. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

struct ev_loop {
        int unused;
};

/* One thing to come; timer: NULL for a post. */
struct coming {
        int64_t due_ms;
        uint64_t seq;
        ev_timer *timer;
        void (*fn)(void *owner, int arg);
        void *owner;
        int arg;
};

static struct coming *coming;
static size_t coming_len;
static uint64_t last_seq;

static struct coming *push(int64_t delay_ms)
{
        struct coming *c = array_push(&coming, &coming_len);

        c->due_ms = sim->mono_ms + (delay_ms > 0 ? delay_ms : 0);
        c->seq = ++last_seq;
        return c;
}

/* The order of the rest stays. array_push() doubles at powers of two: shrinking is fine with it. */
static void drop(size_t i)
{
        memmove(&coming[i], &coming[i + 1], (coming_len - i - 1) * sizeof(*coming));
        coming_len--;
}

void sim_post(int64_t delay_ms, void (*fn)(void *owner, int arg), void *owner, int arg)
{
        struct coming *c = push(delay_ms);

        c->fn = fn;
        c->owner = owner;
        c->arg = arg;
}

void sim_cancel(const void *owner)
{
        for (size_t i = coming_len; i-- > 0;)
                if (!coming[i].timer && coming[i].owner == owner)
                        drop(i);
}

static struct coming *earliest(void)
{
        struct coming *best = NULL;

        for (size_t i = 0; i < coming_len; i++)
                if (!best || coming[i].due_ms < best->due_ms ||
                    (coming[i].due_ms == best->due_ms && coming[i].seq < best->seq))
                        best = &coming[i];
        return best;
}

int64_t sim_next_due(void)
{
        const struct coming *c = earliest();

        return c ? c->due_ms : SIM_NEVER;
}

bool sim_dispatch(void)
{
        struct coming *c = earliest();
        struct coming now;

        if (!c || c->due_ms > sim->mono_ms)
                return false;
        now = *c;
        drop((size_t)(c - coming));
        if (now.timer) {
                now.timer->active = 0;
                now.timer->cb(sim_daemon->loop, now.timer, EV_TIMER);
        } else {
                now.fn(now.owner, now.arg);
        }
        return true;
}

struct ev_loop *ev_default_loop(unsigned int flags)
{
        static struct ev_loop loop;

        (void)flags;
        return &loop;
}

void ev_timer_start(struct ev_loop *loop, ev_timer *w)
{
        (void)loop;
        if (w->active)
                return;
        w->active = 1;
        push((int64_t)(w->at * 1000.0 + 0.5))->timer = w;
}

void ev_timer_stop(struct ev_loop *loop, ev_timer *w)
{
        (void)loop;
        for (size_t i = coming_len; w->active && i-- > 0;)
                if (coming[i].timer == w) {
                        drop(i);
                        break;
                }
        w->active = 0;
}

void ev_io_start(struct ev_loop *loop, ev_io *w)
{
        (void)loop;
        w->active = 1;
}

void ev_io_stop(struct ev_loop *loop, ev_io *w)
{
        (void)loop;
        w->active = 0;
}

void ev_break(struct ev_loop *loop, int how)
{
        (void)loop;
        (void)how;
        bug("nothing here ends the loop");
}

void ev_feed_event(struct ev_loop *loop, void *w, int revents)
{
        (void)loop;
        (void)w;
        (void)revents;
        bug("descriptors are not simulated");
}

/* Of orchestrator/run.c, the process around the daemon, which is not here. */
void daemon_end(struct daemon *d)
{
        (void)d;
        bug("nobody asked for the daemon's end");
}
