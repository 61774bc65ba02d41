/* SPDX-License-Identifier: Apache-2.0 */
/* What the reconciler's tests need of the schema layer, until that layer stands. */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "schema/load.h"

static void service_release(struct service *service)
{
        free(service->name);
        free(service->image);
        for (size_t i = 0; i < service->environment.len; i++) {
                free(service->environment.items[i].key);
                free(service->environment.items[i].value);
        }
        free(service->environment.items);
        for (size_t i = 0; i < service->labels.len; i++) {
                free(service->labels.items[i].key);
                free(service->labels.items[i].value);
        }
        free(service->labels.items);
        for (size_t i = 0; i < service->depends_on_len; i++)
                free(service->depends_on[i].service);
        free(service->depends_on);
        for (size_t i = 0; i < service->networks_len; i++)
                free(service->networks[i].network);
        free(service->networks);
        for (size_t i = 0; i < service->healthcheck.test.len; i++)
                free(service->healthcheck.test.items[i]);
        free(service->healthcheck.test.items);
        for (size_t i = 0; i < service->secrets_len; i++)
                free(service->secrets[i].source);
        free(service->secrets);
        for (size_t i = 0; i < service->configs_len; i++)
                free(service->configs[i].source);
        free(service->configs);
        for (size_t i = 0; i < service->volumes_len; i++) {
                free(service->volumes[i].source);
                free(service->volumes[i].target);
        }
        free(service->volumes);
}

static void sources_free(struct file_source *sources, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                free(sources[i].name);
                free(sources[i].content);
        }
        free(sources);
}

void stack_free(struct stack *stack)
{
        if (!stack)
                return;
        for (size_t i = 0; i < stack->services_len; i++)
                service_release(&stack->services[i]);
        for (size_t i = 0; i < stack->networks_len; i++) {
                free(stack->networks[i].name);
                free(stack->networks[i].subnet);
        }
        for (size_t i = 0; i < stack->volumes_len; i++) {
                free(stack->volumes[i].name);
                free(stack->volumes[i].real_name);
        }
        sources_free(stack->configs, stack->configs_len);
        sources_free(stack->secrets, stack->secrets_len);
        free(stack->services);
        free(stack->networks);
        free(stack->volumes);
        free(stack->name);
        free(stack);
}

#define FIND(type, member)                               \
        for (size_t i = 0; i < stack->member##_len; i++) \
                if (streq(stack->member[i].name, name))  \
                        return &stack->member[i];        \
        return NULL

const struct service *stack_find_service(const struct stack *stack, const char *name)
{
        FIND(service, services);
}

const struct network *stack_find_network(const struct stack *stack, const char *name)
{
        FIND(network, networks);
}

const struct volume *stack_find_volume(const struct stack *stack, const char *name)
{
        FIND(volume, volumes);
}

const struct file_source *stack_find_config(const struct stack *stack, const char *name)
{
        FIND(file_source, configs);
}

const struct file_source *stack_find_secret(const struct stack *stack, const char *name)
{
        FIND(file_source, secrets);
}

static json_t *pairs_json(const struct kv_list *list)
{
        json_t *object = json_object();

        for (size_t i = 0; i < list->len; i++)
                json_set_str(object, list->items[i].key, list->items[i].value);
        return object;
}

json_t *service_to_json(const struct service *service)
{
        static const char *const policies[] = {"no", "always", "on-failure", "unless-stopped"};
        json_t *spec = json_object(), *part;

        json_set_str(spec, "image", service->image);
        if (service->environment.len)
                json_object_set_new(spec, "environment", pairs_json(&service->environment));
        if (service->labels.len)
                json_object_set_new(spec, "labels", pairs_json(&service->labels));
        if (service->restart != RESTART_NO)
                json_set_str(spec, "restart", policies[service->restart]);
        if (service->replicas != 1) {
                part = json_object();
                json_set_int(part, "replicas", service->replicas);
                json_object_set_new(spec, "deploy", part);
        }
        if (service->has_healthcheck) {
                part = json_array();
                for (size_t i = 0; i < service->healthcheck.test.len; i++)
                        json_array_append_new(part,
                                              json_string(service->healthcheck.test.items[i]));
                json_object_set_new(spec, "healthcheck", json_pack("{s:o}", "test", part));
        }
        part = json_object();
        for (size_t i = 0; i < service->networks_len; i++)
                json_object_set_new(part, service->networks[i].network, json_object());
        json_object_set_new(spec, "networks", part);
        part = json_array();
        for (size_t i = 0; i < service->secrets_len; i++)
                json_array_append_new(part, json_string(service->secrets[i].source));
        if (service->secrets_len)
                json_object_set(spec, "secrets", part);
        json_decref(part);
        return spec;
}
