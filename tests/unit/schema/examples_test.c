/* SPDX-License-Identifier: Apache-2.0 */
/* What `berth explain` shows as an example is a manifest that berth takes without a word. */
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "schema/examples.h"
#include "tests/unit/schema/fixture.h"

#define TEXT_MAX 65536

/* What the examples of a service name. */
static const char *const others = "  db: {image: a, healthcheck: {test: x}}\n"
                                  "  migrate: {image: a}\n"
                                  "networks: {default: , front: , fixed: {ipam: {config: "
                                  "[{subnet: 10.20.0.0/24}]}}}\n"
                                  "volumes: {data: }\n"
                                  "configs: {app.conf: {content: x}}\n"
                                  "secrets: {password: {content: x}}\n";

static char *manifest_of(const struct example *e)
{
        struct strbuf text = STRBUF_INIT(TEXT_MAX);
        const char *line = e->text;

        if (!has_prefix(e->key, "services.")) {
                strbuf_addf(&text, "%s%s", e->text,
                            streq(e->key, "services") ? "" : "services: {web: {image: a}}\n");
                return strbuf_take(&text);
        }
        strbuf_adds(&text, "services:\n  web:\n    image: a\n");
        while (*line) {
                size_t n = strcspn(line, "\n");

                strbuf_addf(&text, "    %.*s\n", (int)n, line);
                line += n + (line[n] == '\n');
        }
        strbuf_adds(&text, others);
        return strbuf_take(&text);
}

int main(void)
{
        fixture_enter();
        fixture_write("base.yaml", "services: {db: {image: a}}\n");
        fixture_write("more.yaml", "services: {db: {tty: true}}\n");
        fixture_write("base.env", "A=1\n");
        fixture_write("password.txt", "x\n");
        for (const struct example *e = examples; e->key; e++) {
                AUTO(stack) struct stack *stack = NULL;
                AUTO_FREE char *text = manifest_of(e);
                AUTO_FREE char *said = NULL;

                is_int(fixture_load(text, &stack, &said), 0, "%s is read", e->key);
                is_str(said, "", "%s: nothing is said", e->key);
        }
        ok(example_of("services.*.ports") && !example_of("services.*.nothing"), "by their keys");
        return tap_done();
}
