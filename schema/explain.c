/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/explain.h"

#include "base/mem.h"
#include "schema/draft.h"

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
