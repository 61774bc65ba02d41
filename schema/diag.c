/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/diag.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

void diags_release(struct diags *diags)
{
        for (size_t i = 0; i < diags->len; i++) {
                free(diags->items[i].place.file);
                free(diags->items[i].path);
                free(diags->items[i].subject);
                free(diags->items[i].message);
        }
        free(diags->items);
        *diags = (struct diags){0};
}

bool diags_full(const struct diags *diags)
{
        return diags->len > DIAGS_MAX;
}

/* A finding about an anchor's content need not be repeated for each alias. */
static bool told_before(const struct diags *diags, const struct mark *mark, const char *message)
{
        for (size_t i = 0; mark && i < diags->len; i++) {
                const struct diag *d = &diags->items[i];

                if (d->place.line && d->place.line == mark->line &&
                    d->place.column == mark->column && streq(d->place.file, mark->file) &&
                    streq(d->message, message))
                        return true;
        }
        return false;
}

/* What becomes of a text whose variable is missing is no news: the variable was told of. */
static bool follows_variable(const struct diags *diags, enum diag_code code,
                             const struct mark *mark)
{
        if (!mark || code == DIAG_BAD_VARIABLE || code == DIAG_CONFLICT)
                return false;
        for (size_t i = 0; i < diags->len; i++) {
                const struct diag *d = &diags->items[i];

                if (d->code == DIAG_BAD_VARIABLE && d->place.line && d->place.line == mark->line &&
                    d->place.column == mark->column && streq(d->place.file, mark->file))
                        return true;
        }
        return false;
}

const char *diag_code_name(enum diag_code code)
{
        static const char *const names[] = {
                [DIAG_YAML_SYNTAX] = "yaml-syntax",
                [DIAG_DUPLICATE_KEY] = "duplicate-key",
                [DIAG_UNKNOWN_KEY] = "unknown-key",
                [DIAG_UNSUPPORTED_KEY] = "unsupported-key",
                [DIAG_UNSUPPORTED_VALUE] = "unsupported-value",
                [DIAG_BAD_TYPE] = "bad-type",
                [DIAG_BAD_VALUE] = "bad-value",
                [DIAG_BAD_NAME] = "bad-name",
                [DIAG_BAD_NUMBER] = "bad-number",
                [DIAG_BAD_SIZE] = "bad-size",
                [DIAG_BAD_DURATION] = "bad-duration",
                [DIAG_BAD_CHOICE] = "bad-choice",
                [DIAG_BAD_PORT] = "bad-port",
                [DIAG_BAD_ADDRESS] = "bad-address",
                [DIAG_BAD_PATH] = "bad-path",
                [DIAG_BAD_VARIABLE] = "bad-variable",
                [DIAG_MISSING_KEY] = "missing-key",
                [DIAG_UNDEFINED] = "undefined",
                [DIAG_CONFLICT] = "conflict",
                [DIAG_CYCLE] = "cycle",
                [DIAG_BAD_FILE] = "bad-file",
                [DIAG_LIMIT] = "limit",
                [DIAG_INCOMPLETE] = "incomplete",
                [DIAG_IGNORED_KEY] = "ignored-key",
                [DIAG_UNSET_VARIABLE] = "unset-variable",
                [DIAG_SUSPICIOUS] = "suspicious",
        };

        static_assert(ARRAY_SIZE(names) == DIAG_CODES, "each code has a name");
        return names[code];
}

static enum diag_severity severity_of(enum diag_code code)
{
        return code < DIAG_INCOMPLETE ? DIAG_ERROR : DIAG_WARNING;
}

/* NULL: it was told before, or there are too many. */
__attribute__((format(printf, 5, 0))) static struct diag *
addv(struct diags *diags, enum diag_code code, const struct mark *mark, const char *path,
     const char *fmt, va_list ap)
{
        enum diag_severity severity = severity_of(code);
        AUTO_FREE char *message = NULL;
        struct diag *d;

        if (diags_full(diags)) {
                diags->errors += severity == DIAG_ERROR;
                return NULL;
        }
        message = xvasprintf(fmt, ap);
        if (told_before(diags, mark, message) || follows_variable(diags, code, mark))
                return NULL;
        diags->errors += severity == DIAG_ERROR;
        d = array_push(&diags->items, &diags->len);
        d->severity = severity;
        d->code = code;
        if (diags->len > DIAGS_MAX) {
                d->code = DIAG_LIMIT;
                d->path = xstrdup("");
                d->message = xasprintf("more than %d findings; the rest is not shown", DIAGS_MAX);
                return NULL;
        }
        if (mark) {
                d->place.file = xstrdup(mark->file);
                d->place.line = mark->line;
                d->place.column = mark->column;
        }
        d->path = xstrdup(path ? path : "");
        d->message = STEAL(message);
        return d;
}

void diags_addv(struct diags *diags, enum diag_code code, const struct mark *mark, const char *path,
                const char *fmt, va_list ap)
{
        (void)addv(diags, code, mark, path, fmt, ap);
}

void diags_add(struct diags *diags, enum diag_code code, const struct mark *mark, const char *path,
               const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        (void)addv(diags, code, mark, path, fmt, ap);
        va_end(ap);
}

void diags_add_about(struct diags *diags, enum diag_code code, const struct mark *mark,
                     const char *path, const char *subject, const char *fmt, ...)
{
        struct diag *d;
        va_list ap;

        va_start(ap, fmt);
        d = addv(diags, code, mark, path, fmt, ap);
        va_end(ap);
        if (d)
                d->subject = xstrdup(subject);
}

void diags_harden(struct diags *diags, enum diag_code last)
{
        for (size_t i = 0; i < diags->len; i++) {
                struct diag *d = &diags->items[i];

                if (d->code > last)
                        continue;
                diags->errors += d->severity == DIAG_WARNING;
                d->severity = DIAG_ERROR;
        }
}

struct sort_key {
        size_t file, index;
        struct diag diag;
};

static int compare_keys(const void *a, const void *b)
{
        const struct sort_key *x = a, *y = b;

        int r = 0;

        if (x->file != y->file)
                return x->file < y->file ? -1 : 1;
        if (x->diag.place.file && y->diag.place.file)
                r = strcmp(x->diag.place.file, y->diag.place.file);
        if (r)
                return r;
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

json_t *diags_to_json(const struct diags *diags)
{
        json_t *array = json_array();

        for (size_t i = 0; i < diags->len; i++) {
                const struct diag *d = &diags->items[i];
                json_t *one = json_object();

                json_set_str(one, "severity", d->severity == DIAG_ERROR ? "error" : "warning");
                json_set_str(one, "code", diag_code_name(d->code));
                if (d->place.file)
                        json_set_str(one, "file", d->place.file);
                if (d->place.line) {
                        json_set_int(one, "line", d->place.line);
                        json_set_int(one, "column", d->place.column);
                }
                json_set_str(one, "path", d->path);
                json_set_str(one, "message", d->message);
                if (json_array_append_new(array, one) < 0)
                        bug("json_array_append_new");
        }
        return array;
}
