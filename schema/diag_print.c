/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings as text. A file of thirty services has thirty times the same to say: warnings that are
 * alike are one line. Errors are never put together: each must be gone to.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/diag.h"
#include "schema/yaml.h"

/* Fewer of a kind are shown each at its place. */
#define GATHERED_MIN 4
/* Names, and lines, that one line of text holds. */
#define NAMES_MAX 20
#define LINES_MAX 12

/* Longer lines are cut: the caret must be found on a screen. */
#define SHOWN_MAX 160

#define TEXT_MAX (64 * 1024)

static bool same_file(const struct place *a, const struct place *b)
{
        return a->file && b->file && streq(a->file, b->file);
}

/* What is refused for want of a variable is best read with the warning beside it. */
static bool beside_error(const struct diags *diags, const struct diag *d)
{
        for (size_t i = 0; i < diags->len; i++) {
                const struct diag *other = &diags->items[i];

                if (other->severity == DIAG_ERROR && other->place.line == d->place.line &&
                    same_file(&other->place, &d->place))
                        return true;
        }
        return false;
}

struct listing {
        const struct diags *diags;
        bool gathered[DIAGS_MAX + 1]; /* it is one name in a line of several */
};

static size_t count_gathered(const struct listing *l, enum diag_code code)
{
        size_t n = 0;

        for (size_t i = 0; i < l->diags->len; i++)
                n += l->gathered[i] && l->diags->items[i].code == code;
        return n;
}

/* Unset variables, and images to be built: they differ in nothing but their names. */
static void gather(struct listing *l)
{
        static const enum diag_code codes[] = {DIAG_UNSET_VARIABLE, DIAG_IGNORED_KEY};
        const struct diag *items = l->diags->items;

        for (size_t i = 0; i < l->diags->len; i++)
                l->gathered[i] = items[i].severity == DIAG_WARNING && items[i].subject &&
                                 !beside_error(l->diags, &items[i]);
        for (size_t c = 0; c < ARRAY_SIZE(codes); c++) {
                if (count_gathered(l, codes[c]) >= GATHERED_MIN)
                        continue;
                for (size_t i = 0; i < l->diags->len; i++)
                        l->gathered[i] = l->gathered[i] && items[i].code != codes[c];
        }
}

/* The key at the end of a path, which an index may follow. */
static size_t key_of(const char *path, const char **ret)
{
        const char *dot = strrchr(path, '.');

        *ret = dot ? dot + 1 : path;
        return strcspn(*ret, "[");
}

static bool same_key(const struct diag *a, const struct diag *b)
{
        const char *x, *y;
        size_t n = key_of(a->path, &x);

        return n == key_of(b->path, &y) && strncmp(x, y, n) == 0;
}

/* Whether the two are one line. */
static bool alike(const struct listing *l, size_t i, size_t k)
{
        const struct diag *a = &l->diags->items[i], *b = &l->diags->items[k];

        if (a->severity != DIAG_WARNING || b->severity != DIAG_WARNING || a->code != b->code)
                return false;
        if (a->subject || b->subject)
                return l->gathered[i] && l->gathered[k];
        return a->place.line && b->place.line && same_key(a, b) && streq(a->message, b->message);
}

static bool led_by_another(const struct listing *l, size_t index)
{
        for (size_t i = 0; i < index; i++)
                if (alike(l, i, index))
                        return true;
        return false;
}

/* "; also in line 30, 50, 72". Nothing when it stands alone. */
static void add_lines(struct strbuf *out, const struct listing *l, size_t index)
{
        const struct diag *first = &l->diags->items[index];
        size_t n = 0;

        for (size_t i = index + 1; i < l->diags->len; i++) {
                const struct diag *d = &l->diags->items[i];

                if (!alike(l, index, i))
                        continue;
                if (++n > LINES_MAX)
                        continue;
                strbuf_adds(out, n == 1 ? "; also in line " : ", ");
                if (!same_file(&first->place, &d->place))
                        strbuf_addf(out, "%s:", d->place.file);
                strbuf_addf(out, "%u", d->place.line);
        }
        if (n > LINES_MAX)
                strbuf_addf(out, " and %zu more", n - LINES_MAX);
}

