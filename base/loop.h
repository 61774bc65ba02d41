/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conventions on top of libev. Watchers are embedded in their owner; a callback is named
 * on_<noun>_<event>, finds its owner by container_of, translates, calls one method and returns.
 * Nothing blocks the loop, and nobody frees itself in its own callback: loop_defer_free().
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <ev.h>
#include <sys/types.h>

#include "base/err.h"

/**
 * Free an object after the present turn of the loop, when no callback of its own is on the stack.
 * p: taken. Its watchers must be stopped already. Order: first deferred, first freed.
 */
void loop_defer_free(struct ev_loop *loop, void (*free_fn)(void *p), void *p);

/** Tell once, from the loop, that a process ended (also one that is not our child). */
struct loop_child {
        ev_io watcher;
        int pidfd; /* ours until loop_child_stop() */
        void (*on_exit)(struct loop_child *child);
};

/** Watch pidfd (taken). on_exit is called once; the watcher is stopped by then. */
void loop_child_start(struct ev_loop *loop, struct loop_child *child, int pidfd,
                      void (*on_exit)(struct loop_child *child));

/** Stop watching and close the pidfd. Safe on a zeroed or stopped one. */
void loop_child_stop(struct ev_loop *loop, struct loop_child *child);

#endif
