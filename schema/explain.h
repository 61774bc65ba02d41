/* SPDX-License-Identifier: Apache-2.0 */
/* The field tables for people: `berth explain`, and the list of keys in docs/manifest.md. */
#ifndef SCHEMA_EXPLAIN_H
#define SCHEMA_EXPLAIN_H

#include <stdio.h>

#include "base/err.h"

/**
 * Print what a key means: kind, bounds, and the keys below it. path: "services.healthcheck" or
 * "services.web.healthcheck.interval"; "" for the top level.
 * 0; -ENOENT: no such key, err suggests the nearest.
 */
int field_explain(const char *path, FILE *f, struct err *err);

/** Print all keys as the tables of docs/manifest.md. */
void field_print_markdown(FILE *f);

#endif
