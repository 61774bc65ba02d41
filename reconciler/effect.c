/* SPDX-License-Identifier: Apache-2.0 */
/* Which change of a service does what: the one table, used by the plan's hash and by the diff. */
#include <assert.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "reconciler/diff.h"

/* Canonical keys (most of `deploy` is `scale`, `restart` and limits); the rest takes a new VM. */
static const struct {
        const char *path;
        enum change_effect effect;
} effects[] = {
        {"depends_on", EFFECT_UPDATE},
        {"deploy", EFFECT_UPDATE}, /* update_config, rollback_config: the rest is elsewhere */
        {"healthcheck", EFFECT_UPDATE},
        {"labels", EFFECT_NONE},
        {"pull_policy", EFFECT_UPDATE},
        {"restart", EFFECT_UPDATE},
        {"scale", EFFECT_UPDATE},
        {"stop_grace_period", EFFECT_UPDATE},
        {"x-berth.oneshot", EFFECT_UPDATE},
};

static const char *const effect_names[] = {
        [EFFECT_NONE] = "none", [EFFECT_UPDATE] = "update", [EFFECT_REPLACE] = "replace"};
static_assert(ARRAY_SIZE(effect_names) == EFFECT_REPLACE + 1, "a name for each effect");

static const char *const kind_names[] = {
        [CHANGE_CREATE] = "create",
        [CHANGE_REPLACE] = "replace",
        [CHANGE_UPDATE] = "update",
        [CHANGE_REMOVE] = "remove",
};
static_assert(ARRAY_SIZE(kind_names) == CHANGE_REMOVE + 1, "a name for each kind");

enum change_effect field_effect(const char *path)
{
        for (size_t i = 0; i < ARRAY_SIZE(effects); i++) {
                size_t n = strlen(effects[i].path);

                if (has_prefix(path, effects[i].path) &&
                    (path[n] == '\0' || path[n] == '.' || path[n] == '['))
                        return effects[i].effect;
        }
        return EFFECT_REPLACE;
}

const char *change_effect_name(enum change_effect effect)
{
        assert(effect < ARRAY_SIZE(effect_names));
        return effect_names[effect];
}

const char *change_kind_name(enum change_kind kind)
{
        assert(kind < ARRAY_SIZE(kind_names));
        return kind_names[kind];
}
