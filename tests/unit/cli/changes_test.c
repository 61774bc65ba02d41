/* SPDX-License-Identifier: Apache-2.0 */
/* The text of `berth diff` against golden files: tests/cli/NAME.json in, tests/cli/NAME.txt out. */
#include <stdlib.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/changes.h"
#include "tests/tap.h"

static char *text_of(const json_t *input, bool colour)
{
        struct changes_head head = {
                .stack = json_str(input, "stack", "shop"),
                .revision = json_int(input, "revision", 0),
                .source = json_str(input, "source", NULL),
                .services = (size_t)json_int(input, "services", 0),
                .volumes = (size_t)json_int(input, "volumes", 0),
                .colour = colour,
        };
        struct strbuf out = STRBUF_INIT(CHANGES_TEXT_MAX);

        changes_text(&head, json_object_get(input, "changes"), &out);
        return strbuf_take(&out);
}

static void test_golden(const char *name)
{
        AUTO_FREE char *in = xasprintf("tests/cli/%s.json", name);
        AUTO_FREE char *out = xasprintf("tests/cli/%s.txt", name);
        AUTO_FREE char *json = NULL, *want = NULL, *got = NULL;
        AUTO_JSON json_t *input = NULL;
        size_t len = 0;

        if (file_read(in, 1 << 20, &json, &len, NULL) < 0 ||
            file_read(out, 1 << 20, &want, NULL, NULL) < 0 ||
            json_parse(json, len, 1 << 20, in, &input, NULL) < 0) {
                ok(false, "%s can be read", name);
                return;
        }
        got = text_of(input, false);
        is_str(got, want, "%s", name);
}

static void test_colour(void)
{
        AUTO_JSON json_t *input =
                json_loads("{\"changes\": [{\"kind\": \"create\", \"what\": \"service\", "
                           "\"name\": \"a\\u001b[31m\", \"fields\": []}]}",
                           0, NULL);
        AUTO_FREE char *with = text_of(input, true), *without = text_of(input, false);

        has_str(with, "\033[32m  +\033[0m", "colours where they are wanted");
        ok(!strchr(without, '\033'), "none elsewhere, not even from a name");
}

int main(void)
{
        test_golden("diff-none");
        test_golden("diff-new");
        test_golden("diff-all");
        test_colour();
        return tap_done();
}
