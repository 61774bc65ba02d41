/* SPDX-License-Identifier: Apache-2.0 */
/* The compact manifests of scenarios. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"
#include "tests/scenario/world.h"

static int service_cmp(const void *a, const void *b)
{
        return strcmp(((const struct service *)a)->name, ((const struct service *)b)->name);
}

/* The next part of text up to the separator, on the heap; NULL at the end. */
static char *next_part(const char **text, char separator)
{
        const char *begin = *text, *end;

        if (!begin || !*begin)
                return NULL;
        end = strchr(begin, separator);
        *text = end ? end + 1 : NULL;
        return end ? xstrndup(begin, (size_t)(end - begin)) : xstrdup(begin);
}

static void add_pair(struct kv_list *list, const char *text)
{
        struct kv *kv = array_push(&list->items, &list->len);

        kv->key = next_part(&text, ':');
        kv->value = xstrdup(text);
}

static const char *set_restart(struct service *service, const char *text)
{
        int64_t n;

        if (streq(text, "no"))
                service->restart = RESTART_NO;
        else if (has_prefix(text, "always"))
                service->restart = RESTART_ALWAYS;
        else if (streq(text, "unless-stopped"))
                service->restart = RESTART_UNLESS_STOPPED;
        else if (has_prefix(text, "on-failure"))
                service->restart = RESTART_ON_FAILURE;
        else
                return "unknown restart policy";
        if (strchr(text, ':')) {
                if (value_int(strchr(text, ':') + 1, 1, 1000, &n, NULL) < 0)
                        return "POLICY:N wants a number";
                service->restart_max_attempts = (unsigned)n;
        }
        return NULL;
}

static void add_networks(struct stack *stack, struct service *service, const char *text)
{
        char *name;

        while ((name = next_part(&text, ','))) {
                struct network_ref *ref = array_push(&service->networks, &service->networks_len);

                ref->network = name;
                if (!stack_find_network(stack, name))
                        array_push(&stack->networks, &stack->networks_len)->name = xstrdup(name);
        }
}

static const char *add_dependency(struct service *service, char *text)
{
        struct depends *dep = array_push(&service->depends_on, &service->depends_on_len);
        char *end = text + strlen(text), *condition;

        dep->required = true;
        for (; end > text && (end[-1] == '?' || end[-1] == '!'); *--end = '\0')
                if (end[-1] == '?')
                        dep->required = false;
                else
                        dep->restart = true;
        condition = strchr(text, ':');
        if (condition)
                *condition++ = '\0';
        dep->service = xstrdup(text);
        if (!condition || streq(condition, "started"))
                dep->condition = DEPENDS_STARTED;
        else if (streq(condition, "healthy"))
                dep->condition = DEPENDS_HEALTHY;
        else if (streq(condition, "completed"))
                dep->condition = DEPENDS_COMPLETED;
        else
                return "unknown condition";
        return NULL;
}

static const char *add_dependencies(struct service *service, const char *text)
{
        char *part;

        while ((part = next_part(&text, ','))) {
                const char *wrong = add_dependency(service, part);

                free(part);
                if (wrong)
                        return wrong;
        }
        return NULL;
}

static void add_source(struct file_source **sources, size_t *len, const char *text, bool secret)
{
        struct file_source *source = array_push(sources, len);

        source->name = next_part(&text, ':');
        source->content = xstrdup(text ? text : "");
        source->content_len = strlen(source->content);
        source->secret = secret;
}

static void add_file(struct file_mount **mounts, size_t *len, const char *source)
{
        struct file_mount *mount = array_push(mounts, len);

        mount->source = xstrdup(source);
        mount->target = xasprintf("/%s", source);
        mount->mode = -1;
}

static void add_volume(struct service *service, const char *name)
{
        struct mount *mount = array_push(&service->volumes, &service->volumes_len);

        mount->type = MOUNT_VOLUME;
        mount->source = xstrdup(name);
        mount->target = xasprintf("/%s", name);
}

static const char *set_delays(struct restart_delays *delays, const char *text)
{
        char *part;

        while ((part = next_part(&text, ','))) {
                AUTO_FREE char *key = part;
                char *value = strchr(key, ':');
                int64_t *ms = has_prefix(key, "first:") ? &delays->first_ms
                              : has_prefix(key, "max:") ? &delays->max_ms
                                                        : &delays->window_ms;

                if (!value || value_duration_ms(value + 1, ms, NULL) < 0)
                        return "not a delay";
        }
        return NULL;
}

static const char *set_replicas(struct service *service, const char *text)
{
        int64_t n;

        if (value_int(text, 0, SERVICE_REPLICAS_MAX, &n, NULL) < 0)
                return "replicas= wants a number";
        service->replicas = (unsigned)n;
        return NULL;
}

static void set_health(struct service *service)
{
        struct str_list *test = &service->healthcheck.test;

        service->has_healthcheck = true;
        test->set = true;
        *array_push(&test->items, &test->len) = xstrdup("CMD");
        *array_push(&test->items, &test->len) = xstrdup("true");
}

