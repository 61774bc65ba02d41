/* SPDX-License-Identifier: Apache-2.0 */
/* Which change of a service does what: the one table, used by the plan's hash and by the diff. */
#include <assert.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "reconciler/diff.h"

#define NEW_VM "the program is started with it"

/* Every canonical key of a service; what is below a key follows it, unless it has a row itself. */
static const struct effect_row rows[] = {
        {"cap_add", EFFECT_REPLACE, NEW_VM},
        {"cap_drop", EFFECT_REPLACE, NEW_VM},
        {"command", EFFECT_REPLACE, NEW_VM},
        {"configs", EFFECT_REPLACE, "files of the guest; their contents count, too"},
        {"cpus", EFFECT_REPLACE, "the VM's processors"},
        {"depends_on", EFFECT_UPDATE, "holds for the next start"},
        {"deploy", EFFECT_UPDATE, "replicas and limits are those of scale, cpus, mem_limit"},
        {"deploy.rollback_config", EFFECT_UPDATE, "holds for the next update"},
        {"deploy.update_config", EFFECT_UPDATE, "holds for the next update"},
        {"devices", EFFECT_REPLACE, NEW_VM},
        {"dns", EFFECT_REPLACE, "files of the guest"},
        {"dns_opt", EFFECT_REPLACE, "files of the guest"},
        {"dns_search", EFFECT_REPLACE, "files of the guest"},
        {"domainname", EFFECT_REPLACE, "set when the guest starts"},
        {"entrypoint", EFFECT_REPLACE, NEW_VM},
        {"environment", EFFECT_REPLACE, NEW_VM},
        {"extra_hosts", EFFECT_REPLACE, "files of the guest"},
        {"group_add", EFFECT_REPLACE, NEW_VM},
        {"healthcheck", EFFECT_UPDATE, "tested anew, the verdict so far stays until then"},
        {"hostname", EFFECT_REPLACE, "set when the guest starts"},
        {"image", EFFECT_REPLACE, "the VM's root disk"},
        {"init", EFFECT_REPLACE, NEW_VM},
        {"labels", EFFECT_NONE, "notes for people"},
        {"mem_limit", EFFECT_REPLACE, "the VM's memory"},
        {"network_mode", EFFECT_REPLACE, "the VM's network devices"},
        {"networks", EFFECT_REPLACE, "the VM's network devices"},
        {"networks.*.aliases", EFFECT_UPDATE, "names that the network's DNS answers"},
        {"oom_score_adj", EFFECT_REPLACE, NEW_VM},
        {"pids_limit", EFFECT_REPLACE, NEW_VM},
        {"ports", EFFECT_UPDATE, "opened and closed on the host; those that stay keep connections"},
        {"post_start", EFFECT_REPLACE, "run in each new VM"},
        {"pre_stop", EFFECT_REPLACE, "the VM keeps those that it was made with"},
        {"privileged", EFFECT_REPLACE, NEW_VM},
        {"pull_policy", EFFECT_UPDATE, "holds for the next look for the image"},
        {"read_only", EFFECT_REPLACE, NEW_VM},
        {"restart", EFFECT_UPDATE, "holds for the next end, and for one that has ended"},
        {"scale", EFFECT_UPDATE, "VMs are started or stopped, the others stay"},
        {"secrets", EFFECT_REPLACE, "files of the guest; their contents count, too"},
        {"security_opt", EFFECT_REPLACE, NEW_VM},
        {"shm_size", EFFECT_REPLACE, "set when the guest starts"},
        {"stdin_open", EFFECT_REPLACE, NEW_VM},
        {"stop_grace_period", EFFECT_UPDATE, "holds for the next stop"},
        {"stop_signal", EFFECT_UPDATE, "holds for the next stop"},
        {"sysctls", EFFECT_REPLACE, "set when the guest starts"},
        {"tty", EFFECT_REPLACE, NEW_VM},
        {"ulimits", EFFECT_REPLACE, NEW_VM},
        {"user", EFFECT_REPLACE, NEW_VM},
        {"volumes", EFFECT_REPLACE, "the VM's disks and shares"},
        {"working_dir", EFFECT_REPLACE, NEW_VM},
        {"x-berth", EFFECT_REPLACE, "what has no row of its own"},
        {"x-berth.cpus", EFFECT_REPLACE, "the VM's processors"},
        {"x-berth.egress", EFFECT_REPLACE, "the guest's routes"},
        {"x-berth.healthcheck", EFFECT_UPDATE, "as healthcheck"},
        {"x-berth.isolation", EFFECT_REPLACE, "asked before a VM is made"},
        {"x-berth.memory", EFFECT_REPLACE, "the VM's memory"},
        {"x-berth.on_unhealthy", EFFECT_UPDATE, "holds from now on"},
        {"x-berth.oneshot", EFFECT_UPDATE, "what an apply waits for"},
        {"x-berth.restart", EFFECT_UPDATE, "holds for the next delay"},
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

/* How much of pattern path begins with, in segments; 0: it does not. `*` is any one segment. */
static size_t match(const char *pattern, const char *path)
{
        for (size_t segments = 1;; segments++) {
                size_t p = strcspn(pattern, "."), s = strcspn(path, ".[");

                if (!(p == 1 && *pattern == '*') && (p != s || strncmp(pattern, path, p) != 0))
                        return 0;
                if (!pattern[p])
                        return segments;
                if (path[s] != '.')
                        return 0;
                pattern += p + 1;
                path += s + 1;
        }
}

enum change_effect field_effect(const char *path)
{
        enum change_effect effect = EFFECT_REPLACE;
        size_t best = 0;

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                size_t n = *rows[i].path == *path ? match(rows[i].path, path) : 0;

                if (n > best) {
                        best = n;
                        effect = rows[i].effect;
                }
        }
        return effect;
}

bool field_is_divided(const char *path)
{
        size_t len = strlen(path), star = strcspn(path, ".");

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *pattern = rows[i].path;

                if (has_prefix(pattern, path) && pattern[len] == '.')
                        return true;
                if (path[star] && strncmp(pattern, path, star + 1) == 0 &&
                    has_prefix(pattern + star + 1, "*.") && !strchr(path + star + 1, '.'))
                        return true;
        }
        return false;
}

const struct effect_row *effect_rows(size_t *ret_len)
{
        *ret_len = ARRAY_SIZE(rows);
        return rows;
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
