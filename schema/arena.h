/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is given back all at once: the trees of a load. It only grows; what is put in is
 * bounded by its callers (YAML_NODES_MAX and the file sizes).
 */
#ifndef SCHEMA_ARENA_H
#define SCHEMA_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/auto.h"

struct arena;

/** An empty arena; freeing it frees all that came from it. NULL is fine. */
struct arena *arena_new(void);
void arena_free(struct arena *arena);
AUTO_TYPE(arena)

/** n zeroed bytes, aligned for any type; never NULL. */
void *arena_alloc(struct arena *arena, size_t n);

/** Copies of n bytes of text and a NUL, of a string, of a formatted text. */
char *arena_strndup(struct arena *arena, const char *s, size_t n);
char *arena_strdup(struct arena *arena, const char *s);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** As array_push() of base/mem.h, the old array stays in the arena unused. */
void *arena_push(struct arena *arena, void **items, size_t *len, size_t size);

#endif
