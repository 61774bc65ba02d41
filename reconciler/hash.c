/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash over all that a VM is made from. Canonical JSON leaves defaults out, so that a new
 * field of a newer berth does not change the hash of manifests that do not use it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "reconciler/diff.h"
#include "reconciler/graph.h"
#include "reconciler/reconcile.h"
#include "schema/load.h"

/* Each part is preceded by its tag and length: no two lists of parts have the same bytes. */
static void add_part(struct digest *d, const char *tag, const void *data, size_t n)
{
        AUTO_FREE char *head = xasprintf("%s %zu\n", tag, n);

        digest_update(d, head, strlen(head));
        if (n)
                digest_update(d, data, n);
}

static void add_text(struct digest *d, const char *tag, const char *text)
{
        add_part(d, tag, text ? text : "", text ? strlen(text) : 0);
}

/* NOLINTBEGIN(misc-no-recursion): as deep as the paths of the table of effects */

/* What of a field needs a new VM when it changes: a new reference, or NULL for nothing of it. */
static json_t *prune(const char *path, json_t *value)
{
        const char *member;
        json_t *rest, *below;

        if (json_is_object(value) && field_is_divided(path)) {
                rest = json_object();
                json_object_foreach(value, member, below) {
                        AUTO_FREE char *name = xasprintf("%s.%s", path, member);

                        json_object_set_new(rest, member, prune(name, below)); /* NULL: nothing */
                }
                return rest;
        }
        return field_effect(path) == EFFECT_REPLACE ? json_incref(value) : NULL;
}

/* NOLINTEND(misc-no-recursion) */

/* The fields that need a new VM when they change; a new reference. An empty rest is as none. */
static json_t *spec_json(const struct service *service)
{
        AUTO_JSON json_t *all = service_to_json(service);
        json_t *spec = json_object(), *value;
        const char *key;

        json_object_foreach(all, key, value) {
                AUTO_JSON json_t *rest = prune(key, value);

                if (rest && (!json_is_object(rest) || json_object_size(rest)))
                        json_object_set(spec, key, rest);
        }
        return spec;
}

static void add_files(struct digest *d, const char *tag, const struct file_mount *mounts,
                      size_t mounts_len, const struct stack *stack,
                      const struct file_source *(*find)(const struct stack *, const char *))
{
        for (size_t i = 0; i < mounts_len; i++) {
                const struct file_source *source = find(stack, mounts[i].source);

                add_text(d, tag, mounts[i].source);
                if (source)
                        add_part(d, "content", source->content, source->content_len);
        }
}

static void add_own_spec(struct digest *d, const struct stack *stack, const struct service *service)
{
        AUTO_JSON json_t *json = spec_json(service);
        AUTO_FREE char *text = json_text(json);

        add_text(d, "service", text);
        add_files(d, "config", service->configs, service->configs_len, stack, stack_find_config);
        add_files(d, "secret", service->secrets, service->secrets_len, stack, stack_find_secret);
        for (size_t i = 0; i < service->networks_len; i++) {
                const char *name = service->networks[i].network;
                const struct network *network = stack_find_network(stack, name);

                if (network && network_shared_name(network))
                        add_text(d, "network", network_shared_name(network));
        }
        for (size_t i = 0; i < service->volumes_len; i++) {
                const struct mount *mount = &service->volumes[i];
                const struct volume *volume = NULL;

                if (mount->type == MOUNT_VOLUME && mount->source)
                        volume = stack_find_volume(stack, mount->source);
                if (volume && volume->real_name)
                        add_text(d, "volume", volume->real_name);
                if (volume && volume->volume_class == VOLUME_SHARED)
                        add_text(d, "class", "shared");
        }
}

/* Names reached over `restart: true`, each once: bounds the walk, also with cycles. */
struct reach {
        const char **names;
        size_t len;
};

static void reach_add(struct reach *reach, const struct service *service)
{
        for (size_t i = 0; i < service->depends_on_len; i++) {
                const struct depends *dep = &service->depends_on[i];
                bool known = !dep->restart;

                for (size_t j = 0; j < reach->len && !known; j++)
                        known = streq(reach->names[j], dep->service);
                if (!known)
                        *array_push(&reach->names, &reach->len) = dep->service;
        }
}

void spec_hash(const struct stack *stack, const struct service *service, char *ret)
{
        AUTO(digest) struct digest *d = digest_new();
        struct reach reach = {NULL, 0};

        add_own_spec(d, stack, service);
        reach_add(&reach, service);
        for (size_t i = 0; i < reach.len; i++) {
                const struct service *on = stack_find_service(stack, reach.names[i]);

                if (!on || on == service)
                        continue;
                add_text(d, "restarts-with", on->name);
                add_own_spec(d, stack, on);
                reach_add(&reach, on);
        }
        free(reach.names);
        digest_final_text(d, ret);
}

void network_hash(const struct network *network, char *ret)
{
        AUTO(digest) struct digest *d = digest_new();

        add_text(d, "network", network->name);
        add_text(d, "internal", network->internal ? "true" : "false");
        add_text(d, "egress", network->no_egress ? "false" : "true");
        add_text(d, "subnet", network->subnet);
        digest_final_text(d, ret);
}

static void mix_generation(char *hash, unsigned generation)
{
        AUTO(digest) struct digest *d = digest_new();
        AUTO_FREE char *text = xasprintf("%u", generation);

        add_text(d, "spec", hash);
        add_text(d, "generation", text);
        digest_final_text(d, hash);
}

struct stack_hashes *stack_hashes_new(const struct stack *stack, const struct stack_wishes *wishes)
{
        struct stack_hashes *hashes = xnew(struct stack_hashes);

        hashes->services = xcalloc(stack->services_len, sizeof(*hashes->services));
        hashes->services_len = stack->services_len;
        for (size_t i = 0; i < stack->services_len; i++) {
                spec_hash(stack, &stack->services[i], hashes->services[i]);
                if (wishes && wishes->services[i].generation)
                        mix_generation(hashes->services[i], wishes->services[i].generation);
        }
        return hashes;
}

void stack_hashes_free(struct stack_hashes *hashes)
{
        if (!hashes)
                return;
        free(hashes->services);
        free(hashes);
}
