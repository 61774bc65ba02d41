/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that dies with us until we let it go. PR_SET_PDEATHSIG does the first half, but only the
 * child itself could undo it; a leash is a pipe that the kernel watches: when our end is closed,
 * which the end of our process does, it kills whoever has the other (O_ASYNC, F_SETSIG). Both
 * sides have the same open file, so that we can take the mark off.
 *
 *   leash_make, spawn_start with it --leash_let_go--> the child lives on without us
 *                                   --leash_pull or our end--> SIGKILL
 */
#ifndef BASE_LEASH_H
#define BASE_LEASH_H

#include "base/err.h"

struct leash {
        int ours, theirs; /* -1: none */
};

#define LEASH_NONE     \
        {              \
                -1, -1 \
        }

/** A leash for one child that is started next. */
int leash_make(struct leash *ret, struct err *err);

/** In the child, before exec: fd is the copy of leash->theirs that it keeps. -1: errno says why. */
int leash_put_on(int fd);

/** It is free: our end does not matter to it any more. Idempotent. */
void leash_let_go(struct leash *leash);

/** Kill it, if it was not let go. Idempotent. */
void leash_pull(struct leash *leash);

#endif
