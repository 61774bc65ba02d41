/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of converge_test: a world in which things happen by chance, all from one seed, and the
 * promises that each step of a plan must keep.
 */
#ifndef TESTS_SCENARIO_CONVERGE_H
#define TESTS_SCENARIO_CONVERGE_H

#include "tests/scenario/world.h"

/* Networks that a VM is attached to, kept beside the facts: the reconciler does not know it. */
struct attached {
        char *vm, *stack, *network;
};

struct sim {
        struct world world;
        uint64_t state;
        bool faults;
        struct attached *attached;
        size_t attached_len;
        unsigned created, rerun, stopped, failed, surges, undone, steps; /* for the summary */
        char broken[256]; /* the first broken promise */
};

/** A number below n. */
unsigned sim_roll(struct sim *sim, unsigned n);

/** True once in n times, and never when faults are off. */
bool sim_fault(struct sim *sim, unsigned n);

/** Note a broken promise; the first one is kept. */
void sim_broken(struct sim *sim, const char *what, const struct step *step);

/** Services are called j0, j1.. (jobs that end) and s0, s1.. (that do not). */
bool sim_is_job(const char *service);

/** Change, add or drop a stack. */
void sim_edit(struct sim *sim);

/** Anything: an edit, a wish, time, what a driver does or what goes wrong. */
void sim_event(struct sim *sim);

/** All that is under way goes one step on. */
void sim_advance(struct sim *sim);

/** The promises about a step that is about to begin. */
void sim_check_step(struct sim *sim, const struct step *step);

/** What has begun is seen in the facts: it must not be planned again. */
void sim_check_not_again(struct sim *sim, const struct plan *begun);

/** The spec hash of a service as it is wanted; on the heap. */
char *sim_wanted_hash(struct sim *sim, const struct stack *stack, const struct service *service);

#endif
