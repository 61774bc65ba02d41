/* SPDX-License-Identifier: Apache-2.0 */
/* Durations, sizes, ports and mounts as people write them; canonical forms are read back. */
#include <stdint.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "schema/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_duration(const char *text)
{
        char canonical[VALUE_DURATION_MAX];
        int64_t ms = -1, again = -2;

        if (value_duration_ms(text, &ms, NULL) < 0)
                return;
        value_duration_text(ms, canonical);
        if (ms < 0 || value_duration_ms(canonical, &again, NULL) < 0 || again != ms)
                bug("fuzz: a duration changed");
}

static void check_size(const char *text)
{
        int64_t n = -1;

        if (value_bytes(text, &n, NULL) == 0 && n < 0)
                bug("fuzz: a negative size");
}

/* A service with text as the only item of the list key. */
static void check_item(const char *key, const char *text)
{
        AUTO_JSON json_t *json = json_pack("{sss{s{sss[s]}}}", "name", "s", "services", "a",
                                           "image", "a", key, text);
        AUTO(stack) struct stack *stack = NULL, *again = NULL;
        AUTO_JSON json_t *first = NULL, *second = NULL;
        struct diags diags = {0};

        if (!json || stack_from_json(json, &stack, &diags, NULL) < 0) {
                diags_release(&diags);
                return;
        }
        first = stack_to_json(stack);
        if (stack_from_json(first, &again, &diags, NULL) < 0)
                bug("fuzz: canonical JSON is refused");
        second = stack_to_json(again);
        if (!json_equal(first, second))
                bug("fuzz: a value changed on its way");
        diags_release(&diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO_FREE char *text = xstrndup((const char *)data, size);

        check_duration(text);
        check_size(text);
        check_item("ports", text);
        check_item("volumes", text);
        check_item("extra_hosts", text);
        check_item("tmpfs", text);
        return 0;
}
