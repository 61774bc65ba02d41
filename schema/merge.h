/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Later files over earlier ones, by the Compose Specification: maps merge, scalars are replaced,
 * lists grow; what each key does is its kind's merge rule. An empty value keeps the earlier one,
 * !reset removes it, !override replaces it whole.
 */
#ifndef SCHEMA_MERGE_H
#define SCHEMA_MERGE_H

#include "schema/field.h"

/** Merge the map over into the map base, which is changed. Mismatches are findings. */
void merge_maps(struct reader *r, const struct field *table, struct node *base,
                const struct node *over);

#endif
