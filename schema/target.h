/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the entries of `volumes`, `configs` and `secrets` are in the guest: what tells whether two
 * of them, in one file or in two, are the same one.
 */
#ifndef SCHEMA_TARGET_H
#define SCHEMA_TARGET_H

#include "schema/entries.h"

/** path made absolute, lexically: no double slashes, no "." and "..", no slash at the end. */
char *target_clean(struct arena *arena, const char *path);

/**
 * The path where an entry is mounted, in the arena; empty when it does not say. folder: where
 * configs or secrets are when they are only named; NULL: of volumes.
 */
const char *target_key(struct arena *arena, const struct node *item, const char *folder);

/**
 * entries_read() for a list of such entries: of several at one path the last one counts, as with
 * Compose; a warning tells.
 */
void targets_read(struct reader *r, const struct field *field, const struct node *node,
                  entry_fn *read, void *value);

#endif
