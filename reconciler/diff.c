/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/diff.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "reconciler/fields.h"
#include "reconciler/graph.h"
#include "schema/load.h"

static struct change *add_change(struct changes *changes, enum change_kind kind, const char *what,
                                 const char *name)
{
        struct change *change = array_push(&changes->items, &changes->len);

        change->kind = kind;
        change->what = xstrdup(what);
        change->name = xstrdup(name);
        return change;
}

/* The kind that the fields ask for: the strongest. Networks and services are replaced. */
static enum change_kind kind_of(const struct change *change)
{
        for (size_t i = 0; i < change->fields_len; i++)
                if (change->fields[i].effect == EFFECT_REPLACE)
                        return CHANGE_REPLACE;
        return CHANGE_UPDATE;
}

static void drop_last(struct changes *changes)
{
        struct change *change = &changes->items[changes->len - 1];

        free(change->what);
        free(change->name);
        free(change->fields);
        changes->len--;
}

/* The union of the names of two sorted lists is walked with this: which of them comes next. */
static int next_of(const char *before, const char *after)
{
        if (!before || !after)
                return before ? -1 : 1;
        return strcmp(before, after);
}

static void diff_services(const struct stack *before, const struct stack *after,
                          const struct graph *order_before, const struct graph *order_after,
                          struct changes *ret)
{
        size_t i = 0, j = 0;

        while (i < order_before->len || j < order_after->len) {
                const struct service *a = NULL, *b = NULL;
                struct change *change;
                int c;

                if (i < order_before->len)
                        a = &before->services[order_before->by_name[i]];
                if (j < order_after->len)
                        b = &after->services[order_after->by_name[j]];
                c = next_of(a ? a->name : NULL, b ? b->name : NULL);
                i += c <= 0;
                j += c >= 0;
                if (c < 0) {
                        (void)add_change(ret, CHANGE_REMOVE, "service", a->name);
                } else if (c > 0) {
                        assert(b);
                        (void)add_change(ret, CHANGE_CREATE, "service", b->name);
                } else {
                        change = add_change(ret, CHANGE_UPDATE, "service", b->name);
                        fields_of_service(before, a, after, b, change);
                        change->kind = kind_of(change);
                        if (change->fields_len == 0)
                                drop_last(ret);
                }
        }
}

static struct change *find_change(struct changes *changes, const char *service)
{
        for (size_t i = 0; i < changes->len; i++)
                if (streq(changes->items[i].what, "service") &&
                    streq(changes->items[i].name, service))
                        return &changes->items[i];
        return NULL;
}

static void add_restart(struct changes *ret, const char *service, const char *on)
{
        struct change *change = find_change(ret, service);
        struct field_change *field;

        if (!change)
                change = add_change(ret, CHANGE_REPLACE, "service", service);
        change->kind = CHANGE_REPLACE;
        field = array_push(&change->fields, &change->fields_len);
        field->path = xasprintf("depends_on.%s", on);
        field->before = xstrdup("\"present\"");
        field->after = xstrdup("\"replaced\"");
        field->effect = EFFECT_REPLACE;
}

/* Services with `restart: true` on one that is replaced are replaced with it, and so on. */
static void diff_restarts(const struct stack *before, const struct stack *after,
                          const struct graph *order, struct changes *ret)
{
        for (size_t k = 0; k < order->len; k++) {
                const struct service *service = &after->services[order->order[k]];

                if (!stack_find_service(before, service->name))
                        continue;
                for (size_t d = 0; d < service->depends_on_len; d++) {
                        const struct depends *dep = &service->depends_on[d];
                        const struct change *on =
                                dep->restart ? find_change(ret, dep->service) : NULL;

                        if (on && on->kind == CHANGE_REPLACE)
                                add_restart(ret, service->name, dep->service);
                }
        }
}

static int change_cmp(const void *pa, const void *pb)
{
        const struct change *a = pa, *b = pb;
        int c = strcmp(a->what, b->what);

        return c ? c : strcmp(a->name, b->name);
}

static json_t *network_json(const struct network *network)
{
        json_t *json;

        if (!network)
                return NULL;
        json = json_object();
        json_set_str(json, "name", network->real_name);
        if (network->external)
                json_set_bool(json, "external", true);
        if (network->internal)
                json_set_bool(json, "internal", true);
        if (network->no_egress)
                json_set_bool(json, "x-berth.egress", false);
        json_set_str(json, "subnet", network->subnet);
        json_object_set_new(json, "labels", fields_pairs(&network->labels));
        return json;
}

