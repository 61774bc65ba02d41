/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/ci_env.h"
#include "tests/tap.h"

static const char *get(const struct ci_env *env, const char *name)
{
        size_t n = strlen(name);

        for (size_t i = 0; i < env->len; i++)
                if (strncmp(env->items[i], name, n) == 0 && env->items[i][n] == '=')
                        return env->items[i] + n + 1;
        return NULL;
}

static int build(struct ci_env *env, const char *json, struct err *err)
{
        static const char *const inherited[] = {"PATH=/bin", "BERTH_OLD_URL=http://elsewhere",
                                                "BERTH_CACHE=/c", NULL};
        AUTO_JSON json_t *status = json_loads(json, 0, NULL);

        return ci_env_build(env, inherited, status, err);
}

static void test_ports(void)
{
        struct ci_env env = {0};

        is_int(build(&env,
                     "{\"services\": [{\"service\": \"my-web.1\", \"replicas\": [{\"ports\": []},"
                     "{\"ports\": ["
                     "{\"host_ip\": \"127.0.0.1\", \"host_port\": 5000, \"target\": 53,"
                     " \"protocol\": \"udp\"},"
                     "{\"host_ip\": \"127.0.0.1\", \"host_port\": 4000, \"target\": 80,"
                     " \"protocol\": \"tcp\"}]}, {\"ports\": [{\"host_port\": 9, \"target\": 80}]}"
                     "]}, {\"service\": \"db\", \"replicas\": []}]}",
                     NULL),
               0, "built");
        is_str(get(&env, "BERTH_MY_WEB_1_HOST"), "127.0.0.1", "host");
        is_str(get(&env, "BERTH_MY_WEB_1_PORT"), "5000", "the first port");
        is_str(get(&env, "BERTH_MY_WEB_1_URL"), "http://127.0.0.1:4000", "the first TCP port");
        is_str(get(&env, "BERTH_MY_WEB_1_80_PORT"), "4000", "a port by its target");
        is_str(get(&env, "BERTH_MY_WEB_1_53_ADDR"), "127.0.0.1:5000", "an address by its target");
        is_str(get(&env, "BERTH_DB_PORT"), NULL, "a service without ports has none");
        is_str(get(&env, "PATH"), "/bin", "the caller's environment stays");
        is_str(get(&env, "BERTH_OLD_URL"), NULL, "an outer run's variables do not");
        is_str(get(&env, "BERTH_CACHE"), "/c", "but settings do");
        ci_env_set(&env, "PATH", "/usr/bin");
        is_str(get(&env, "PATH"), "/usr/bin", "a variable is replaced");
        ci_env_release(&env);
}

static void test_twins(void)
{
        struct ci_env env = {0};
        struct err err = ERR_INIT;

        is_int(build(&env, "{\"services\": [{\"service\": \"a-b\"}, {\"service\": \"a_b\"}]}",
                     &err),
               -EEXIST, "two services with one variable");
        has_str(err.msg, "a-b and a_b", "are both named");
        ci_env_release(&env);
}

int main(void)
{
        test_ports();
        test_twins();
        return tap_done();
}
