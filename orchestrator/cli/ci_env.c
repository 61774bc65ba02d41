/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/ci_env.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/replicas.h"

char *ci_env_name(const char *service)
{
        char *name = xstrdup(service);

        for (char *p = name; *p; p++)
                *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
        return name;
}

static char **find(const struct ci_env *env, const char *name)
{
        size_t n = strlen(name);

        for (size_t i = 0; i < env->len; i++)
                if (env->items[i] && strncmp(env->items[i], name, n) == 0 &&
                    env->items[i][n] == '=')
                        return &env->items[i];
        return NULL;
}

void ci_env_set(struct ci_env *env, const char *name, const char *value)
{
        char **slot = find(env, name);

        if (slot)
                free(*slot);
        else
                slot = array_push(&env->items, &env->len);
        *slot = xasprintf("%s=%s", name, value);
}

static void set_part(struct ci_env *env, const char *service, const char *part, const char *value)
{
        AUTO_FREE char *name = xasprintf("BERTH_%s_%s", service, part);

        ci_env_set(env, name, value);
}

/* Once for each port; the first of a service gives the short names too. */
static void add_port(struct ci_env *env, const char *service, const json_t *port, bool first)
{
        const char *ip = json_str(port, "host_ip", "127.0.0.1");
        AUTO_FREE char *number = xasprintf("%lld", (long long)json_int(port, "host_port", 0));
        AUTO_FREE char *target = xasprintf("%lld", (long long)json_int(port, "target", 0));
        AUTO_FREE char *addr = xasprintf("%s:%s", ip, number);
        AUTO_FREE char *port_name = xasprintf("%s_PORT", target);
        AUTO_FREE char *addr_name = xasprintf("%s_ADDR", target);
        AUTO_FREE char *url_name = xasprintf("BERTH_%s_URL", service);
        AUTO_FREE char *url = port_url(port);

        if (first) {
                set_part(env, service, "HOST", ip);
                set_part(env, service, "PORT", number);
        }
        if (url && !find(env, url_name))
                ci_env_set(env, url_name, url);
        set_part(env, service, port_name, number);
        set_part(env, service, addr_name, addr);
}

static void add_service(struct ci_env *env, const json_t *service, const char *name)
{
        const json_t *replica, *port;
        bool first = true;
        size_t i, j;

        json_array_foreach(json_object_get(service, "replicas"), i, replica) {
                json_array_foreach(json_object_get(replica, "ports"), j, port) {
                        add_port(env, name, port, first);
                        first = false;
                }
                if (!first)
                        return; /* one replica is enough */
        }
}

/* Variables of an outer `berth ci` must not be taken for this one's. */
static void inherit(struct ci_env *env, const char *const *inherited)
{
        for (; *inherited; inherited++)
                if (!has_prefix(*inherited, "BERTH_") || has_prefix(*inherited, "BERTH_CACHE=") ||
                    has_prefix(*inherited, "BERTH_IMAGES="))
                        *array_push(&env->items, &env->len) = xstrdup(*inherited);
}

int ci_env_build(struct ci_env *env, const char *const *inherited, const json_t *status,
                 struct err *err)
{
        const json_t *services = json_object_get(status, "services"), *service, *other;
        size_t i, j;

        inherit(env, inherited);
        json_array_foreach(services, i, service) {
                AUTO_FREE char *name = ci_env_name(json_str(service, "service", ""));

                json_array_foreach(services, j, other) {
                        AUTO_FREE char *twin = ci_env_name(json_str(other, "service", ""));

                        if (j < i && streq(name, twin))
                                return err_set(err, EEXIST,
                                               "services %s and %s would both be BERTH_%s_... in "
                                               "the command's environment; rename one",
                                               json_str(other, "service", ""),
                                               json_str(service, "service", ""), name);
                }
                add_service(env, service, name);
        }
        return 0;
}

void ci_env_release(struct ci_env *env)
{
        for (size_t i = 0; i < env->len; i++)
                free(env->items[i]);
        free(env->items);
        *env = (struct ci_env){0};
}
