/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define refuse(diags, mark, ...) \
        (diags_add((diags), DIAG_DUPLICATE_KEY, (mark), "", __VA_ARGS__), -EINVAL)

static int compare_entries(const void *a, const void *b)
{
        const struct entry *x = *(const struct entry *const *)a;
        const struct entry *y = *(const struct entry *const *)b;
        int r = strcmp(x->key, y->key);

        return r ? r : (x > y) - (x < y);
}

/* Sorted pointers, so that large maps do not cost the square of their size. */
static int check_duplicates(struct diags *diags, const struct node *map)
{
        AUTO_FREE const struct entry **sorted = xcalloc(map->len, sizeof(*sorted));
        int r = 0;

        for (size_t i = 0; i < map->len; i++)
                sorted[i] = &map->entries[i];
        qsort(sorted, map->len, sizeof(*sorted), compare_entries);
        for (size_t i = 1; i < map->len; i++)
                if (streq(sorted[i]->key, sorted[i - 1]->key) && !streq(sorted[i]->key, "<<"))
                        r = refuse(diags, &sorted[i]->mark,
                                   "key '%.60s' is there twice, first in line %u; remove one",
                                   sorted[i]->key, sorted[i - 1]->mark.line);
        return r;
}

/* Keys that one merge may compare: far above real files, and no more than some milliseconds. */
#define MERGE_COMPARES_MAX 10000000

static void merge_missing(struct arena *arena, struct node *map, const struct node *from)
{
        for (size_t i = 0; i < from->len; i++) {
                const struct entry *e = &from->entries[i];

                if (!node_find(map, e->key))
                        node_add_entry(arena, map, e->key, &e->mark, e->value);
        }
}

/* `<<: *a` or `<<: [*a, *b]`: the map's own keys win, then a's, then b's. */
static int resolve_merges(struct arena *arena, struct diags *diags, struct node *map)
{
        struct node *own;

        if (!node_find(map, "<<"))
                return 0;
        own = node_new(arena, NODE_MAP, &map->mark);
        for (size_t i = 0; i < map->len; i++)
                if (!streq(map->entries[i].key, "<<"))
                        node_add_entry(arena, own, map->entries[i].key, &map->entries[i].mark,
                                       map->entries[i].value);
        for (size_t i = 0; i < map->len; i++) {
                const struct node *from = map->entries[i].value;
                bool list = from->kind == NODE_SEQ;

                if (!streq(map->entries[i].key, "<<"))
                        continue;
                for (size_t k = 0; k < (list ? from->len : 1); k++) {
                        const struct node *one = list ? from->items[k] : from;

                        if (one->kind != NODE_MAP)
                                return refuse(diags, &one->mark,
                                              "'<<' needs a map or a list of maps, not %s",
                                              node_kind_name(one));
                        if (own->len * one->len > MERGE_COMPARES_MAX)
                                return refuse(diags, &one->mark,
                                              "'<<' with %zu keys into %zu keys is too much",
                                              one->len, own->len);
                        merge_missing(arena, own, one);
                }
        }
        map->entries = own->entries;
        map->len = own->len;
        return 0;
}

int map_finish(struct arena *arena, struct diags *diags, struct node *map)
{
        int r = check_duplicates(diags, map);

        return r < 0 ? r : resolve_merges(arena, diags, map);
}
