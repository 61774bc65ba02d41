/* SPDX-License-Identifier: Apache-2.0 */
/* The field tables for people: the list of keys in docs/manifest.md. */
#ifndef SCHEMA_EXPLAIN_H
#define SCHEMA_EXPLAIN_H

#include <stdio.h>

/** Print all keys as the tables of docs/manifest.md. */
void field_print_markdown(FILE *f);

#endif
