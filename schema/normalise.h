/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a manifest says to what it means: env_file, deploy folded into the flat keys,
 * the implied network, names as aliases, and one order for what has none.
 */
#ifndef SCHEMA_NORMALISE_H
#define SCHEMA_NORMALISE_H

#include "schema/draft.h"

/** All of the draft's services that are not off, and the stack. */
void normalise(struct reader *r, struct stack_draft *draft);

#endif