static void add_names(struct strbuf *out, const struct listing *l, enum diag_code code,
                      const char *separator, size_t max)
{
        size_t n = 0;

        for (size_t i = 0; i < l->diags->len; i++) {
                const struct diag *d = &l->diags->items[i];

                if (d->code == code && l->gathered[i] && ++n <= max)
                        strbuf_addf(out, "%s%.150s", n == 1 ? "" : separator, d->subject);
        }
        if (n > max)
                strbuf_addf(out, " and %zu more", n - max);
}

static void add_gathered(struct strbuf *out, const struct listing *l, enum diag_code code)
{
        size_t count = count_gathered(l, code);

        if (code == DIAG_UNSET_VARIABLE) {
                strbuf_addf(out, "%zu variables are not set, empty texts are used: ", count);
                add_names(out, l, code, ", ", NAMES_MAX);
                strbuf_adds(out, "; set them in the environment or in .env");
                return;
        }
        strbuf_addf(out,
                    "%zu images are not built here; build them under these names, as `docker "
                    "compose build` does, and load them with `docker save ",
                    count);
        add_names(out, l, code, " ", DIAGS_MAX);
        strbuf_adds(out, " | berth image load`");
}

static void print_one(const struct listing *l, size_t index, FILE *f)
{
        const struct diag *d = &l->diags->items[index];
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(TEXT_MAX);

        if (l->gathered[index]) {
                add_gathered(&text, l, d->code);
        } else {
                if (d->path[0])
                        strbuf_addf(&text, "%s: ", d->path);
                strbuf_adds(&text, d->message);
                add_lines(&text, l, index);
        }
        if (d->place.file && d->place.line)
                (void)fprintf(f, "%s:%u:%u: ", d->place.file, d->place.line, d->place.column);
        else if (d->place.file)
                (void)fprintf(f, "%s: ", d->place.file);
        (void)fprintf(f, "%s: %s\n", d->severity == DIAG_ERROR ? "error" : "warning",
                      strbuf_str(&text));
}

/* The line of the file that a finding is about, and a caret below its column. */
static void show_line(const struct place *place, const char *text, FILE *f)
{
        unsigned column = 1;
        size_t n;

        for (unsigned line = 1; line < place->line && text; line++) {
                text = strchr(text, '\n');
                text = text ? text + 1 : NULL;
        }
        if (!text)
                return;
        n = strcspn(text, "\r\n");
        if (place->column > SHOWN_MAX)
                return;
        (void)fprintf(f, "%6u | %.*s\n       | ", place->line, (int)(n < SHOWN_MAX ? n : SHOWN_MAX),
                      text);
        for (const char *p = text; column < place->column && p < text + n; p++) {
                if (((unsigned char)*p & 0xc0) == 0x80) /* columns count characters */
                        continue;
                (void)fputc(*p == '\t' ? '\t' : ' ', f);
                column++;
        }
        (void)fputs("^\n", f);
}

/* The file's text, read once for all findings in it. */
struct shown {
        char *text;
        const char *file;
};

static void show_place(struct shown *shown, const struct place *place, FILE *f)
{
        if (!place->file || !place->line || streq(place->file, "-"))
                return;
        if (!shown->file || !streq(shown->file, place->file)) {
                free(STEAL(shown->text));
                (void)file_read(place->file, YAML_SIZE_MAX, &shown->text, NULL,
                                NULL); /* without it, no line is shown */
                shown->file = place->file;
        }
        if (shown->text)
                show_line(place, shown->text, f);
}

static void print_all(const struct diags *diags, FILE *f, bool lines)
{
        struct listing l = {.diags = diags};
        struct shown shown = {0};

        gather(&l);
        for (size_t i = 0; i < diags->len; i++) {
                if (led_by_another(&l, i))
                        continue;
                print_one(&l, i, f);
                if (lines)
                        show_place(&shown, &diags->items[i].place, f);
        }
        free(shown.text);
}

void diags_print(const struct diags *diags, FILE *f)
{
        print_all(diags, f, false);
}

void diags_show(const struct diags *diags, FILE *f)
{
        print_all(diags, f, true);
}
