/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the hooks of a service (post_start, pre_stop) in its guest, one after the other, until the
 * last one is done or one fails. The list is that of hooks_to_json(), which is also what is kept in
 * the instance's file: the next daemon runs hooks of services that no manifest has any more.
 */
#ifndef ORCHESTRATOR_HOOKS_H
#define ORCHESTRATOR_HOOKS_H

#include <jansson.h>

#include "base/strbuf.h"
#include "orchestrator/exec.h"

/* How much of a hook's output is kept for the message when it fails. */
#define HOOKS_OUTPUT_MAX 4096

/* A hook that was started. It outlives its run, until the guest says that it ended. */
struct hook_run;

struct hook_runner {
        struct guest *guest; /* borrowed; NULL: nothing runs */
        const json_t *list;  /* borrowed */
        size_t next;
        const char *what;
        struct hook_run *run;
        struct strbuf output;
        /* failure: NULL when all are done. */
        void (*on_done)(void *ctx, const char *failure);
        void *ctx;
};

/**
 * Run list (NULL: none), called what. on_done comes once: at once when there is nothing to run,
 * else from the loop; not after hook_runner_cancel().
 */
void hook_runner_start(struct hook_runner *h, struct guest *guest, const char *what,
                       const json_t *list, void (*on_done)(void *ctx, const char *failure),
                       void *ctx);

/** Kill the one that runs, and forget the rest. Safe on a zeroed or idle one. */
void hook_runner_cancel(struct hook_runner *h);

/** The guest is gone, and what ran in it: forget all. */
void hook_runner_drop(struct hook_runner *h);

#endif
