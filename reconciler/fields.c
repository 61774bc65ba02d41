/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/load.h"

#define SENSITIVE "(sensitive)"

/* Contents of configs up to this size are shown, larger ones by digest. */
#define CONTENT_SHOWN_MAX 120

/* Deepest path that is looked into; canonical specs have less than half of it. */
#define DEPTH_MAX 16

static void add_field(struct change *change, const char *path, char *before, char *after)
{
        struct field_change *field = array_push(&change->fields, &change->fields_len);

        field->path = xstrdup(path);
        field->before = before;
        field->after = after;
        field->effect = field_effect(path);
}

/* Variables that carry passwords by the habit of their names; their values are never shown. */
static bool is_sensitive(const char *path)
{
        static const char *const parts[] = {"PASSWORD", "PASSWD",  "PASSPHRASE", "SECRET",
                                            "TOKEN",    "API_KEY", "CREDENTIAL", "PRIVATE_KEY"};

        if (!has_prefix(path, "environment."))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                if (strcasestr(path, parts[i]))
                        return true;
        return false;
}

static char *value_text(const char *path, const json_t *value)
{
        if (!value)
                return NULL;
        return is_sensitive(path) ? xstrdup(SENSITIVE) : json_text(value);
}

static void compare(struct change *change, const char *path, const json_t *before,
                    const json_t *after, unsigned depth);

static char *member_path(const char *path, const char *key)
{
        return *path ? xasprintf("%s.%s", path, key) : xstrdup(key);
}

/* A member that differs; absent on one side: NULL. Borrowed. */
struct member {
        const char *key;
        json_t *before, *after;
};

struct members {
        struct member *items;
        size_t len;
};

static int member_cmp(const void *pa, const void *pb)
{
        const struct member *a = pa, *b = pb;

        return strcmp(a->key, b->key);
}

static void add_members(struct members *members, const json_t *of, const json_t *other, bool first)
{
        json_t *object = (json_t *)(uintptr_t)of; /* jansson's iterators want it */

        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
                json_t *mine = json_object_iter_value(it);
                json_t *its = json_object_get(other, json_object_iter_key(it));

                if (its && (!first || json_equal(mine, its)))
                        continue;
                *array_push(&members->items, &members->len) = (struct member){
                        json_object_iter_key(it), first ? mine : its, first ? its : mine};
        }
}

/* NOLINTBEGIN(misc-no-recursion): DEPTH_MAX */
static void compare_members(struct change *change, const char *path, struct members *members,
                            unsigned depth)
{
        if (members->len > 1)
                qsort(members->items, members->len, sizeof(*members->items), member_cmp);
        for (size_t i = 0; i < members->len; i++) {
                const struct member *m = &members->items[i];
                AUTO_FREE char *member = member_path(path, m->key);

                compare(change, member, m->before, m->after, depth + 1);
        }
        free(members->items);
}

static void compare_objects(struct change *change, const char *path, const json_t *before,
                            const json_t *after, unsigned depth)
{
        struct members members = {0};

        add_members(&members, before, after, true);
        add_members(&members, after, before, false);
        compare_members(change, path, &members, depth);
}

static bool holds_objects(const json_t *array)
{
        size_t len = json_array_size(array);

        for (size_t i = 0; i < len; i++)
                if (!json_is_object(json_array_get(array, i)))
                        return false;
        return len > 0;
}

static void compare_arrays(struct change *change, const char *path, const json_t *before,
                           const json_t *after, unsigned depth)
{
        size_t a = json_array_size(before), b = json_array_size(after);

        for (size_t i = 0; i < a || i < b; i++) {
                AUTO_FREE char *element = xasprintf("%s[%zu]", path, i);

                compare(change, element, json_array_get(before, i), json_array_get(after, i),
                        depth + 1);
        }
}

/*
 * Objects are compared member by member, also with a missing one ("environment.A" is added, not
 * "environment"); lists of objects element by element; lists of plain values as a whole.
 */
static void compare(struct change *change, const char *path, const json_t *before,
                    const json_t *after, unsigned depth)
{
        bool objects = (json_is_object(before) || !before) && (json_is_object(after) || !after);

        if (before && after && json_equal((json_t *)(uintptr_t)before, (json_t *)(uintptr_t)after))
                return;
        if (depth < DEPTH_MAX && objects && (json_object_size(before) || json_object_size(after)))
                compare_objects(change, path, before, after, depth);
        else if (depth < DEPTH_MAX && holds_objects(before) && holds_objects(after))
                compare_arrays(change, path, before, after, depth);
        else
                add_field(change, path, value_text(path, before), value_text(path, after));
}

