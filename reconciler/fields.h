/* SPDX-License-Identifier: Apache-2.0 */
/* Field by field comparison of canonical JSON, for the diff only. */
#ifndef RECONCILER_FIELDS_H
#define RECONCILER_FIELDS_H

#include <jansson.h>

#include "reconciler/diff.h"

/** Add what differs between two objects to change->fields, in the order of keys. */
void fields_compare(struct change *change, const json_t *before, const json_t *after);

/** The same for two specs of one service, with the contents of files it is given. */
void fields_of_service(const struct stack *stack_before, const struct service *before,
                       const struct stack *stack_after, const struct service *after,
                       struct change *change);

/** A list of pairs as an object. A new reference. */
json_t *fields_pairs(const struct kv_list *list);

#endif
