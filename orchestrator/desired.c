/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/desired.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "schema/load.h"

static json_t *diagnostics_json(const struct diags *diags)
{
        json_t *list = json_array();

        for (size_t i = 0; i < diags->len; i++) {
                AUTO_FREE char *text =
                        xasprintf("%s: %s", diags->items[i].path, diags->items[i].message);

                if (diags->items[i].severity == DIAG_ERROR)
                        (void)json_array_append_new(list, json_string(text)); /* invalid UTF-8:
                                                                                 left out */
        }
        return list;
}

int desired_new(const json_t *manifest, struct desired **ret, json_t **ret_diagnostics,
                struct err *err)
{
        AUTO(desired) struct desired *d = xnew(struct desired);
        struct diags diags = {0};
        int r;

        d->refs = 1;
        r = stack_from_json(manifest, &d->stack, &diags, err);
        if (r < 0 && ret_diagnostics)
                *ret_diagnostics = diagnostics_json(&diags);
        diags_release(&diags);
        if (r < 0)
                return r;
        d->manifest = stack_to_json(d->stack);
        *ret = STEAL(d);
        return 0;
}

struct desired *desired_ref(struct desired *desired)
{
        desired->refs++;
        return desired;
}

void desired_unref(struct desired *desired)
{
        if (!desired || --desired->refs)
                return;
        stack_free(desired->stack);
        json_decref(desired->manifest);
        free(desired->source);
        free(desired);
}