static const char *set_update_part(struct update_config *config, const char *key, const char *value)
{
        int64_t n = 0;

        if (streq(key, "order"))
                config->order =
                        streq(value, "start-first") ? UPDATE_START_FIRST : UPDATE_STOP_FIRST;
        else if (streq(key, "action"))
                config->failure_action = streq(value, "rollback")   ? UPDATE_ROLLBACK
                                         : streq(value, "continue") ? UPDATE_CONTINUE
                                                                    : UPDATE_PAUSE;
        else if (streq(key, "ratio"))
                config->max_failure_ratio = strtod(value, NULL);
        else if (streq(key, "monitor"))
                return value_duration_ms(value, &config->monitor_ms, NULL) < 0 ? "bad time" : NULL;
        else if (streq(key, "delay"))
                return value_duration_ms(value, &config->delay_ms, NULL) < 0 ? "bad time" : NULL;
        else if (streq(key, "parallelism") && value_int(value, 0, 1000, &n, NULL) == 0)
                config->parallelism = (unsigned)n;
        else
                return "unknown part of update=";
        return NULL;
}

static const char *set_update(struct update_config *config, const char *text)
{
        const char *wrong = NULL;
        char *part;

        while (!wrong && (part = next_part(&text, ','))) {
                char *colon = strchr(part, ':');

                if (colon)
                        *colon++ = '\0';
                wrong = set_update_part(config, part, colon ? colon : "");
                free(part);
        }
        return wrong;
}

static const char *set_word(struct stack *stack, struct service *service, const char *word)
{
        const char *value = strchr(word, '=');

        if (streq(word, "health")) {
                set_health(service);
                return NULL;
        }
        if (streq(word, "oneshot")) {
                service->oneshot = true;
                return NULL;
        }
        if (!value++)
                return "unknown word";
        if (has_prefix(word, "image=")) {
                free(service->image);
                service->image = xstrdup(*value ? value : NULL);
        } else if (has_prefix(word, "replicas=")) {
                return set_replicas(service, value);
        } else if (has_prefix(word, "restart=")) {
                return set_restart(service, value);
        } else if (has_prefix(word, "net=")) {
                add_networks(stack, service, value);
        } else if (has_prefix(word, "env=")) {
                add_pair(&service->environment, value);
        } else if (has_prefix(word, "label=")) {
                add_pair(&service->labels, value);
        } else if (has_prefix(word, "update=")) {
                return set_update(&service->update, value);
        } else if (has_prefix(word, "rollback=")) {
                return set_update(&service->rollback, value);
        } else if (has_prefix(word, "delays=")) {
                return set_delays(&service->delays, value);
        } else if (streq(word, "unhealthy=restart")) {
                service->on_unhealthy = UNHEALTHY_RESTART;
        } else if (has_prefix(word, "volume=")) {
                add_volume(service, value);
        } else if (has_prefix(word, "depends=")) {
                return add_dependencies(service, value);
        } else if (has_prefix(word, "secret=")) {
                add_file(&service->secrets, &service->secrets_len, value);
        } else if (has_prefix(word, "config=")) {
                add_file(&service->configs, &service->configs_len, value);
        } else {
                return "unknown word";
        }
        return NULL;
}

static void set_defaults(struct service *service, const char *name)
{
        struct healthcheck *check = &service->healthcheck;

        service->name = xstrdup(name);
        service->image = *name ? xasprintf("%s:1", name) : NULL;
        service->replicas = 1;
        service->update.parallelism = service->rollback.parallelism = 1;
        service->update.monitor_ms = service->rollback.monitor_ms = -1;
        service->stop_grace_period_ms = 10000;
        service->mem_limit_bytes = service->pids_limit = service->shm_size_bytes = -1;
        service->vm_memory_bytes = -1;
        check->interval_ms = check->timeout_ms = check->start_period_ms = -1;
        check->start_interval_ms = -1;
        check->retries = -1;
}

const char *world_service(struct stack *stack, char **words, size_t len)
{
        struct service *service = array_push(&stack->services, &stack->services_len);
        const char *wrong = NULL;

        set_defaults(service, len ? words[0] : "");
        for (size_t i = 1; i < len && !wrong; i++)
                wrong = set_word(stack, service, words[i]);
        qsort(stack->services, stack->services_len, sizeof(*stack->services), service_cmp);
        return wrong;
}

void world_network(struct stack *stack, char **words, size_t len)
{
        struct network *network = array_push(&stack->networks, &stack->networks_len);

        network->name = xstrdup(len ? words[0] : "");
        for (size_t i = 1; i < len; i++)
                if (streq(words[i], "internal"))
                        network->internal = true;
                else if (streq(words[i], "external"))
                        network->external = true;
                else if (has_prefix(words[i], "name="))
                        network->real_name = xstrdup(words[i] + strlen("name="));
}

void world_source(struct stack *stack, bool secret, const char *text)
{
        if (secret)
                add_source(&stack->secrets, &stack->secrets_len, text, true);
        else
                add_source(&stack->configs, &stack->configs_len, text, false);
}
