/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/places.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/field.h"

struct places {
        struct arena *arena;
        const struct node *root;
        struct note *notes; /* by service, then in the order they were made */
        size_t notes_len;
};

/* Values of the canonical form that can be written in other words. */
static const struct {
        const char *what, *path, *written;
        bool above; /* counts where both are given; else the first one does */
} others[] = {
        {"service", "scale", "deploy.replicas", true},
        {"service", "mem_limit", "deploy.resources.limits.memory", true},
        {"service", "cpus", "deploy.resources.limits.cpus", true},
        {"service", "pids_limit", "deploy.resources.limits.pids", true},
        {"service", "restart", "deploy.restart_policy.condition", true},
        {"service", "restart", "deploy.restart_policy", true},
        {"service", "x-berth.restart.delay", "deploy.restart_policy.delay", true},
        {"service", "x-berth.restart.window", "deploy.restart_policy.window", true},
        {"service", "image", "build", false},
        {"service", "pull_policy", "build", false},
        {"network", "subnet", "ipam.config.subnet", false},
        {"volume", "class", "x-berth.class", false},
        {"volume", "size", "x-berth.size", false},
};

static int compare_notes(const void *pa, const void *pb)
{
        const struct note *a = pa, *b = pb;

        if (a->service != b->service)
                return (uintptr_t)a->service < (uintptr_t)b->service ? -1 : 1;
        return (a->order > b->order) - (a->order < b->order);
}

struct places *places_new(struct arena *arena, const struct node *root, struct note *notes,
                          size_t notes_len)
{
        struct places *places = xnew(struct places);

        *places = (struct places){arena, root, notes, notes_len};
        if (notes_len)
                qsort(notes, notes_len, sizeof(*notes), compare_notes);
        return places;
}

void places_free(struct places *places)
{
        if (!places)
                return;
        arena_free(places->arena);
        free(places);
}

/* How a path goes on behind a key of n bytes, which may hold dots itself; NULL: not through it. */
static const char *step_over(const char *path, const char *key, size_t n)
{
        return strncmp(path, key, n) == 0 && (!path[n] || path[n] == '.' || path[n] == '[')
                       ? path + n
                       : NULL;
}

/* Whether an item of a list stands for a key: KEY, KEY=VALUE, KEY:VALUE. whole: for all of it. */
static bool item_is(const struct node *item, const char *path, bool whole)
{
        size_t n = 0;

        if (item->kind != NODE_STRING)
                return false;
        do {
                const char *rest;

                n += strcspn(item->text + n, "=:");
                rest = step_over(path, item->text, n);
                if (rest && (!whole || !*rest))
                        return true;
        } while (item->text[n++]);
        return false;
}

/* NOLINTBEGIN(misc-no-recursion): a tree's depth is bounded by who made it */
static bool descend(const struct node *node, const char *path, struct mark *ret);

static bool descend_map(const struct node *map, const char *path, struct mark *ret)
{
        for (size_t i = 0; i < map->len; i++) {
                const struct entry *e = &map->entries[i];

                const char *rest = step_over(path, e->key, strlen(e->key));

                if (e->value->tag == TAG_RESET || !rest)
                        continue;
                *ret = e->value->kind == NODE_NULL ? e->mark : e->value->mark;
                if (descend(e->value, rest, ret))
                        return true;
        }
        return false;
}

/* Of two items with one name, the last one counts. */
static bool descend_names(const struct node *list, const char *path, bool whole, struct mark *ret)
{
        for (size_t i = list->len; i > 0; i--) {
                const struct node *item = list->items[i - 1];

                if (item->kind == NODE_MAP ? descend_map(item, path, ret)
                                           : item_is(item, path, whole)) {
                        *ret = item->kind == NODE_MAP ? *ret : item->mark;
                        return true;
                }
        }
        return false;
}

static bool descend_list(const struct node *list, const char *path, struct mark *ret)
{
        unsigned long index;
        char *end = NULL;

        if (path[0] != '[') {
                if (descend_names(list, path, true, ret))
                        return true;
                (void)descend_names(list, path, false, ret); /* the nearest */
                return false;
        }
        index = strtoul(path + 1, &end, 10);
        if (*end != ']' || index >= list->len)
                return false;
        *ret = list->items[index]->mark;
        return descend(list->items[index], end + 1, ret);
}

/* Whether the path leads to a value; *ret is that of the last node on the way. */
static bool descend(const struct node *node, const char *path, struct mark *ret)
{
        if (!*path)
                return true;
        if (node->kind == NODE_MAP)
                return descend_map(node, path + (*path == '.'), ret);
        return node->kind == NODE_SEQ && descend_list(node, path + (*path == '.'), ret);
}

