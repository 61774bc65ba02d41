/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/explain.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/draft.h"
#include "schema/suggest.h"

static const char *use_name(const struct field *field)
{
        switch (field->use) {
        case FIELD_USED:
                return "supported";
        case FIELD_QUIET:
                return "accepted, without effect";
        case FIELD_IGNORED:
                return "ignored with a warning";
        case FIELD_REFUSED:
                return "refused";
        }
        bug("field use");
}

static const char *form_name(const struct field *field)
{
        return field->kind ? field->kind->form : "";
}

static void print_children(const struct field *table, FILE *f)
{
        (void)fprintf(f, "\nKeys:\n");
        for (; table->name; table++)
                if (table->use == FIELD_USED)
                        (void)fprintf(f, "  %-18s %s\n", table->name, table->doc);
}

static void print_field(const char *path, const struct field *field, FILE *f)
{
        const struct field *children = field_children(field);

        (void)fprintf(f, "%s: %s\n", path, field->doc);
        if (field->use != FIELD_USED)
                (void)fprintf(f, "\nThis key is %s.\n", use_name(field));
        else
                (void)fprintf(f, "\nValue: %s%s\n", form_name(field),
                              field->required ? ", required" : "");
        if (children)
                print_children(children, f);
}

static int refuse_unknown(const char *name, const struct field *table, struct err *err)
{
        struct suggestion s = SUGGESTION_INIT(name);

        for (; table->name; table++)
                suggest_offer(&s, table->name);
        if (s.best)
                return err_set(err, ENOENT, "no key '%.60s'; did you mean '%s'?", name, s.best);
        return err_set(err, ENOENT, "no key '%.60s'", name);
}

int field_explain(const char *path, FILE *f, struct err *err)
{
        AUTO_FREE char *copy = xstrdup(path);
        const struct field *table = stack_fields, *found = NULL;
        bool named = false;
        char *rest = *path ? copy : NULL;

        while (rest) {
                const char *step = strsep(&rest, ".");
                const struct field *field = table ? field_find(table, step) : NULL;

                if (!field && named && rest) { /* the name of an object */
                        named = false;
                        continue;
                }
                if (!field)
                        return table ? refuse_unknown(step, table, err)
                                     : err_set(err, ENOENT, "nothing is below '%s'", found->name);
                found = field;
                table = field_children(field);
                named = field->kind &&
                        (field->kind->merge == MERGE_NAMED || field->kind->merge == MERGE_NAMES);
        }
        if (found)
                print_field(path, found, f);
        else
                print_children(stack_fields, f);
        return 0;
}

static void print_rows(const char *prefix, const struct field *table, FILE *f)
{
        for (; table->name; table++) {
                const struct field *children = field_children(table);
                AUTO_FREE char *path = xasprintf("%s%s", prefix, table->name);
                AUTO_FREE char *next = xasprintf("%s.", path);

                (void)fprintf(f, "| `%s` | %s | %s | %s |\n", path, use_name(table),
                              form_name(table), table->doc);
                if (children && !(table->kind && table->kind->merge == MERGE_NAMED))
                        print_rows(next, children, f);
        }
}

void field_print_markdown(FILE *f)
{
        const struct field *table;

        (void)fprintf(f,
                      "### Top level\n\n| Key | Status | Value | Meaning |\n|---|---|---|---|\n");
        print_rows("", stack_fields, f);
        for (table = stack_fields; table->name; table++) {
                const struct field *children = field_children(table);

                if (!children || !table->kind || table->kind->merge != MERGE_NAMED)
                        continue;
                (void)fprintf(f,
                              "\n### %s.NAME\n\n| Key | Status | Value | Meaning |\n"
                              "|---|---|---|---|\n",
                              table->name);
                print_rows("", children, f);
        }
}
