/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of networks, and what those of volumes have in common with them. */
#ifndef SCHEMA_NETWORK_FIELDS_H
#define SCHEMA_NETWORK_FIELDS_H

#include "schema/field.h"

#define SHAPE_EXTERNAL "{'type':['boolean','string','object','null']}"

extern const struct kind kind_driver; /* arg: the names of the one that there is */

/** `external: true`, and the old `external: {name: x}`, which sets *ret_name, too. */
void external_read(struct reader *r, const struct node *node, const struct field *field, bool *ret,
                   char **ret_name);

/** What an external network is like was said where it was made: other keys are ignored. */
void network_end(struct reader *r, void *element, const struct node *node);

#endif
