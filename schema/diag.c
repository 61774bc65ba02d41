/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/diag.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void diags_release(struct diags *diags)
{
        for (size_t i = 0; i < diags->len; i++) {
                free(diags->items[i].place.file);
                free(diags->items[i].path);
                free(diags->items[i].message);
        }
        free(diags->items);
        *diags = (struct diags){0};
}

bool diags_full(const struct diags *diags)
{
        return diags->len > DIAGS_MAX;
}

/* A warning about an anchor's content need not be repeated for each alias. */
static bool warned_before(const struct diags *diags, const struct mark *mark, const char *message)
{
        for (size_t i = 0; mark && i < diags->len; i++) {
                const struct diag *d = &diags->items[i];

                if (d->severity == DIAG_WARNING && d->place.line == mark->line &&
                    d->place.column == mark->column && streq(d->place.file, mark->file) &&
                    streq(d->message, message))
                        return true;
        }
        return false;
}

void diags_addv(struct diags *diags, enum diag_severity severity, const struct mark *mark,
                const char *path, const char *fmt, va_list ap)
{
        AUTO_FREE char *message = NULL;
        struct diag *d;

        if (severity == DIAG_ERROR)
                diags->errors++;
        if (diags_full(diags))
                return;
        message = xvasprintf(fmt, ap);
        if (severity == DIAG_WARNING && warned_before(diags, mark, message))
                return;
        d = array_push(&diags->items, &diags->len);
        d->severity = severity;
        if (diags->len > DIAGS_MAX) {
                d->path = xstrdup("");
                d->message = xasprintf("more than %d findings; the rest is not shown", DIAGS_MAX);
                return;
        }
        if (mark) {
                d->place.file = xstrdup(mark->file);
                d->place.line = mark->line;
                d->place.column = mark->column;
        }
        d->path = xstrdup(path ? path : "");
        d->message = STEAL(message);
}

void diags_add(struct diags *diags, enum diag_severity severity, const struct mark *mark,
               const char *path, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        diags_addv(diags, severity, mark, path, fmt, ap);
        va_end(ap);
}

struct sort_key {
        size_t file, index;
        struct diag diag;
};

static int compare_keys(const void *a, const void *b)
{
        const struct sort_key *x = a, *y = b;

        if (x->file != y->file)
                return x->file < y->file ? -1 : 1;
        if (x->diag.place.line != y->diag.place.line)
                return x->diag.place.line < y->diag.place.line ? -1 : 1;
        if (x->diag.place.column != y->diag.place.column)
                return x->diag.place.column < y->diag.place.column ? -1 : 1;
        return x->index < y->index ? -1 : 1;
}

static size_t file_rank(const char *file, const char *const *files, size_t count)
{
        size_t i = 0;

        while (i < count && !streq(file, files[i]))
                i++;
        return i;
}

void diags_sort(struct diags *diags, const char *const *files, size_t file_count)
{
        size_t n = diags->len < DIAGS_MAX ? diags->len : DIAGS_MAX; /* "the rest" stays last */
        AUTO_FREE struct sort_key *keys = xcalloc(n, sizeof(*keys));

        for (size_t i = 0; i < n; i++)
                keys[i] =
                        (struct sort_key){file_rank(diags->items[i].place.file, files, file_count),
                                          i, diags->items[i]};
        qsort(keys, n, sizeof(*keys), compare_keys);
        for (size_t i = 0; i < n; i++)
                diags->items[i] = keys[i].diag;
}

void diags_print(const struct diags *diags, FILE *f)
{
        for (size_t i = 0; i < diags->len; i++) {
                const struct diag *d = &diags->items[i];

                if (d->place.file && d->place.line)
                        (void)fprintf(f, "%s:%u:%u: ", d->place.file, d->place.line,
                                      d->place.column);
                else if (d->place.file)
                        (void)fprintf(f, "%s: ", d->place.file);
                (void)fprintf(f, "%s: %s%s%s\n", d->severity == DIAG_ERROR ? "error" : "warning",
                              d->path, d->path[0] ? ": " : "", d->message);
        }
}
