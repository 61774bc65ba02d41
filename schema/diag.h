/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting findings: see struct diags in schema/load.h. Each is one line of text with a place. */
#ifndef SCHEMA_DIAG_H
#define SCHEMA_DIAG_H

#include <stdarg.h>
#include <stdbool.h>

#include "schema/load.h"

/* Where something stands in a source. file NULL: the source has no places (JSON, a default). */
struct mark {
        const char *file;
        unsigned line, column; /* from 1 */
};

/** Add a finding; everything is copied. Past DIAGS_MAX only the count of errors goes on. */
void diags_add(struct diags *diags, enum diag_code code, const struct mark *mark, const char *path,
               const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void diags_addv(struct diags *diags, enum diag_code code, const struct mark *mark, const char *path,
                const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));

/** The same for one of several that may be shown as one line: subject is what they differ in. */
void diags_add_about(struct diags *diags, enum diag_code code, const struct mark *mark,
                     const char *path, const char *subject, const char *fmt, ...)
        __attribute__((format(printf, 6, 7)));

/** Turn warnings into errors, up to that code. */
void diags_harden(struct diags *diags, enum diag_code last);

/** Whether further findings are only counted: no need to word them with care. */
bool diags_full(const struct diags *diags);

/** Put findings in the order of the files and of the lines in them. */
void diags_sort(struct diags *diags, const char *const *files, size_t file_count);

#endif
