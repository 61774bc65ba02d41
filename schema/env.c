/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/env.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *env_get(const struct env *env, const char *name)
{
        const char *value = env->parent ? env_get(env->parent, name) : NULL;
        size_t n = strlen(name);

        if (value)
                return value;
        for (const char *const *e = env->environ; e && *e; e++)
                if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
                        return *e + n + 1;
        for (size_t i = env->vars.len; i > 0; i--)
                if (streq(env->vars.items[i - 1].key, name))
                        return env->vars.items[i - 1].value;
        return NULL;
}

void env_set_at(struct env *env, const char *name, const char *value, const struct mark *mark)
{
        struct kv *kv = array_push(&env->vars.items, &env->vars.len);

        kv->key = xstrdup(name);
        kv->value = xstrdup(value);
        *array_push(&env->marks, &env->marks_len) = *mark;
}

void env_set(struct env *env, const char *name, const char *value)
{
        env_set_at(env, name, value, &(struct mark){0});
}

const struct env *env_keep(struct arena *arena, const struct env *env)
{
        size_t n = env->vars.len;
        const char **pairs = arena_alloc(arena, (n + 1) * sizeof(*pairs));
        struct env *kept = arena_alloc(arena, sizeof(*kept));

        assert(!env->environ);
        for (size_t i = 0; i < n; i++) /* the last one set is the first one found */
                pairs[i] = arena_printf(arena, "%s=%s", env->vars.items[n - 1 - i].key,
                                        env->vars.items[n - 1 - i].value);
        pairs[n] = NULL;
        *kept = (struct env){.parent = env->parent, .environ = pairs};
        return kept;
}

void env_release(struct env *env)
{
        for (size_t i = 0; i < env->vars.len; i++) {
                free(env->vars.items[i].key);
                free(env->vars.items[i].value);
        }
        free(env->vars.items);
        free(env->marks);
        *env = (struct env){0};
}