static json_t *volume_json(const struct volume *volume)
{
        json_t *json;

        if (!volume)
                return NULL;
        json = json_object();
        if (volume->external)
                json_set_bool(json, "external", true);
        json_set_str(json, "name", volume->real_name);
        json_set_str(json, "class", volume->volume_class == VOLUME_SHARED ? "shared" : "disk");
        if (volume->size_bytes >= 0)
                json_set_int(json, "size", volume->size_bytes);
        json_object_set_new(json, "labels", fields_pairs(&volume->labels));
        return json;
}

/* before and after: taken; before NULL: created. A volume keeps its data: it is never replaced. */
static void diff_object(struct changes *ret, const char *what, const char *name, json_t *before,
                        json_t *after)
{
        struct change *change;

        if (!before) {
                (void)add_change(ret, CHANGE_CREATE, what, name);
        } else {
                change = add_change(ret, CHANGE_UPDATE, what, name);
                fields_compare(change, before, after);
                if (streq(what, "network"))
                        change->kind = kind_of(change);
                for (size_t i = 0; i < change->fields_len && streq(what, "volume"); i++)
                        if (change->fields[i].effect == EFFECT_REPLACE)
                                change->fields[i].effect = EFFECT_UPDATE;
                if (change->fields_len == 0)
                        drop_last(ret);
        }
        json_decref(before);
        json_decref(after);
}

static void diff_networks(const struct stack *before, const struct stack *after,
                          struct changes *ret)
{
        for (size_t i = 0; i < before->networks_len; i++)
                if (!stack_find_network(after, before->networks[i].name))
                        (void)add_change(ret, CHANGE_REMOVE, "network", before->networks[i].name);
        for (size_t i = 0; i < after->networks_len; i++) {
                const struct network *network = &after->networks[i];

                diff_object(ret, "network", network->name,
                            network_json(stack_find_network(before, network->name)),
                            network_json(network));
        }
}

static void diff_volumes(const struct stack *before, const struct stack *after, struct changes *ret)
{
        for (size_t i = 0; i < before->volumes_len; i++)
                if (!stack_find_volume(after, before->volumes[i].name))
                        (void)add_change(ret, CHANGE_REMOVE, "volume", before->volumes[i].name);
        for (size_t i = 0; i < after->volumes_len; i++) {
                const struct volume *volume = &after->volumes[i];

                diff_object(ret, "volume", volume->name,
                            volume_json(stack_find_volume(before, volume->name)),
                            volume_json(volume));
        }
}

void stack_diff(const struct stack *before, const struct stack *after, struct changes *ret)
{
        static const struct stack nothing = {.name = NULL};
        struct graph order_before, order_after;

        *ret = (struct changes){0};
        before = before ? before : &nothing;
        after = after ? after : &nothing;
        graph_init(&order_before, before);
        graph_init(&order_after, after);
        diff_services(before, after, &order_before, &order_after, ret);
        diff_restarts(before, after, &order_after, ret);
        diff_networks(before, after, ret);
        diff_volumes(before, after, ret);
        if (ret->len)
                qsort(ret->items, ret->len, sizeof(*ret->items), change_cmp);
        graph_release(&order_before);
        graph_release(&order_after);
}

void changes_release(struct changes *changes)
{
        for (size_t i = 0; i < changes->len; i++) {
                struct change *change = &changes->items[i];

                for (size_t j = 0; j < change->fields_len; j++) {
                        free(change->fields[j].path);
                        free(change->fields[j].before);
                        free(change->fields[j].after);
                }
                free(change->fields);
                free(change->what);
                free(change->name);
        }
        free(changes->items);
        *changes = (struct changes){0};
}

static json_t *field_to_json(const struct field_change *field)
{
        json_t *json = json_object();

        json_set_str(json, "path", field->path);
        json_set_str(json, "before", field->before);
        json_set_str(json, "after", field->after);
        json_set_str(json, "effect", change_effect_name(field->effect));
        return json;
}

json_t *changes_to_json(const struct changes *changes)
{
        json_t *list = json_array();

        for (size_t i = 0; i < changes->len; i++) {
                const struct change *change = &changes->items[i];
                json_t *json = json_object(), *fields = json_array();

                json_set_str(json, "kind", change_kind_name(change->kind));
                json_set_str(json, "what", change->what);
                json_set_str(json, "name", change->name);
                for (size_t j = 0; j < change->fields_len; j++)
                        json_array_append_new(fields, field_to_json(&change->fields[j]));
                json_object_set_new(json, "fields", fields);
                json_array_append_new(list, json);
        }
        return list;
}
