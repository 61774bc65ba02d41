/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"

#define LABELS_MAX 1000

static bool is_on(const struct instance *in, const struct instance_nic *nic, const char *stack,
                  const char *name)
{
        return streq(nic_stack(in, nic), stack) && streq(nic_network(nic), name);
}

static json_t *member_json(const struct instance *in, const struct instance_nic *nic)
{
        json_t *j = json_object(), *aliases = json_array();
        AUTO_FREE char *name = xasprintf("%s/%s/%u", in->stack, in->service, in->replica);
        char ip[VALUE_IP4_MAX];

        value_ip4_text(nic->ip, ip);
        json_set_str(j, "name", name);
        json_set_str(j, "address", ip);
        for (size_t i = 0; i < nic->aliases.len; i++)
                json_array_append_new(aliases, json_string(nic->aliases.items[i]));
        json_object_set_new(j, "aliases", aliases);
        return j;
}

/* The VMs that are attached. */
static json_t *members_json(const struct daemon *d, const char *stack, const char *name)
{
        json_t *list = json_array();

        for (size_t i = 0; i < d->instances_len; i++)
                for (size_t k = 0; k < d->instances[i]->nics_len; k++) {
                        const struct instance *in = d->instances[i];

                        if (is_on(in, &in->nics[k], stack, name))
                                json_array_append_new(list, member_json(in, &in->nics[k]));
                }
        return list;
}

static void add_state(const struct daemon *d, json_t *j, const char *stack, const char *name)
{
        const struct network_entry *n = networks_find(d->networks, stack, name);
        char ip[VALUE_IP4_MAX];

        if (n && n->bits) {
                AUTO_FREE char *subnet = NULL;

                value_ip4_text(n->subnet, ip);
                subnet = xasprintf("%s/%u", ip, n->bits);
                value_ip4_text(n->gateway, ip);
                json_set_str(j, "subnet", subnet);
                json_set_str(j, "gateway", ip);
        }
        json_set_int(j, "pid", n ? n->pid : 0);
        json_set_bool(j, "up", n && n->up);
        json_set_str(j, "message", n ? n->message : NULL);
}

/* What its declaration says; NULL: nothing. */
static void add_spec(json_t *j, const struct network *spec)
{
        json_t *labels = json_object();

        for (size_t i = 0; spec && i < spec->labels.len; i++)
                json_set_str(labels, spec->labels.items[i].key, spec->labels.items[i].value);
        json_object_set_new(j, "labels", labels);
        json_set_bool(j, "internal", spec && (spec->internal || spec->no_egress));
}

static void add_origin(const struct daemon *d, json_t *j, const char *name)
{
        const char *maker = shared_maker(d->shared, name);
        char text[CLOCK_TEXT_MAX];

        clock_text(shared_created_ms(d->shared, name) * 1000000, text);
        json_set_str(j, "made_by", maker && *maker ? maker : NULL);
        json_set_str(j, "created", text);
        json_object_set_new(j, "users", daemon_network_users(d, name));
}

/* stack: STACK_SHARED, or whose it is. */
static json_t *network_json(const struct daemon *d, const char *stack, const char *name)
{
        const struct desired *owner = daemon_find(d, stack);
        bool shared = streq(stack, STACK_SHARED);
        json_t *j = json_object();

        if (!shared)
                json_set_str(j, "stack", stack);
        json_set_str(j, "name", name);
        json_set_bool(j, "shared", shared);
        add_state(d, j, stack, name);
        if (shared) {
                add_spec(j, shared_find(d->shared, name));
                add_origin(d, j, name);
        } else {
                add_spec(j, owner ? stack_find_network(owner->stack, name) : NULL);
        }
        json_object_set_new(j, "members", members_json(d, stack, name));
        return j;
}

void handle_networks(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        const struct stack *shared = shared_stack(d->shared);
        json_t *list = json_array();
        const struct network_entry *n;

        for (size_t i = 0; i < shared->networks_len; i++)
                json_array_append_new(list,
                                      network_json(d, STACK_SHARED, shared->networks[i].name));
        for (size_t i = 0; (n = networks_at(d->networks, i)); i++)
                if (!streq(n->stack, STACK_SHARED) || !shared_find(d->shared, n->name))
                        json_array_append_new(list, network_json(d, n->stack, n->name));
        response_json(req, 200, list);
}

void handle_network_get(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        const char *name = request_param(req, "network"), *stack = request_query(req, "stack");
        struct err err = ERR_INIT;

        if (stack ? !!networks_find(d->networks, stack, name) : !!shared_find(d->shared, name)) {
                response_json(req, 200, network_json(d, stack ? stack : STACK_SHARED, name));
                return;
        }
        err_set(&err, ENOENT, "there is no network %s%s%s; see `berth network ls`",
                stack ? stack : "", stack ? "/" : "", name);
        response_error(req, 0, &err, NULL);
}

static int read_labels(const json_t *labels, struct kv_list *ret, struct err *err)
{
        const char *key;
        const json_t *value;

        if (labels && (!json_is_object(labels) || json_object_size(labels) > LABELS_MAX))
                return err_set(err, EINVAL, "labels: must be an object of at most %d texts",
                               LABELS_MAX);
        json_object_foreach((json_t *)(uintptr_t)labels, key, value) {
                struct kv *kv;

                if (!json_is_string(value))
                        return err_set(err, EINVAL, "labels: %.60s: must be a text", key);
                kv = array_push(&ret->items, &ret->len);
                kv->key = (char *)(uintptr_t)key; /* borrowed, as the value is */
                kv->value = (char *)(uintptr_t)json_string_value(value);
        }
        return 0;
}

static int check_subnet(const char *subnet, struct err *err)
{
        uint32_t ip;
        unsigned bits;
        int r = subnet ? value_cidr4(subnet, &ip, &bits, err) : 0;

        if (r < 0)
                return err_wrap(err, "subnet");
        if (subnet && (bits < 16 || bits > 29))
                return err_set(err, EINVAL, "%.40s: a subnet is from /16 to /29", subnet);
        return 0;
}

static int create(struct daemon *d, const json_t *body, const char **ret_name, struct err *err)
{
        struct network spec = {.internal = json_bool(body, "internal", false)};
        int r = json_need_str(body, "name", "network", ret_name, err);

        spec.subnet = (char *)(uintptr_t)json_str(body, "subnet", NULL); /* borrowed */
        if (r == 0)
                r = check_subnet(spec.subnet, err);
        if (r == 0)
                r = read_labels(json_object_get(body, "labels"), &spec.labels, err);
        if (r == 0)
                r = daemon_network_create(d, *ret_name, &spec, err);
        free(spec.labels.items);
        return r;
}

void handle_network_create(struct request *req, void *ctx)
{
        const char *name = NULL;
        struct err err = ERR_INIT;
        json_t *body;

        if (request_json(req, &body, &err) < 0 || create(ctx, body, &name, &err) < 0)
                response_error(req, 0, &err, NULL);
        else
                response_json(req, 201, network_json(ctx, STACK_SHARED, name));
}

void handle_network_delete(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;

        if (daemon_network_delete(ctx, request_param(req, "network"), &err) < 0)
                response_error(req, 0, &err, NULL);
        else
                response_json(req, 200, NULL);
}
