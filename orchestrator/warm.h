/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of the warm pool (vz/pool.h): where its taps and its placeholder disks come
 * from, and when machines are given up because the host's memory is short. turn.c
 * says when they are made.
 */
#ifndef ORCHESTRATOR_WARM_H
#define ORCHESTRATOR_WARM_H

#include <ev.h>

#include "base/auto.h"
#include "base/err.h"
#include "vz/pool.h"

struct networks;
struct warm;

struct warm_env {
        struct ev_loop *loop;
        struct templates *templates;
        struct networks *networks; /* outlives it */
        const char *run_dir, *netd, *kernel, *initrd;
        enum vm_accel accel;
        unsigned size; /* machines a shape, at least 1 */
        void (*on_change)(void *ctx);
        void *ctx;
};

/** A pool that is filled by and by; env is borrowed for the call, what it names is not. */
int warm_new(const struct warm_env *env, struct warm **ret, struct err *err);

/** End it, and all machines that wait. NULL is fine. */
void warm_free(struct warm *warm);
AUTO_TYPE(warm)

/** The pool, to fill and to reserve from. */
struct pool *warm_pool(const struct warm *warm);

#endif
