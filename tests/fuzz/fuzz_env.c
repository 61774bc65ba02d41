/* SPDX-License-Identifier: Apache-2.0 */
/* Env files from anyone, with quotes and without. */
#include <stdint.h>

#include "base/auto.h"
#include "base/mem.h"
#include "schema/diag.h"
#include "schema/dotenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const environ_[] = {"SET=value", "EMPTY=", NULL};
        AUTO_FREE char *text = xstrndup((const char *)data, size);

        for (int raw = 0; raw < 2; raw++) {
                struct env env = {.environ = environ_};
                struct diags diags = {0};
                int r = dotenv_read("fuzz.env", "", text, raw, &env, &diags);

                if ((r < 0) != (diags.errors > 0))
                        bug("fuzz: an error without a finding, or the other way round");
                for (size_t i = 0; i < env.vars.len; i++)
                        if (!env.vars.items[i].key[0] || !env.vars.items[i].value)
                                bug("fuzz: a variable without a name or value");
                diags_release(&diags);
                env_release(&env);
        }
        return 0;
}