/* NOLINTEND(misc-no-recursion) */

/* How a path goes on behind what the note is about; NULL: it is about another thing. */
static const char *step_noted(const struct note *note, const char *path)
{
        const char *rest = step_over(path, note->list, strlen(note->list));
        char *end;

        if (!rest || !*rest)
                return NULL;
        if (note->name)
                return *rest == '.' ? step_over(rest + 1, note->name, strlen(note->name)) : NULL;
        if (*rest != '[' || strtoul(rest + 1, &end, 10) != note->index || *end != ']')
                return NULL;
        return end + 1;
}

/* The last note of a service that a path goes through; *ret_rest: the path behind it. */
static const struct note *find_note(const struct places *p, const struct node *service,
                                    const char *path, const char **ret_rest)
{
        const struct note *found = NULL;
        size_t low = 0, high = p->notes_len;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if ((uintptr_t)p->notes[middle].service < (uintptr_t)service)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < p->notes_len && p->notes[low].service == service; low++) {
                const char *rest = step_noted(&p->notes[low], path);

                if (rest) {
                        found = &p->notes[low];
                        *ret_rest = rest;
                }
        }
        return found;
}

/* Where a value is written in other words. above: only those that count more. */
static bool find_other(const struct node *object, const char *what, const char *path, bool above,
                       struct mark *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                struct mark mark;

                if (others[i].above == above && streq(others[i].what, what) &&
                    streq(others[i].path, path) && descend(object, others[i].written, &mark)) {
                        *ret = mark;
                        return true;
                }
        }
        return false;
}

/* Names and dependencies that other keys of a service bring along. */
static bool find_brought(const struct node *service, const char *path, struct mark *ret)
{
        const struct node *links = node_get(service, "links");
        const char *dot = strrchr(path, '.');

        if (links && links->kind == NODE_SEQ && has_prefix(path, "depends_on."))
                return descend_names(links, path + strlen("depends_on."), false, ret);
        return has_prefix(path, "networks.") && streq(dot, ".aliases") &&
               descend(service, "container_name", ret);
}

static bool take_note(const struct note *note, const char *rest, struct mark *ret)
{
        *ret = note->node->mark;
        (void)descend(note->node, rest, ret); /* else the item as a whole is the place */
        return true;
}

static bool find_in_service(const struct places *p, const struct node *service, const char *path,
                            struct mark *ret)
{
        const char *rest = NULL;
        const struct note *note = find_note(p, service, path, &rest);

        if (note && !note->name)
                return take_note(note, rest, ret);
        return find_other(service, "service", path, true, ret) || descend(service, path, ret) ||
               find_other(service, "service", path, false, ret) ||
               find_brought(service, path, ret) || (note && take_note(note, rest, ret));
}

/* What a service's diff says of objects of the stack: "configs.app.content". */
static bool find_shared(const struct places *p, const char *path, struct mark *ret)
{
        static const char *const sources[] = {"file", "environment"};
        size_t n = strlen(path);

        if (!has_prefix(path, "configs.") && !has_prefix(path, "secrets.") &&
            !has_prefix(path, "volumes."))
                return false;
        if (descend(p->root, path, ret))
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(sources) && n > strlen(".content"); i++) {
                AUTO_FREE char *other =
                        xasprintf("%.*s.%s", (int)(n - strlen(".content")), path, sources[i]);

                if (streq(path + n - strlen(".content"), ".content") &&
                    descend(p->root, other, ret))
                        return true;
        }
        return true;
}

static int compare_key(const void *key, const void *entry)
{
        return strcmp(key, ((const struct entry *)entry)->key);
}

static const struct entry *find_object(const struct places *p, const char *what, const char *name)
{
        AUTO_FREE char *section = xasprintf("%ss", what);
        const struct node *map = node_get(p->root, section);

        if (!map || map->kind != NODE_MAP || !map->len)
                return NULL;
        return bsearch(name, map->entries, map->len, sizeof(*map->entries), compare_key);
}

bool places_find(const struct places *places, const char *what, const char *name, const char *path,
                 struct mark *ret)
{
        const struct entry *object = find_object(places, what, name);

        if (!object || object->value->tag == TAG_RESET)
                return false;
        *ret = object->mark;
        if (!*path)
                return true;
        if (!streq(what, "service"))
                (void)(descend(object->value, path, ret) ||
                       find_other(object->value, what, path, false, ret)); /* else the object */
        else if (!find_shared(places, path, ret))
                (void)find_in_service(places, object->value, path, ret); /* likewise */
        return true;
}
