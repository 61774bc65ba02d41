/* SPDX-License-Identifier: Apache-2.0 */
/* Interpolation of all values of a tree (never of keys), before their types are looked at. */
#ifndef SCHEMA_VARIABLES_H
#define SCHEMA_VARIABLES_H

#include "schema/env.h"
#include "schema/tree.h"

/** Replace variables in place. Unset ones are warned of once per name. */
void variables_replace(struct arena *arena, const struct env *env, struct diags *diags,
                       struct node *root);

/** One text, in the arena; malformed ones stay as they are. */
const char *variables_text(struct arena *arena, const struct env *env, const char *text);

#endif
