/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/port.h"
#include "schema/target.h"

static struct node *merge_value(struct reader *r, const struct field *field, struct node *base,
                                struct node *over);

static bool is_collection(const struct node *node)
{
        return node->kind == NODE_SEQ || node->kind == NODE_MAP;
}

/* A list of KEY=VALUE or of names as the map it stands for. */
static struct node *list_to_map(struct reader *r, struct node *list, bool pairs)
{
        struct node *map;

        if (list->kind != NODE_SEQ)
                return list;
        map = node_new(r->arena, NODE_MAP, &list->mark);
        for (size_t i = 0; i < list->len; i++) {
                struct node *item = list->items[i];
                struct node *value = node_new(r->arena, NODE_NULL, &item->mark);
                struct entry *same;
                const char *key;
                size_t n;

                if (is_collection(item))
                        return list; /* the reader will tell */
                n = pairs ? strcspn(item->text, "=") : strlen(item->text);
                key = arena_strndup(r->arena, item->text, n);
                if (item->text[n]) {
                        value->kind = NODE_STRING;
                        value->text = item->text + n + 1;
                }
                same = node_find(map, key);
                if (same)
                        same->value = value;
                else
                        node_add_entry(r->arena, map, key, &item->mark, value);
        }
        return map;
}

static struct node *scalar_to_list(struct reader *r, struct node *node)
{
        struct node *list;

        if (is_collection(node))
                return node;
        list = node_new(r->arena, NODE_SEQ, &node->mark);
        node_add_item(r->arena, list, node);
        return list;
}

/* Longer lists than real ones are joined without looking for equal entries. */
#define LIST_COMPARES_MAX 10000000

/* What makes two entries of a list the same one; empty or NULL: nothing does. */
static const char *item_key(struct reader *r, const struct field *field, const struct node *item)
{
        enum merge_rule rule = field->kind->merge;
        const struct node *path = node_get(item, "path"); /* of an env_file */

        if (rule == MERGE_PORTS)
                return port_merge_key(r->arena, item);
        if (rule == MERGE_TARGET)
                return target_key(r->arena, item, field->kind->folder);
        if (is_collection(item))
                return path ? path->text : NULL;
        return item->text;
}

/* The last entry with that key, as it is the one that counts; n when there is none. */
static size_t find_key(const char *const *keys, size_t n, const char *key)
{
        for (size_t i = n; i-- > 0 && key && key[0];)
                if (keys[i] && streq(keys[i], key))
                        return i;
        return n;
}

static struct node *merge_lists(struct reader *r, const struct field *field, struct node *base,
                                struct node *over)
{
        AUTO_FREE const char **keys = NULL;

        base = scalar_to_list(r, base);
        over = scalar_to_list(r, over);
        if (base->kind != NODE_SEQ || over->kind != NODE_SEQ)
                return over;
        keys = xcalloc(base->len + over->len, sizeof(*keys));
        for (size_t i = 0; i < base->len; i++)
                keys[i] = item_key(r, field, base->items[i]);
        for (size_t i = 0; i < over->len; i++) {
                const char *key = item_key(r, field, over->items[i]);
                size_t n = base->len;
                size_t k = n < LIST_COMPARES_MAX / over->len ? find_key(keys, n, key) : n;

                keys[k] = key;
                if (k < n)
                        base->items[k] = over->items[i];
                else
                        node_add_item(r->arena, base, over->items[i]);
        }
        return base;
}

/* Keys that no table knows: x-* and what is ignored. */
static struct node *merge_unknown(struct reader *r, struct node *base, struct node *over)
{
        if (base->kind == NODE_MAP && over->kind == NODE_MAP) {
                merge_maps(r, NULL, base, over);
                return base;
        }
        if (base->kind != NODE_SEQ || over->kind != NODE_SEQ)
                return over;
        for (size_t i = 0; i < over->len; i++)
                node_add_item(r->arena, base, over->items[i]);
        return base;
}

static int compare_slots(const void *a, const void *b)
{
        const struct entry *const *x = a, *const *y = b;

        return strcmp((*x)->key, (*y)->key);
}

