/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a key that no table knows: what was meant, and where it belongs. */
#ifndef SCHEMA_UNKNOWN_H
#define SCHEMA_UNKNOWN_H

#include "schema/field.h"

/** A finding about an entry of a map that table describes; the reader's path ends with its key. */
void unknown_key_refuse(struct reader *r, const struct field *table, const struct entry *entry);

#endif
