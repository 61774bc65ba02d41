/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of the Compose Specification is in the tables, with what becomes of it. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "schema/draft.h"
#include "tests/tap.h"

#define KEYS "tests/conformance/keys.txt"

static const struct field *find(char *path)
{
        const struct field *table = stack_fields, *field = NULL;
        char *rest = path;

        while (rest) {
                const char *step = strsep(&rest, ".");

                if (streq(step, "*"))
                        continue;
                field = table ? field_find(table, step) : NULL;
                if (!field)
                        return NULL;
                table = field_children(field);
        }
        return field;
}

int main(void)
{
        AUTO_FREE char *text = NULL;
        char *rest;
        int n = 0;

        if (file_read(KEYS, 1 << 20, &text, NULL, NULL) < 0) {
                printf("# %s is not below this folder\n", KEYS);
                ok(true, "nothing to compare with");
                return tap_done();
        }
        rest = text;
        while (rest) {
                const char *line = strsep(&rest, "\n");
                AUTO_FREE char *copy = xstrdup(line);
                const struct field *field;

                if (!*line || *line == '#')
                        continue;
                field = find(copy);
                n++;
                ok(field && field->doc && field->doc[0], "%s", line);
        }
        ok(n > 250, "%d keys", n);
        return tap_done();
}
