/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks in the style that people publish: what they say, what they mean, and back again. */
#include "schema/load.h"
#include "tests/unit/schema/fixture.h"

#define STACKS "tests/unit/schema/stacks/"

static const struct {
        const char *file, *printed;
        size_t services;
} stacks[] = {
        {"blog.yaml",
         "stack.yaml:2:1: warning: version: ignored: the key is obsolete; remove it\n"
         "stack.yaml:54:5: warning: services.blog.logging: ignored: output is kept and rotated by "
         "berth, see `berth logs`\n",
         3},
        {"metrics.yaml",
         "stack.yaml:40:24: warning: services.prometheus.deploy.resources.reservations.memory: "
         "ignored: memory is not reserved; a VM takes what it uses\n",
         3},
};

static void check_blog(const struct stack *stack)
{
        const struct service *blog = stack_find_service(stack, "blog");
        const struct service *db = stack_find_service(stack, "db");

        is_str(stack->name, "shop", "the folder's name");
        is_int(db->command.len, 2, "a command is split");
        is_str(db->environment.items[3].value, "blog", "a default of a variable");
        is_str(db->networks[0].aliases.items[0], "blog_db", "container_name is an alias");
        is_int(db->healthcheck.start_period_ms, 30000, "start_period");
        is_int(db->healthcheck.timeout_ms, -1, "no timeout");
        is_int(blog->networks_len, 2, "two networks");
        is_str(blog->environment.items[0].value,
               "define('WP_REDIS_HOST', 'cache');\ndefine('WP_SITEURL', 'http://$host/');\n",
               "a block of text");
        is_int(blog->ports[1].published, 8443, "a port");
        is_int(blog->restart, RESTART_UNLESS_STOPPED, "restart");
        ok(stack_find_network(stack, "back")->internal, "an internal network");
        ok(!stack_find_network(stack, "default"), "no default network without need");
}

static void check_metrics(const struct stack *stack)
{
        const struct service *prometheus = stack_find_service(stack, "prometheus");
        const struct service *grafana = stack_find_service(stack, "grafana");
        const struct service *probe = stack_find_service(stack, "probe");

        is_str(stack->name, "metrics", "the given name");
        is_int(prometheus->restart, RESTART_ON_FAILURE, "restart_policy goes above restart");
        is_int(prometheus->restart_max_attempts, 5, "its attempts");
        is_int(prometheus->mem_limit_bytes, 512 << 20, "memory");
        is_int(prometheus->volumes[1].mode, 01777, "an octal mode");
        is_int(prometheus->configs[0].mode, 0440, "another one");
        is_int(prometheus->stop_grace_period_ms, 30000, "from an anchor");
        is_str(grafana->environment.items[2].value, "false", "a boolean as Docker passes it");
        is_str(grafana->environment.items[3].key, "LOG_LEVEL", "merged variables");
        is_int(grafana->ports[0].published, 0, "any free port");
        is_str(grafana->extra_hosts.items[0], "host.docker.internal=host-gateway", "the host");
        is_int(probe->replicas, 2, "scale");
        ok(probe->oneshot, "a job");
        is_str(probe->command.items[0], "wget -qO- http://prom:9090/-/ready || exit 1; echo $?",
               "a list is not split");
        is_int(stack_find_volume(stack, "tsdb")->size_bytes, 20LL << 30, "a size");
}

int main(void)
{
        AUTO_FREE char *texts[ARRAY_SIZE(stacks)] = {NULL};

        for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
                AUTO_FREE char *path = xasprintf(STACKS "%s", stacks[i].file);

                if (file_read(path, 1 << 20, &texts[i], NULL, NULL) < 0) {
                        printf("1..0 # SKIP the stacks are not below this folder\n");
                        return 0;
                }
        }
        fixture_enter();
        for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
                AUTO_FREE char *printed = NULL;
                AUTO(stack) struct stack *stack = NULL;

                ok(fixture_load(texts[i], &stack, &printed) == 0, "%s loads", stacks[i].file);
                is_str(printed, stacks[i].printed, "%s: findings", stacks[i].file);
                if (!stack)
                        continue;
                is_int(stack->services_len, stacks[i].services, "%s: services", stacks[i].file);
                if (i == 0)
                        check_blog(stack);
                else
                        check_metrics(stack);
                fixture_round_trip(stack, stacks[i].file);
                free(STEAL(texts[i]));
        }
        return tap_done();
}
