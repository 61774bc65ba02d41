/* SPDX-License-Identifier: Apache-2.0 */
/* What only the whole stack can tell: names that lead nowhere, cycles, clashes. */
#ifndef SCHEMA_VALIDATE_H
#define SCHEMA_VALIDATE_H

#include "schema/draft.h"

/** Check a normalised draft; all problems become findings. */
void validate(struct reader *r, struct stack_draft *draft);

/** Addresses that services ask for: within the subnet, not twice on a network. */
void validate_addresses(struct reader *r, const struct stack_draft *draft);

/** Dependency cycles alone: each named whole, at the place that closes it. */
void validate_cycles(struct reader *r, const struct stack_draft *draft);

#endif
