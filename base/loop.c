/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"

struct deferred {
        ev_timer timer;
        void (*free_fn)(void *p);
        void *p;
};

static void on_deferred_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct deferred *d = container_of(w, struct deferred, timer);

        (void)loop;
        (void)revents;
        d->free_fn(d->p);
        free(d);
}

void loop_defer_free(struct ev_loop *loop, void (*free_fn)(void *p), void *p)
{
        struct deferred *d = xnew(struct deferred);

        d->free_fn = free_fn;
        d->p = p;
        ev_timer_init(&d->timer, on_deferred_due, 0.0, 0.0);
        ev_timer_start(loop, &d->timer);
}

static void on_child_exit(struct ev_loop *loop, ev_io *w, int revents)
{
        struct loop_child *child = container_of(w, struct loop_child, watcher);

        (void)revents;
        ev_io_stop(loop, w);
        child->on_exit(child);
}

void loop_child_start(struct ev_loop *loop, struct loop_child *child, int pidfd,
                      void (*on_exit)(struct loop_child *child))
{
        child->pidfd = pidfd;
        child->on_exit = on_exit;
        ev_io_init(&child->watcher, on_child_exit, pidfd, EV_READ);
        ev_io_start(loop, &child->watcher);
}

void loop_child_stop(struct ev_loop *loop, struct loop_child *child)
{
        if (!child->on_exit)
                return;
        ev_io_stop(loop, &child->watcher);
        (void)close(child->pidfd); /* a pidfd has nothing to flush */
        child->pidfd = -1;
        child->on_exit = NULL;
}
