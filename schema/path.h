/* SPDX-License-Identifier: Apache-2.0 */
/* Where a walk through a tree stands: "services.web.ports[1]", for messages. */
#ifndef SCHEMA_PATH_H
#define SCHEMA_PATH_H

#include <stddef.h>

#include "schema/arena.h"

/* Deeper than any tree that the readers accept. */
#define PATH_DEPTH_MAX 80

struct path {
        struct {
                const char *key; /* borrowed; NULL: index */
                size_t index;
        } steps[PATH_DEPTH_MAX];

        size_t len;
};

/** One step deeper, or back. key: borrowed until the pop. Past PATH_DEPTH_MAX is a bug. */
void path_push_key(struct path *path, const char *key);
void path_push_index(struct path *path, size_t index);
void path_pop(struct path *path);

/** The text, in the arena; long keys are cut. */
char *path_text(const struct path *path, struct arena *arena);

#endif