/* One of 10,000 services must be found without looking at all of them. */
static const struct entry *find_slot(struct entry *const *sorted, size_t n, const char *key)
{
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = strcmp(key, sorted[middle]->key);

                if (r == 0)
                        return sorted[middle];
                if (r < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

/* Objects by name. One that is reset stays as such an entry, which the reader skips. */
static void merge_named(struct reader *r, const struct field *table, struct node *base,
                        const struct node *over)
{
        struct entry *old_entries = base->entries; /* grows into another array, this one stays */
        size_t n = base->len;
        AUTO_FREE struct entry **sorted = xcalloc(n, sizeof(*sorted));

        for (size_t i = 0; i < n; i++)
                sorted[i] = &old_entries[i];
        qsort(sorted, n, sizeof(*sorted), compare_slots);
        for (size_t i = 0; i < over->len; i++) {
                const struct entry *e = &over->entries[i];
                const struct entry *found = find_slot(sorted, n, e->key);
                size_t at = found ? (size_t)(found - old_entries) : 0;
                struct entry *old = found ? &base->entries[at] : NULL;

                path_push_key(&r->path, e->key);
                if (!old)
                        node_add_entry(r->arena, base, e->key, &e->mark, e->value);
                else if (old->value->kind == NODE_MAP && e->value->kind == NODE_MAP &&
                         e->value->tag == TAG_NONE && old->value->tag != TAG_RESET)
                        merge_maps(r, table, old->value, e->value);
                else if (e->value->kind != NODE_NULL || e->value->tag == TAG_RESET)
                        *old = *e;
                path_pop(&r->path);
        }
}

static struct node *refuse_mismatch(struct reader *r, const struct node *base, struct node *over)
{
        reader_fault(r, DIAG_CONFLICT, &over->mark, "cannot go over %s of %s, line %u: this is %s",
                     node_kind_name(base), base->mark.file ? base->mark.file : "the other file",
                     base->mark.line, node_kind_name(over));
        return over;
}

static struct node *merge_value(struct reader *r, const struct field *field, struct node *base,
                                struct node *over)
{
        enum merge_rule rule = field && field->kind ? field->kind->merge : MERGE_REPLACE;
        bool maps = base->kind == NODE_MAP && over->kind == NODE_MAP;

        if (over->tag == TAG_OVERRIDE || base->kind == NODE_NULL)
                return over;
        if (over->kind == NODE_NULL)
                return base;
        if (!field || !field->kind)
                return merge_unknown(r, base, over);
        switch (rule) {
        case MERGE_REPLACE:
                return over;
        case MERGE_OBJECT:
        case MERGE_NAMED:
                if (!maps)
                        return refuse_mismatch(r, base, over);
                if (rule == MERGE_OBJECT)
                        merge_maps(r, field_children(field), base, over);
                else
                        merge_named(r, field_children(field), base, over);
                return base;
        case MERGE_PAIRS:
        case MERGE_NAMES:
                base = list_to_map(r, base, rule == MERGE_PAIRS);
                over = list_to_map(r, over, rule == MERGE_PAIRS);
                if (base->kind != NODE_MAP || over->kind != NODE_MAP)
                        return base->kind == NODE_MAP ? over : base; /* the reader will tell */
                merge_maps(r, NULL, base, over);
                return base;
        case MERGE_SET:
        case MERGE_PORTS:
        case MERGE_TARGET:
                return merge_lists(r, field, base, over);
        }
        bug("merge rule");
}

void merge_maps(struct reader *r, const struct field *table, struct node *base,
                const struct node *over)
{
        for (size_t i = 0; i < over->len; i++) {
                const struct entry *e = &over->entries[i];
                struct entry *old = node_find(base, e->key);

                if (!old) {
                        node_add_entry(r->arena, base, e->key, &e->mark, e->value);
                        continue;
                }
                if (e->value->tag == TAG_RESET) {
                        node_remove(base, e->key);
                        continue;
                }
                path_push_key(&r->path, e->key);
                old->value = merge_value(r, table ? field_find(table, e->key) : NULL, old->value,
                                         e->value);
                if (old->value == e->value)
                        old->mark = e->mark;
                path_pop(&r->path);
        }
}
