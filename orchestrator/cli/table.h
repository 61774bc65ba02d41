/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns of text, aligned by display width: a heading in capitals, no borders, two spaces between.
 * On a terminal the last column is cut to fit; piped output is whole.
 */
#ifndef ORCHESTRATOR_CLI_TABLE_H
#define ORCHESTRATOR_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

struct table {
        size_t columns;
        char **cells; /* row after row; the first row is the heading */
        size_t cells_len;
};

/** Start a table with its headings, NULL-terminated. */
void table_init(struct table *table, const char *const *headings);
void table_release(struct table *table);

/** Add the next cell (NULL and "" show as "-"), left to right. */
void table_add(struct table *table, const char *text);
void table_addf(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Print all rows. width: of the terminal, or 0 for no cutting. */
void table_print(const struct table *table, FILE *out, unsigned width);

/** Columns that text takes on a terminal (UTF-8; malformed bytes and controls count as one). */
size_t text_width(const char *text);

/** How many bytes of text fit into columns. */
size_t text_fit(const char *text, size_t columns);

/** Width and height of the terminal behind fd; 80 by 24 when it does not say. */
void terminal_size(int fd, unsigned *ret_columns, unsigned *ret_rows);

/**
 * A copy of text that cannot harm a terminal: control characters (also those of 0x80..0x9f) become
 * '?'. Guest output is shown as it is; names, reasons and messages are not.
 */
char *text_safe(const char *text);

#endif
