/* SPDX-License-Identifier: Apache-2.0 */
/* Text with variables; what is escaped must come out as it was. */
#include <stdint.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/interpolate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_escaped(const struct interpolation *in, const char *text)
{
        AUTO_STRBUF struct strbuf escaped = STRBUF_INIT(2 * INTERPOLATE_MAX);
        AUTO_FREE char *value = NULL;
        int r;

        for (const char *p = text; *p; p++) {
                strbuf_addc(&escaped, *p);
                if (*p == '$')
                        strbuf_addc(&escaped, '$');
        }
        r = interpolate(in, strbuf_str(&escaped), &value, NULL);
        if (r < 0 || (r == 0 && !streq(value, text)) || (r == 1 && strchr(text, '$')))
                bug("fuzz: escaped text changed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const environ_[] = {"SET=value", "EMPTY=", "DOLLAR=$SET", NULL};
        struct env env = {.environ = environ_};
        const struct interpolation in = {.env = &env};
        AUTO_FREE char *text = xstrndup((const char *)data, size);
        AUTO_FREE char *value = NULL;

        (void)interpolate(&in, text, &value, NULL); /* must only end */
        check_escaped(&in, text);
        return 0;
}
