/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the values of a loaded stack stand in its files: from a path of the canonical form, as a
 * diff has it ("environment.A", "ports[1].published", "scale"), to file, line and column. The
 * canonical form has values that are written elsewhere (`deploy.replicas`), put together from
 * several lists (`tmpfs` and `volumes`), or that stand in other files (env_file, extends, include,
 * anchors): the place is always that of the text that gave the value.
 *
 * It keeps the tree that the stack was read from, and what was noted while reading; a lookup walks
 * it. Knows nothing of diffs.
 */
#ifndef SCHEMA_PLACES_H
#define SCHEMA_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#include "schema/diag.h"

struct arena;
struct node;
struct note;
struct places;

/** From a tree whose sections are sorted by name. arena: taken, it owns root and notes. */
struct places *places_new(struct arena *arena, const struct node *root, struct note *notes,
                          size_t notes_len);
void places_free(struct places *places);
AUTO_TYPE(places)

/**
 * The place of a value, or the nearest one around it. what: "service", "network" or "volume"; path:
 * canonical, below the object; "": the object itself. *ret lives as long as places.
 * false: no file names the object (the network that all services share by default).
 */
bool places_find(const struct places *places, const char *what, const char *name, const char *path,
                 struct mark *ret);

#endif
