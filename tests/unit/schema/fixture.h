/* SPDX-License-Identifier: Apache-2.0 */
/* A folder "shop" of its own for each test program, with manifests written as they are needed. */
#ifndef TESTS_UNIT_SCHEMA_FIXTURE_H
#define TESTS_UNIT_SCHEMA_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "schema/load.h"
#include "tests/tap.h"

static char fixture_root[] = "/tmp/berth-schema-XXXXXX";

static const char *const fixture_environ[] = {"HOME=/home/me", "SET=value", "EMPTY=", "PORT=8081",
                                              NULL};

__attribute__((unused)) static void fixture_leave(void)
{
        if (chdir("/") == 0)
                (void)file_remove_tree(fixture_root, NULL); /* a leftover is seen by the caller */
}

__attribute__((unused)) static void fixture_enter(void)
{
        AUTO_FREE char *dir = NULL;

        if (!mkdtemp(fixture_root))
                exit(99);
        dir = xasprintf("%s/shop", fixture_root);
        if (file_mkdir_p(dir, 0755, NULL) < 0 || chdir(dir) < 0)
                exit(99);
        (void)atexit(fixture_leave);
}

__attribute__((unused)) static void fixture_write(const char *path, const char *text)
{
        FILE *f = fopen(path, "we");

        if (!f || fputs(text, f) < 0 || fclose(f) != 0)
                exit(99);
}

/* All findings as diags_print() shows them. */
__attribute__((unused)) static char *fixture_print(const struct diags *diags)
{
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                exit(99);
        diags_print(diags, f);
        (void)fclose(f); /* a memstream cannot fail here */
        return text;
}

__attribute__((unused)) static int fixture_load_files(const char *const *files, size_t count,
                                                      struct stack **ret, char **ret_diags)
{
        const struct load_options options = {
                .files = files, .file_count = count, .environ = fixture_environ};
        struct diags diags = {0};
        int r = manifest_load(&options, ret, &diags, NULL);

        *ret_diags = fixture_print(&diags);
        diags_release(&diags);
        return r;
}

/* Load a text as stack.yaml. */
__attribute__((unused)) static int fixture_load(const char *yaml, struct stack **ret,
                                                char **ret_diags)
{
        static const char *const files[] = {"stack.yaml"};

        fixture_write(files[0], yaml);
        return fixture_load_files(files, 1, ret, ret_diags);
}

/* The canonical JSON of a stack comes back the same through JSON and through YAML. */
__attribute__((unused)) static void fixture_round_trip(const struct stack *stack, const char *name)
{
        AUTO_JSON json_t *json = stack_to_json(stack);
        AUTO_FREE char *before = json_text(json);
        AUTO_FREE char *yaml = manifest_yaml(json);
        struct stack *again = NULL;
        AUTO_FREE char *printed = NULL;
        struct diags diags = {0};
        AUTO_FREE char *text = NULL;

        if (ok(stack_from_json(json, &again, &diags, NULL) == 0, "%s: JSON is read back", name)) {
                AUTO_JSON json_t *after = stack_to_json(again);

                text = json_text(after);
                is_str(text, before, "%s: JSON round trip", name);
                stack_free(again);
        } else {
                diags_print(&diags, stdout);
        }
        diags_release(&diags);
        again = NULL;
        if (ok(fixture_load(yaml, &again, &printed) == 0, "%s: YAML is read back", name)) {
                AUTO_JSON json_t *after = stack_to_json(again);

                free(text);
                text = json_text(after);
                is_str(text, before, "%s: YAML round trip", name);
                stack_free(again);
        } else {
                printf("%s\n%s", yaml, printed);
        }
}

#endif
