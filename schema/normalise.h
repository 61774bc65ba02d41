/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a manifest says to what it means: profiles, env_file, deploy folded into the flat keys,
 * the implied network, names as aliases, and one order for what has none.
 */
#ifndef SCHEMA_NORMALISE_H
#define SCHEMA_NORMALISE_H

#include "schema/draft.h"

/** profiles: those that are on, comma between; NULL: none. */
void normalise(struct reader *r, struct stack_draft *draft, const char *profiles);

#endif
