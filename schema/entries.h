/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and maps of entries that have a short and a long form: walking them, and writing them. */
#ifndef SCHEMA_ENTRIES_H
#define SCHEMA_ENTRIES_H

#include "schema/field.h"

/* Reads one entry of a list into what the list is read into. */
typedef void entry_fn(struct reader *r, const struct field *field, const struct node *item,
                      void *value);

/* Reads one name of a list (options NULL) or of a map. */
typedef void name_fn(struct reader *r, const char *name, const struct mark *mark,
                     const struct node *options, void *value);

/** Read each entry of a list, with its index in the path; what is no list is a finding. */
void entries_read(struct reader *r, const struct field *field, const struct node *node,
                  entry_fn *read, void *value);

/** Read each name of a list or key of a map that is not reset; others are findings. */
void names_read(struct reader *r, const struct field *field, const struct node *node, name_fn *read,
                void *value);

/** The name that an entry is, or NULL after an error. */
const char *entry_name(struct reader *r, const struct node *item);

/** A finding when an entry is a map only for the blank behind a colon: "8080: 80", "./a: /b". */
bool entry_is_split(struct reader *r, const struct node *item);

/** A new list of objects; NULL when there are none. */
json_t *entries_write(const struct field *table, const void *items, size_t len, size_t size);

/** A new map of objects by the name they begin with; NULL when there are none. */
json_t *names_write(const struct field *table, const void *items, size_t len, size_t size);

#endif
