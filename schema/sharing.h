/* SPDX-License-Identifier: Apache-2.0 */
/* Who mounts which named volume, and what the volume has to be therefore. */
#ifndef SCHEMA_SHARING_H
#define SCHEMA_SHARING_H

#include "schema/draft.h"

/** Choose the class of named volumes; a disk that several VMs would need to write is a finding. */
void settle_sharing(struct reader *r, struct stack_draft *draft);

#endif
