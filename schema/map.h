/* SPDX-License-Identifier: Apache-2.0 */
/* What a map of a YAML document needs once all its keys are there. */
#ifndef SCHEMA_MAP_H
#define SCHEMA_MAP_H

#include "schema/tree.h"

/**
 * Refuse duplicate keys, and put what `<<` names into the map: its own keys win, then the first of
 * a list of maps. 0: done; -EINVAL: findings were added.
 */
int map_finish(struct arena *arena, struct diags *diags, struct node *map);

#endif
