/* SPDX-License-Identifier: Apache-2.0 */
/* Who mounts which named volume: one that a VM writes to cannot be had by a second one. */
#ifndef SCHEMA_SHARING_H
#define SCHEMA_SHARING_H

#include "schema/draft.h"

/** Findings for named volumes that several VMs would mount, one of them for writing. */
void validate_sharing(struct reader *r, const struct stack_draft *draft);

#endif