void fields_compare(struct change *change, const json_t *before, const json_t *after)
{
        compare_objects(change, "", before, after, 0);
}

json_t *fields_pairs(const struct kv_list *list)
{
        json_t *object = json_object();

        for (size_t i = 0; i < list->len; i++)
                json_object_set_new(object, list->items[i].key,
                                    list->items[i].value ? json_string(list->items[i].value)
                                                         : json_null());
        return object;
}

/* NOLINTEND(misc-no-recursion) */

static bool same_content(const struct file_source *a, const struct file_source *b)
{
        if (!a || !b)
                return a == b;
        return a->content_len == b->content_len &&
               (a->content_len == 0 || memcmp(a->content, b->content, a->content_len) == 0);
}

static char *content_text(const struct file_source *source)
{
        AUTO_JSON json_t *text = NULL;
        char digest[DIGEST_TEXT_MAX];

        if (!source)
                return NULL;
        if (source->secret)
                return xstrdup(SENSITIVE);
        if (source->content_len <= CONTENT_SHOWN_MAX)
                text = json_stringn(source->content ? source->content : "", source->content_len);
        if (text) {
                char *encoded = json_dumps(text, JSON_ENCODE_ANY);

                if (encoded)
                        return encoded;
        }
        digest_text(source->content, source->content_len, digest);
        return xasprintf("\"%s (%zu bytes)\"", digest, source->content_len);
}

/* Files that both specs mount and whose content differs. */
static void compare_files(struct change *change, const char *kind, const struct stack *stack_before,
                          const struct stack *stack_after, const struct file_mount *mounts,
                          size_t mounts_len,
                          const struct file_source *(*find)(const struct stack *, const char *))
{
        for (size_t i = 0; i < mounts_len; i++) {
                const struct file_source *before = find(stack_before, mounts[i].source);
                const struct file_source *after = find(stack_after, mounts[i].source);
                AUTO_FREE char *path = NULL;

                if (!before || same_content(before, after))
                        continue; /* a new mount is a change of the list of mounts */
                path = xasprintf("%s.%s.content", kind, mounts[i].source);
                add_field(change, path, content_text(before), content_text(after));
        }
}

static const char *class_name(const struct volume *volume)
{
        return volume->volume_class == VOLUME_SHARED ? "shared" : "disk";
}

static void compare_volumes(struct change *change, const struct stack *stack_before,
                            const struct stack *stack_after, const struct service *after)
{
        for (size_t i = 0; i < after->volumes_len; i++) {
                const struct mount *mount = &after->volumes[i];
                const struct volume *a, *b;
                AUTO_FREE char *path = NULL;

                if (mount->type != MOUNT_VOLUME || !mount->source)
                        continue;
                a = stack_find_volume(stack_before, mount->source);
                b = stack_find_volume(stack_after, mount->source);
                if (a && b &&
                    (a->volume_class == VOLUME_SHARED) != (b->volume_class == VOLUME_SHARED))
                        add_field(change, xasprintf("volumes.%s.x-berth.class", mount->source),
                                  xstrdup(class_name(a)), xstrdup(class_name(b)));
                if (!a || !b || streq(a->real_name, b->real_name))
                        continue;
                path = xasprintf("volumes.%s.name", mount->source);
                add_field(change, path, xstrdup(a->real_name), xstrdup(b->real_name));
        }
}

void fields_of_service(const struct stack *stack_before, const struct service *before,
                       const struct stack *stack_after, const struct service *after,
                       struct change *change)
{
        AUTO_JSON json_t *a = NULL;
        AUTO_JSON json_t *b = NULL;

        service_differ(before, after, &a, &b);
        fields_compare(change, a, b);
        compare_files(change, "configs", stack_before, stack_after, after->configs,
                      after->configs_len, stack_find_config);
        compare_files(change, "secrets", stack_before, stack_after, after->secrets,
                      after->secrets_len, stack_find_secret);
        compare_volumes(change, stack_before, stack_after, after);
}
