/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema/stack.schema.json is what the tables say. To write it anew, from the root of the sources:
 * UPDATE=1 build/bin/tests/unit/schema/jsonschema_test
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "schema/draft.h"
#include "schema/jsonschema.h"
#include "tests/tap.h"

#define FILE_NAME "schema/stack.schema.json"

static void test_file(void)
{
        AUTO_JSON json_t *schema = manifest_schema();
        AUTO_FREE char *expected = json_pretty(schema);
        AUTO_FREE char *text = NULL;

        if (getenv("UPDATE"))
                ok(file_write_atomic(FILE_NAME, expected, strlen(expected), 0644, NULL) == 0,
                   "written");
        if (file_read(FILE_NAME, 4 << 20, &text, NULL, NULL) < 0)
                printf("# %s is not below this folder\n", FILE_NAME);
        else
                ok(streq(text, expected), FILE_NAME " is what the tables say");
}

/* Every key of every table is there, with what it means. */
static void check_table(const struct field *table, const json_t *schema)
{
        const json_t *properties = json_object_get(schema, "properties");

        for (; table->name; table++) {
                const json_t *one = json_object_get(properties, table->name);

                ok(one && strstr(json_str(one, "description", ""), table->doc), "%s", table->name);
        }
        is_int((int64_t)json_object_size(json_object_get(schema, "patternProperties")), 1,
               "x- keys");
        ok(json_is_false(json_object_get(schema, "additionalProperties")), "and no others");
}

int main(void)
{
        AUTO_JSON json_t *schema = manifest_schema();

        test_file();
        check_table(stack_fields, schema);
        return tap_done();
}
