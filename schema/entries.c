/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/entries.h"

#include <string.h>

#include "base/mem.h"

void entries_read(struct reader *r, const struct field *field, const struct node *node,
                  entry_fn *read, void *value)
{
        if (node->kind != NODE_SEQ) {
                reader_refuse_kind(r, field, node);
                return;
        }
        for (size_t i = 0; i < node->len; i++) {
                path_push_index(&r->path, i);
                read(r, field, node->items[i], value);
                path_pop(&r->path);
        }
}

const char *entry_name(struct reader *r, const struct node *item)
{
        if (item->kind == NODE_STRING && item->text[0])
                return item->text;
        reader_fault(
                r, DIAG_BAD_TYPE, &item->mark, "must be a name, not %s%s", node_kind_name(item),
                item->kind == NODE_MAP ? "; to give options, write a map, without dashes" : "");
        return NULL;
}

bool entry_is_split(struct reader *r, const struct node *item)
{
        const struct entry *only = item->kind == NODE_MAP && item->len == 1 ? item->entries : NULL;
        const char *value = only ? only->value->text : NULL;

        if (!value || only->value->kind == NODE_MAP || only->value->kind == NODE_SEQ ||
            only->value->kind == NODE_NULL || !strchr("./~0123456789", only->key[0]))
                return false;
        reader_fault(r, DIAG_BAD_TYPE, &item->mark,
                     "the blank makes it a map; write \"%.40s:%.80s\", without it", only->key,
                     value);
        return true;
}

void names_read(struct reader *r, const struct field *field, const struct node *node, name_fn *read,
                void *value)
{
        if (node->kind != NODE_MAP && node->kind != NODE_SEQ) {
                reader_refuse_kind(r, field, node);
                return;
        }
        for (size_t i = 0; i < node->len && node->kind == NODE_SEQ; i++) {
                const struct node *item = node->items[i];
                const char *name;

                path_push_index(&r->path, i);
                name = entry_name(r, item);
                if (name)
                        read(r, name, &item->mark, NULL, value);
                path_pop(&r->path);
        }
        for (size_t i = 0; i < node->len && node->kind == NODE_MAP; i++) {
                const struct entry *e = &node->entries[i];

                path_push_key(&r->path, e->key);
                if (e->value->tag != TAG_RESET)
                        read(r, e->key, &e->mark, e->value, value);
                path_pop(&r->path);
        }
}

json_t *entries_write(const struct field *table, const void *items, size_t len, size_t size)
{
        json_t *array = len ? json_array() : NULL;

        for (size_t i = 0; i < len; i++)
                if (json_array_append_new(array,
                                          fields_write(table, (const char *)items + i * size)) < 0)
                        bug("json_array_append_new");
        return array;
}

json_t *names_write(const struct field *table, const void *items, size_t len, size_t size)
{
        json_t *object = len ? json_object() : NULL;

        for (size_t i = 0; i < len; i++) {
                const char *const *element = (const void *)((const char *)items + i * size);

                if (json_object_set_new(object, *element, fields_write(table, element)) < 0)
                        bug("json_object_set_new");
        }
        return object;
}
