/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys in docs/manifest.md are those of the tables. To write them anew, from the root of the
 * sources: UPDATE=1 build/bin/tests/unit/schema/docs_test
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "schema/draft.h"
#include "schema/explain.h"
#include "tests/tap.h"

#define DOCS "docs/manifest.md"
#define MARK "(UPDATE=1 writes it). -->\n"

static char *tables(void)
{
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        field_print_markdown(f);
        (void)fclose(f);
        return text;
}

static void test_docs(void)
{
        AUTO_FREE char *expected = tables();
        AUTO_FREE char *docs = NULL;
        AUTO_FREE char *updated = NULL;
        char *behind;

        if (file_read(DOCS, 1 << 20, &docs, NULL, NULL) < 0) {
                printf("# %s is not below this folder\n", DOCS);
                return;
        }
        behind = strstr(docs, MARK);
        if (!ok(behind != NULL, DOCS " has the mark"))
                return;
        behind += strlen(MARK);
        if (getenv("UPDATE")) {
                updated = xasprintf("%.*s%s", (int)(behind - docs), docs, expected);
                ok(file_write_atomic(DOCS, updated, strlen(updated), 0644, NULL) == 0, "written");
                return;
        }
        ok(streq(behind, expected), DOCS " has the keys of the tables");
}

/* Every row: documented once, of a kind when it is used, in bounds that make sense. */
static void check_table(const char *path, const struct field *table)
{
        for (const struct field *f = table; f->name; f++) {
                const struct field *children = field_children(f);

                if (!children && f->kind)
                        children = f->kind->long_form;

                ok(f->doc && f->doc[0], "%s.%s has a doc", path, f->name);
                ok((f->use == FIELD_USED) == (f->kind != NULL), "%s.%s has a kind when used", path,
                   f->name);
                ok(field_find(table, f->name) == f, "%s.%s is there once", path, f->name);
                ok(f->min <= f->max || f->max == 0, "%s.%s has bounds", path, f->name);
                if (children)
                        check_table(f->name, children);
        }
}

int main(void)
{
        test_docs();
        check_table("", stack_fields);
        return tap_done();
}
