/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variables for interpolation. Sources in the order they are asked: the parent (whole), the process
 * environment, then what was set here, the last first.
 */
#ifndef SCHEMA_ENV_H
#define SCHEMA_ENV_H

#include "schema/arena.h"
#include "schema/diag.h"
#include "schema/manifest.h"

struct env {
        const struct env *parent;
        const char *const *environ; /* NAME=value, NULL at the end; may be NULL */
        struct kv_list vars;
        struct mark *marks; /* where each of them was set; no file: nowhere */
        size_t marks_len;
};

/** The value, or NULL when the variable is not set. */
const char *env_get(const struct env *env, const char *name);

/** Set a variable (copied); one of the environ or the parent still goes above it. */
void env_set(struct env *env, const char *name, const char *value);

/** The same, with the place of its line; the name of the file is borrowed. */
void env_set_at(struct env *env, const char *name, const char *value, const struct mark *mark);

/** The same variables, which live as long as the arena; the parent is still borrowed. */
const struct env *env_keep(struct arena *arena, const struct env *env);

/** Free the variables of this level; the parent is borrowed. A zeroed one is fine. */
void env_release(struct env *env);

#endif
