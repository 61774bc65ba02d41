/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/profiles.h"

#include <string.h>

#include "base/mem.h"

/* on: names with commas between, NULL is none; "*" is all. */
static bool profile_on(const char *on, const char *name)
{
        size_t n = strlen(name);

        for (const char *p = on; p && *p; p += *p == ',') {
                size_t len = strcspn(p, ",");

                if ((len == n && strncmp(p, name, n) == 0) || (len == 1 && *p == '*'))
                        return true;
                p += len;
        }
        return false;
}

bool profiles_off(const char *on, const struct node *service)
{
        const struct node *list = node_get(service, "profiles");
        bool many = list && list->kind == NODE_SEQ;
        size_t n = !list || list->tag == TAG_RESET ? 0 : many ? list->len : 1;
        bool off = false;

        for (size_t i = 0; i < n; i++) {
                const char *name = (many ? list->items[i] : list)->text;

                if (name && profile_on(on, name))
                        return false;
                off = off || name;
        }
        return off;
}
