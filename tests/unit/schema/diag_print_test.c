/* SPDX-License-Identifier: Apache-2.0 */
/* Which findings are one line of text, and that JSON has each of them. */
#include <string.h>

#include "schema/diag.h"
#include "tests/unit/schema/fixture.h"

static void add(struct diags *diags, const char *file, unsigned line, const char *path,
                const char *message)
{
        diags_add(diags, DIAG_IGNORED_KEY, &(struct mark){file, line, 5}, path, "%s", message);
}

static void add_about(struct diags *diags, enum diag_code code, unsigned line, const char *subject)
{
        diags_add_about(diags, code, &(struct mark){"a.yaml", line, 1}, "services.web", subject,
                        "%s is missing", subject);
}

static void is_printed(struct diags *diags, const char *expected, const char *name)
{
        AUTO_FREE char *text = fixture_print(diags);

        is_str(text, expected, "%s", name);
        diags_release(diags);
}

static void test_same(void)
{
        struct diags d = {0};

        add(&d, "a.yaml", 3, "services.a.logging", "ignored");
        add(&d, "a.yaml", 4, "services.a.cpuset", "ignored");
        add(&d, "a.yaml", 9, "services.b.logging", "ignored");
        add(&d, "b.yaml", 2, "services.c.logging", "ignored");
        add(&d, "b.yaml", 5, "services.c.security_opt[0]", "ignored");
        add(&d, "b.yaml", 6, "services.c.security_opt[1]", "ignored");
        add(&d, "b.yaml", 7, "services.c.security_opt[2]", "is another");
        is_printed(&d,
                   "a.yaml:3:5: warning: services.a.logging: ignored; also in line 9, b.yaml:2\n"
                   "a.yaml:4:5: warning: services.a.cpuset: ignored\n"
                   "b.yaml:5:5: warning: services.c.security_opt[0]: ignored; also in line 6\n"
                   "b.yaml:7:5: warning: services.c.security_opt[2]: is another\n",
                   "the same about the same key");
        for (unsigned i = 1; i <= 20; i++)
                add(&d, "a.yaml", i, "services.a.logging", "ignored");
        is_printed(&d,
                   "a.yaml:1:5: warning: services.a.logging: ignored; also in line 2, 3, 4, 5, 6, "
                   "7, 8, 9, 10, 11, 12, 13 and 7 more\n",
                   "lines have an end");
        add(&d, "a.yaml", 1, "services.a.logging", "ignored");
        add(&d, "a.yaml", 2, "services.b.logging", "ignored");
        diags_harden(&d, DIAG_CODES);
        is_printed(&d,
                   "a.yaml:1:5: error: services.a.logging: ignored\n"
                   "a.yaml:2:5: error: services.b.logging: ignored\n",
                   "errors are not put together");
}

static void test_names(void)
{
        struct diags d = {0};
        AUTO_JSON json_t *json = NULL;
        char name[16];

        add_about(&d, DIAG_IGNORED_KEY, 1, "shop-a");
        for (unsigned i = 1; i <= 22; i++) {
                (void)snprintf(name, sizeof(name), "V%u", i);
                add_about(&d, DIAG_UNSET_VARIABLE, i + 1, name);
        }
        diags_add(&d, DIAG_BAD_PATH, &(struct mark){"a.yaml", 23, 1}, "services.web", "is empty");
        json = diags_to_json(&d);
        ok(json_array_size(json) == 24, "JSON has each of them");
        is_printed(&d,
                   "a.yaml:1:1: warning: services.web: shop-a is missing\n"
                   "a.yaml:2:1: warning: 21 variables are not set, empty texts are used: V1, V2, "
                   "V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, V13, V14, V15, V16, V17, V18, V19, "
                   "V20 and 1 more; set them in the environment or in .env\n"
                   "a.yaml:23:1: warning: services.web: V22 is missing\n"
                   "a.yaml:23:1: error: services.web: is empty\n",
                   "names, but not the one of an error");
        for (unsigned i = 1; i <= 3; i++)
                add_about(&d, DIAG_UNSET_VARIABLE, i, i == 1 ? "A" : i == 2 ? "B" : "C");
        is_printed(&d,
                   "a.yaml:1:1: warning: services.web: A is missing\n"
                   "a.yaml:2:1: warning: services.web: B is missing\n"
                   "a.yaml:3:1: warning: services.web: C is missing\n",
                   "a few keep their places");
}

static void test_full(void)
{
        struct diags d = {0};
        AUTO_FREE char *text = NULL;
        char name[16];

        for (unsigned i = 1; i <= DIAGS_MAX + 50; i++) {
                (void)snprintf(name, sizeof(name), "V%u", i);
                add_about(&d, DIAG_UNSET_VARIABLE, i, name);
        }
        text = fixture_print(&d);
        ok(strstr(text, "100 variables are not set") && strstr(text, "more than 100 findings"),
           "as many as are kept");
        diags_release(&d);
}

int main(void)
{
        test_same();
        test_names();
        test_full();
        return tap_done();
}
