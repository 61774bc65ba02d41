/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests from anyone: YAML files, canonical JSON, env files and variables. What loads must come
 * back the same through JSON and through YAML.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "schema/dotenv.h"
#include "schema/interpolate.h"
#include "schema/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const fuzz_environ[] = {"SET=value", "EMPTY=", "HOME=/home/me", NULL};

/* manifest_load() reads files: this one has no place on a disk. */
static int fuzz_load(const void *data, size_t size, struct stack **ret)
{
        AUTO_CLOSE int fd = memfd_create("manifest", MFD_CLOEXEC);
        AUTO_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
        const char *files[] = {path};
        const struct load_options options = {
                .files = files, .file_count = 1, .environ = fuzz_environ, .to_run = true};
        struct diags diags = {0};
        int r;

        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
                abort();
        r = manifest_load(&options, ret, &diags, NULL);
        if ((r < 0) != (diags.errors > 0))
                bug("fuzz: an error without a finding, or the other way round");
        diags_release(&diags);
        return r;
}

static int fuzz_from_json(const json_t *json, struct stack **ret)
{
        struct diags diags = {0};
        int r = stack_from_json(json, ret, &diags, NULL);

        diags_release(&diags);
        return r;
}

static void expect_same(const struct stack *stack, const char *expected)
{
        AUTO_JSON json_t *json = stack_to_json(stack);
        AUTO_FREE char *text = json_text(json);

        if (!streq(text, expected)) {
                (void)fprintf(stderr, "%s\n%s\n", expected, text);
                bug("fuzz: a stack changed on its way");
        }
}

static void round_trip(const struct stack *stack)
{
        AUTO_JSON json_t *json = stack_to_json(stack);
        AUTO_FREE char *text = json_text(json);
        AUTO_FREE char *yaml = manifest_yaml(json);
        struct stack *again = NULL;

        if (fuzz_from_json(json, &again) < 0)
                bug("fuzz: canonical JSON is refused");
        expect_same(again, text);
        stack_free(again);
        again = NULL;
        if (fuzz_load(yaml, strlen(yaml), &again) < 0) {
                (void)fprintf(stderr, "%s\n", yaml);
                bug("fuzz: canonical YAML is refused");
        }
        expect_same(again, text);
        stack_free(again);
}

static void fuzz_texts(const char *text)
{
        struct env env = {.environ = fuzz_environ};
        const struct interpolation in = {.env = &env};
        AUTO_FREE char *value = NULL;
        struct diags diags = {0};

        (void)interpolate(&in, text, &value, NULL);              /* must only end */
        (void)dotenv_read("env", "", text, false, &env, &diags); /* likewise */
        diags_release(&diags);
        env_release(&env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO_FREE char *text = xstrndup((const char *)data, size);
        AUTO_JSON json_t *json = NULL;
        struct stack *stack = NULL;

        if (fuzz_load(data, size, &stack) == 0)
                round_trip(stack);
        stack_free(STEAL(stack));
        if (json_parse((const char *)data, size, 1 << 20, "fuzz", &json, NULL) == 0 &&
            fuzz_from_json(json, &stack) == 0)
                round_trip(stack);
        stack_free(stack);
        fuzz_texts(text);
        return 0;
}
