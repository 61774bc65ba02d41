/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

/* What is known of a network beside its spec. */
struct origin {
        char *maker;
        int64_t created_ms;
};

struct shared {
        struct store *store;
        struct stack stack;
        struct origin *origins; /* beside stack.networks */
};

static void network_clear(struct network *network)
{
        free(network->name);
        free(network->subnet);
        for (size_t i = 0; i < network->labels.len; i++) {
                free(network->labels.items[i].key);
                free(network->labels.items[i].value);
        }
        free(network->labels.items);
        *network = (struct network){0};
}

static void copy_labels(struct kv_list *to, const struct kv_list *from)
{
        for (size_t i = 0; i < from->len; i++) {
                struct kv *kv = array_push(&to->items, &to->len);

                kv->key = xstrdup(from->items[i].key);
                kv->value = xstrdup(from->items[i].value);
        }
}

static json_t *labels_json(const struct kv_list *labels)
{
        json_t *j = json_object();

        for (size_t i = 0; i < labels->len; i++)
                json_set_str(j, labels->items[i].key,
                             labels->items[i].value ? labels->items[i].value : "");
        return j;
}

static size_t index_of(const struct shared *shared, const char *name)
{
        const struct network *found = stack_find_network(&shared->stack, name);

        return found ? (size_t)(found - shared->stack.networks) : SIZE_MAX;
}

/* An empty place for the name, in order. */
static size_t make_room(struct shared *shared, const char *name)
{
        struct stack *stack = &shared->stack;
        size_t at = 0, last = stack->networks_len;

        (void)array_push(&stack->networks, &stack->networks_len);
        shared->origins =
                xreallocarray(shared->origins, stack->networks_len, sizeof(struct origin));
        while (at < last && strcmp(stack->networks[at].name, name) < 0)
                at++;
        memmove(&stack->networks[at + 1], &stack->networks[at],
                (last - at) * sizeof(struct network));
        memmove(&shared->origins[at + 1], &shared->origins[at],
                (last - at) * sizeof(struct origin));
        stack->networks[at] = (struct network){.name = xstrdup(name)};
        shared->origins[at] = (struct origin){0};
        return at;
}

static void adopt(struct shared *shared, const struct stored_network *stored)
{
        size_t at = make_room(shared, stored->name), len = strlen(stored->labels);
        struct network *network = &shared->stack.networks[at];
        AUTO_JSON json_t *labels = NULL;
        const char *key;
        json_t *value;

        network->internal = stored->internal;
        network->no_egress = !stored->egress;
        network->subnet = xstrdup(stored->subnet);
        shared->origins[at] = (struct origin){xstrdup(stored->maker), stored->created_ms};
        if (json_parse(stored->labels, len, len, "labels", &labels, NULL) < 0)
                return; /* the store has looked at them */
        json_object_foreach(labels, key, value) {
                struct kv *kv = array_push(&network->labels.items, &network->labels.len);

                kv->key = xstrdup(key);
                kv->value = xstrdup(json_string_value(value));
        }
}

int shared_open(struct store *store, struct shared **ret, struct err *err)
{
        struct stored_networks stored = {0};
        struct shared *shared;
        int r = store_list_networks(store, &stored, err);

        if (r < 0)
                return r;
        shared = xnew(struct shared);
        shared->store = store;
        shared->stack.name = xstrdup(STACK_SHARED);
        for (size_t i = 0; i < stored.len; i++)
                adopt(shared, &stored.items[i]);
        stored_networks_release(&stored);
        *ret = shared;
        return 0;
}

void shared_free(struct shared *shared)
{
        if (!shared)
                return;
        for (size_t i = 0; i < shared->stack.networks_len; i++) {
                network_clear(&shared->stack.networks[i]);
                free(shared->origins[i].maker);
        }
        free(shared->stack.networks);
        free(shared->stack.name);
        free(shared->origins);
        free(shared);
}

const struct stack *shared_stack(const struct shared *shared)
{
        return &shared->stack;
}

const struct network *shared_find(const struct shared *shared, const char *name)
{
        return stack_find_network(&shared->stack, name);
}

const char *shared_maker(const struct shared *shared, const char *name)
{
        size_t at = index_of(shared, name);

        return at == SIZE_MAX ? NULL : shared->origins[at].maker;
}

int64_t shared_created_ms(const struct shared *shared, const char *name)
{
        size_t at = index_of(shared, name);

        return at == SIZE_MAX ? 0 : shared->origins[at].created_ms;
}

int shared_put(struct shared *shared, const char *name, const struct network *spec,
               const char *maker, struct err *err)
{
        size_t at = index_of(shared, name);
        int64_t created = at == SIZE_MAX ? clock_wall_ms() : shared->origins[at].created_ms;
        AUTO_JSON json_t *labels = labels_json(&spec->labels);
        AUTO_FREE char *text = json_text(labels);
        struct network copy = {.name = xstrdup(name),
                               .internal = spec->internal,
                               .no_egress = spec->no_egress,
                               .subnet = xstrdup(spec->subnet)};
        const struct stored_network record = {.name = copy.name,
                                              .subnet = copy.subnet,
                                              .internal = spec->internal,
                                              .egress = !spec->no_egress,
                                              .labels = text,
                                              .maker = (char *)(uintptr_t)maker, /* read only */
                                              .created_ms = created};
        int r = store_put_network(shared->store, &record, err);

        copy_labels(&copy.labels, &spec->labels);
        if (r < 0) {
                network_clear(&copy);
                return r;
        }
        if (at == SIZE_MAX)
                at = make_room(shared, name);
        network_clear(&shared->stack.networks[at]);
        shared->stack.networks[at] = copy;
        free(shared->origins[at].maker);
        shared->origins[at] = (struct origin){xstrdup(maker), created};
        return 0;
}

static void take_out(struct shared *shared, size_t at)
{
        struct stack *stack = &shared->stack;
        size_t behind = --stack->networks_len - at;

        network_clear(&stack->networks[at]);
        free(shared->origins[at].maker);
        memmove(&stack->networks[at], &stack->networks[at + 1], behind * sizeof(struct network));
        memmove(&shared->origins[at], &shared->origins[at + 1], behind * sizeof(struct origin));
}

void shared_forget(struct shared *shared, const char *name)
{
        size_t at = index_of(shared, name);

        if (at != SIZE_MAX)
                take_out(shared, at);
}

int shared_delete(struct shared *shared, const char *name, struct err *err)
{
        size_t at = index_of(shared, name);
        int r;

        if (at == SIZE_MAX)
                return err_set(err, ENOENT, "there is no network %s; see `berth network ls`", name);
        r = store_delete_network(shared->store, name, err);
        if (r < 0)
                return r;
        take_out(shared, at);
        return 0;
}
