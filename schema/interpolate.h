/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables in text, as the Compose Specification has them:
 *
 *   $NAME ${NAME}           the value; unset: "" and on_unset is told
 *   ${NAME:-d} ${NAME-d}    d when unset or empty / unset
 *   ${NAME:?m} ${NAME?m}    an error with text m when unset or empty / unset
 *   ${NAME:+r} ${NAME+r}    r when set and not empty / set, else ""
 *   $$                      a dollar sign
 *   $ before anything else  itself
 *
 * d, m and r are interpolated in turn, and only when they are used. Values are not.
 */
#ifndef SCHEMA_INTERPOLATE_H
#define SCHEMA_INTERPOLATE_H

#include <stddef.h>

#include "base/err.h"
#include "schema/env.h"

/* Longest result, and deepest ${A:-${B:-...}}. */
#define INTERPOLATE_MAX       (4 * 1024 * 1024)
#define INTERPOLATE_DEPTH_MAX 32

struct interpolation {
        const struct env *env;
        void (*on_unset)(void *arg, const char *name);   /* may be NULL */
        void (*on_missing)(void *arg, const char *name); /* required; may be NULL */
        void *arg;
};

/**
 * Interpolate text; *ret: on the heap.
 * 0: done. 1: nothing to do, *ret untouched. -EINVAL: malformed, or a required variable is missing.
 */
int interpolate(const struct interpolation *in, const char *text, char **ret, struct err *err);

/** Length of a variable's name at the start of s, 0 when there is none. */
size_t interpolate_name_len(const char *s);

#endif
