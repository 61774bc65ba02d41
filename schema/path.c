/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/path.h"

#include "base/mem.h"
#include "base/strbuf.h"

/* A message need not repeat more of a hostile key. */
#define KEY_SHOWN "%.80s"

void path_push_key(struct path *path, const char *key)
{
        if (path->len >= PATH_DEPTH_MAX)
                bug("path: too deep");
        path->steps[path->len].key = key;
        path->len++;
}

void path_push_index(struct path *path, size_t index)
{
        path_push_key(path, NULL);
        path->steps[path->len - 1].index = index;
}

void path_pop(struct path *path)
{
        if (path->len == 0)
                bug("path: nothing to pop");
        path->len--;
}

char *path_text(const struct path *path, struct arena *arena)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(PATH_DEPTH_MAX * 100);

        for (size_t i = 0; i < path->len; i++) {
                if (!path->steps[i].key)
                        strbuf_addf(&out, "[%zu]", path->steps[i].index);
                else
                        strbuf_addf(&out, "%s" KEY_SHOWN, i ? "." : "", path->steps[i].key);
        }
        return arena_strdup(arena, strbuf_str(&out));
}
