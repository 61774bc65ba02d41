/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What networks are shared: those that commands make and remove, and those that manifests name.
 * The latter are looked at before each decision, as all that is wanted: a daemon that died between
 * a revision and its networks has lost nothing.
 */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"
#include "orchestrator/daemon.h"

#define USERS_TOLD 8 /* names in a refusal; more are counted */

/* How the stack's manifest refers to the shared network, if its services are on it; or NULL. */
static const struct network *reference(const struct stack *stack, const char *name)
{
        for (size_t i = 0; i < stack->networks_len; i++) {
                const struct network *network = &stack->networks[i];

                if (streq(network_shared_name(network), name) &&
                    stack_uses_network(stack, network->name))
                        return network;
        }
        return NULL;
}

static void add_user(json_t *users, const char *stack, const char *service)
{
        AUTO_FREE char *name = xasprintf("%s/%s", stack, service);

        for (size_t i = 0; i < json_array_size(users); i++)
                if (streq(json_string_value(json_array_get(users, i)), name))
                        return;
        json_array_append_new(users, json_string(name));
}

static void add_declared(json_t *users, const struct stack *stack, const char *name)
{
        for (size_t i = 0; i < stack->services_len; i++)
                for (size_t k = 0; k < stack->services[i].networks_len; k++) {
                        const struct network *network =
                                stack_find_network(stack, stack->services[i].networks[k].network);

                        if (network && streq(network_shared_name(network), name))
                                add_user(users, stack->name, stack->services[i].name);
                }
}

json_t *daemon_network_users(const struct daemon *d, const char *name)
{
        json_t *users = json_array();

        for (size_t i = 0; i < d->desired_len; i++)
                if (d->desired[i]->wanted == STACK_UP)
                        add_declared(users, d->desired[i]->stack, name);
        for (size_t i = 0; i < d->instances_len; i++)
                for (size_t k = 0; k < d->instances[i]->nics_len; k++)
                        if (streq(d->instances[i]->nics[k].shared, name))
                                add_user(users, d->instances[i]->stack, d->instances[i]->service);
        return users;
}

static char *users_text(const json_t *users)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(4096);
        size_t n = json_array_size(users);

        for (size_t i = 0; i < n && i < USERS_TOLD; i++)
                strbuf_addf(&text, "%s%s", i ? ", " : "",
                            json_string_value(json_array_get(users, i)));
        if (n > USERS_TOLD)
                strbuf_addf(&text, " and %zu more", n - USERS_TOLD);
        return strbuf_take(&text);
}

int daemon_network_create(struct daemon *d, const char *name, const struct network *spec,
                          struct err *err)
{
        const char *maker = shared_maker(d->shared, name);
        int r;

        if (d->draining)
                return err_set(err, ESHUTDOWN, "the daemon is shutting down; try again");
        if (!value_name_valid(name))
                return err_set(err, EINVAL,
                               "'%.40s' is no name of a network: letters, digits, '_', '-' and "
                               "'.', not '.' or '-' first",
                               name);
        if (maker)
                return err_set(err, EEXIST, "network %s exists already%s%s", name,
                               *maker ? ": it is named in the manifest of stack " : "", maker);
        r = store_begin(d->store, err);
        if (r < 0)
                return r;
        r = shared_put(d->shared, name, spec, "", err);
        if (r == 0)
                r = networks_reserve(d->networks, STACK_SHARED, shared_find(d->shared, name), err);
        if (r == 0)
                r = store_commit(d->store, err);
        else
                store_rollback(d->store);
        if (r < 0) {
                shared_forget(d->shared, name);
                networks_forget(d->networks, STACK_SHARED, name);
                return r;
        }
        daemon_dirty(d);
        return 0;
}

static int remove_network(struct daemon *d, const char *name, struct err *err)
{
        int r = shared_delete(d->shared, name, err);

        if (r < 0)
                return r;
        networks_forget(d->networks, STACK_SHARED, name);
        daemon_dirty(d);
        return 0;
}

int daemon_network_delete(struct daemon *d, const char *name, struct err *err)
{
        AUTO_JSON json_t *users = daemon_network_users(d, name);
        const char *maker = shared_maker(d->shared, name);
        AUTO_FREE char *text = users_text(users);

        if (maker && json_array_size(users))
                return err_set(err, EBUSY, "network %s is in use by %s; `berth delete` %s first",
                               name, text,
                               json_array_size(users) > 1 ? "their stacks" : "its stack");
        return remove_network(d, name, err);
}

static bool same_spec(const struct network *a, const struct network *b)
{
        bool same = a->internal == b->internal && a->no_egress == b->no_egress &&
                    streq(a->subnet, b->subnet) && a->labels.len == b->labels.len;

        for (size_t i = 0; same && i < a->labels.len; i++)
                same = streq(a->labels.items[i].key, b->labels.items[i].key) &&
                       streq(a->labels.items[i].value, b->labels.items[i].value);
        return same;
}

/* The first stack that names a network makes it; when that one goes, the next is its maker. */
static void follow_name(struct daemon *d, const struct stack *stack, const struct network *network)
{
        const struct network *known = shared_find(d->shared, network->real_name);
        const char *maker = shared_maker(d->shared, network->real_name);
        const struct desired *other = maker && *maker ? daemon_find(d, maker) : NULL;
        const struct network *its = NULL;
        struct err err = ERR_INIT;

        if (known && !*maker)
                return; /* made for itself: it is as it is */
        if (other && other->wanted == STACK_UP && other->stack != stack)
                its = reference(other->stack, network->real_name);
        if (its && !its->external)
                return;
        if (known && streq(maker, stack->name) && same_spec(known, network))
                return;
        if (shared_put(d->shared, network->real_name, network, stack->name, &err) < 0)
                log_warn("network", stack->name, "%s is not made yet: %s", network->real_name,
                         err.msg); /* the next turn tries again */
}

static bool is_referred_to(const struct daemon *d, const char *name)
{
        for (size_t i = 0; i < d->desired_len; i++)
                if (d->desired[i]->wanted == STACK_UP && reference(d->desired[i]->stack, name))
                        return true;
        for (size_t i = 0; i < d->instances_len; i++)
                for (size_t k = 0; k < d->instances[i]->nics_len; k++)
                        if (streq(d->instances[i]->nics[k].shared, name))
                                return true;
        return false;
}

static void drop_unnamed(struct daemon *d)
{
        const struct stack *stack = shared_stack(d->shared);
        struct err err = ERR_INIT;

        for (size_t i = stack->networks_len; i > 0; i--) {
                AUTO_FREE char *name = xstrdup(stack->networks[i - 1].name);

                if (*shared_maker(d->shared, name) && !is_referred_to(d, name) &&
                    remove_network(d, name, &err) < 0)
                        log_warn("network", "", "%s is not forgotten yet: %s", name, err.msg);
        }
}

void daemon_follow_networks(struct daemon *d)
{
        for (size_t i = 0; i < d->desired_len; i++) {
                const struct stack *stack = d->desired[i]->stack;

                for (size_t k = 0; d->desired[i]->wanted == STACK_UP && k < stack->networks_len;
                     k++) {
                        const struct network *network = &stack->networks[k];

                        if (network->real_name && !network->external &&
                            stack_uses_network(stack, network->name))
                                follow_name(d, stack, network);
                }
        }
        drop_unnamed(d);
}
