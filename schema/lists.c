/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of many values: lists, KEY=VALUE pairs, objects. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "schema/kinds.h"
#include "schema/shapes.h"
#include "schema/words.h"

/* Longer lists keep equal items: looking for them costs the square of the length. */
#define UNIQUE_MAX 1000

void str_list_add(struct str_list *list, const char *item)
{
        char **slot = array_push(&list->items, &list->len);

        *slot = xstrdup(item);
        list->set = true;
}

static void str_list_clear(struct str_list *list)
{
        for (size_t i = 0; i < list->len; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct str_list){0};
}

static bool str_list_has(const struct str_list *list, const char *item)
{
        for (size_t i = 0; i < list->len; i++)
                if (strcmp(list->items[i], item) == 0)
                        return true;
        return false;
}

json_t *str_list_write(const struct str_list *list)
{
        json_t *array;

        if (!list->set && list->len == 0)
                return NULL;
        array = json_array();
        for (size_t i = 0; i < list->len; i++)
                if (json_array_append_new(array, json_string(list->items[i])) < 0)
                        bug("json_array_append_new");
        return array;
}

static json_t *strings_write(const struct field *field, const void *value)
{
        const struct str_list *list = value;

        (void)field;
        return list->len ? str_list_write(list) : NULL;
}

static void read_items(struct reader *r, const struct field *field, const struct node *seq,
                       bool unique, struct str_list *list)
{
        for (size_t i = 0; i < seq->len; i++) {
                const struct node *item = seq->items[i];

                path_push_index(&r->path, i);
                if (item->kind == NODE_SEQ || item->kind == NODE_MAP || item->kind == NODE_NULL)
                        reader_fault(r, DIAG_BAD_TYPE, &item->mark, "must be a string, not %s",
                                     node_kind_name(item));
                else if (field->check)
                        field->check(r, item, item->text);
                if (!unique || seq->len > UNIQUE_MAX || !str_list_has(list, item->text))
                        str_list_add(list, item->text);
                path_pop(&r->path);
        }
}

static void strings_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        if (node->kind == NODE_SEQ) {
                read_items(r, field, node, true, value);
        } else {
                const char *text = reader_string(r, field, node);

                if (text && field->check)
                        field->check(r, node, text);
                if (text)
                        str_list_add(value, text);
        }
}

const struct kind kind_strings = {.schema = SHAPE_WORDS,
                                  .form = "a string or a list of strings",
                                  .merge = MERGE_SET,
                                  .read = strings_read,
                                  .write = strings_write};

static void argv_read(struct reader *r, const struct field *field, const struct node *node,
                      void *value)
{
        struct str_list *list = value;
        const char *operator= NULL;
        struct err err = ERR_INIT;
        const char *text;
        int split;

        str_list_clear(list);
        if (node->kind == NODE_SEQ) {
                list->set = true;
                read_items(r, field, node, false, list);
                return;
        }
        text = reader_string(r, field, node);
        if (!text)
                return;
        list->set = true;
        split = words_split(text, list, &operator, & err);
        if (split < 0)
                reader_error(r, &node->mark, "%s", err.msg);
        else if (split > 0)
                reader_warn(r, &node->mark,
                            "no shell runs this: all from '%.10s' on is dropped; write [\"sh\", "
                            "\"-c\", \"...\"]",
                            operator);
}

static json_t *argv_write(const struct field *field, const void *value)
{
        (void)field;
        return str_list_write(value);
}

const struct kind kind_argv = {.schema = SHAPE_WORDS,
                               .form = "a string or a list of strings",
                               .read = argv_read,
                               .write = argv_write};

void kv_list_add(struct kv_list *list, const char *key, const char *value)
{
        struct kv *kv = array_push(&list->items, &list->len);

        kv->key = xstrdup(key);
        kv->value = xstrdup(value);
}

struct sorted_kv {
        struct kv kv;
        size_t index;
};

static int compare_kv(const void *a, const void *b)
{
        const struct sorted_kv *x = a, *y = b;
        int r = strcmp(x->kv.key, y->kv.key);

        return r ? r : (x->index > y->index) - (x->index < y->index);
}

void kv_list_sort(struct kv_list *list)
{
        AUTO_FREE struct sorted_kv *sorted = xcalloc(list->len, sizeof(*sorted));
        size_t n = 0;

        for (size_t i = 0; i < list->len; i++)
                sorted[i] = (struct sorted_kv){list->items[i], i};
        qsort(sorted, list->len, sizeof(*sorted), compare_kv);
        for (size_t i = 0; i < list->len; i++) {
                if (i + 1 < list->len && streq(sorted[i].kv.key, sorted[i + 1].kv.key)) {
                        free(sorted[i].kv.key);
                        free(sorted[i].kv.value);
                } else {
                        list->items[n++] = sorted[i].kv;
                }
        }
        list->len = n;
}

/* "KEY=VALUE" or "KEY" of a list. */
static void read_pair_text(struct reader *r, const struct node *item, struct kv_list *list)
{
        const char *text = item->text;
        size_t n = strcspn(text, "=");
        AUTO_FREE char *key = xstrndup(text, n);

        if (item->kind == NODE_SEQ || item->kind == NODE_MAP || item->kind == NODE_NULL) {
                reader_fault(r, DIAG_BAD_TYPE, &item->mark, "must be KEY=VALUE, not %s%s",
                             node_kind_name(item),
                             item->kind == NODE_MAP
                                     ? "; write KEY=VALUE, or leave out all of the dashes"
                                     : "");
                return;
        }
        if (n == 0 || key[n - 1] == ' ')
                reader_error(r, &item->mark,
                             "'%.40s' must be KEY=VALUE without spaces around =", text);
        kv_list_add(list, key, text[n] ? text + n + 1 : NULL);
}

/* Numbers stay as written: 16.80 is a version, not a value. Docker reads 0123 and 1_000 as numbers.
 */
static const char *pair_value(struct reader *r, const struct field *field, const struct node *node)
{
        const char *number;

        if (node->kind == NODE_NULL || node->tag == TAG_RESET)
                return NULL;
        if (node->kind == NODE_MAP || node->kind == NODE_SEQ) {
                reader_fault(
                        r, DIAG_BAD_TYPE, &node->mark,
                        "must be text, not %s; write its parts as one text, or as several keys",
                        node_kind_name(node));
                return NULL;
        }
        if (node->kind != NODE_INT)
                return reader_scalar(r, field, node);
        number = arena_printf(r->arena, "%lld", (long long)node->integer);
        if (!streq(number, node->text))
                reader_warn(r, &node->mark,
                            "kept as the text %s; other tools make %s of it: write it in quotes",
                            node->text, number);
        return node->text;
}

static void environ_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        struct kv_list *list = value;

        if (node->kind != NODE_MAP && node->kind != NODE_SEQ) {
                reader_refuse_kind(r, field, node);
                return;
        }
        for (size_t i = 0; i < node->len; i++) {
                if (node->kind == NODE_SEQ) {
                        path_push_index(&r->path, i);
                        read_pair_text(r, node->items[i], list);
                } else {
                        const struct entry *e = &node->entries[i];

                        path_push_key(&r->path, e->key);
                        if (!e->key[0])
                                reader_error(r, &e->mark, "a key cannot be empty");
                        kv_list_add(list, e->key, pair_value(r, field, e->value));
                }
                path_pop(&r->path);
        }
        kv_list_sort(list);
}

static void pairs_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        struct kv_list *list = value;

        environ_read(r, field, node, value);
        for (size_t i = 0; i < list->len; i++)
                if (!list->items[i].value)
                        list->items[i].value = xstrdup("");
}

static json_t *pairs_write(const struct field *field, const void *value)
{
        const struct kv_list *list = value;
        json_t *object;

        (void)field;
        if (list->len == 0)
                return NULL;
        object = json_object();
        for (size_t i = 0; i < list->len; i++)
                if (json_object_set_new(object, list->items[i].key,
                                        list->items[i].value ? json_string(list->items[i].value)
                                                             : json_null()) < 0)
                        bug("json_object_set_new");
        return object;
}

const struct kind kind_pairs = {.schema = SHAPE_PAIRS,
                                .form = "a map or a list of KEY=VALUE",
                                .merge = MERGE_PAIRS,
                                .read = pairs_read,
                                .write = pairs_write};
const struct kind kind_environ = {.schema = SHAPE_PAIRS,
                                  .form = "a map or a list of KEY=VALUE",
                                  .merge = MERGE_PAIRS,
                                  .read = environ_read,
                                  .write = pairs_write};

static void object_init(const struct field *field, void *value)
{
        fields_init(field->arg, value);
}

static void object_read(struct reader *r, const struct field *field, const struct node *node,
                        void *value)
{
        const struct field *table = field->arg;

        if (node->kind == NODE_MAP)
                fields_read(r, table, node, value);
        else
                reader_fault(r, DIAG_BAD_TYPE, &node->mark,
                             "must be a map with keys such as '%s', not %s", table->name,
                             node_kind_name(node));
}

static json_t *object_write(const struct field *field, const void *value)
{
        return fields_write_any(field->arg, value);
}

const struct kind kind_object = {.form = "a map",
                                 .merge = MERGE_OBJECT,
                                 .init = object_init,
                                 .read = object_read,
                                 .write = object_write};

static void read_named(struct reader *r, const struct named *named, const struct entry *entry,
                       void *base)
{
        void **items = (void **)((char *)base + named->items);
        size_t *len = (size_t *)((char *)base + named->len);
        char *element = array_push_(items, len, named->size);
        struct place *place = (struct place *)(element + named->place);

        *(char **)element = xstrdup(entry->key);
        *place = (struct place){xstrdup(entry->mark.file), entry->mark.line, entry->mark.column};
        fields_init(named->table, element);
        if (named->begin)
                named->begin(r, element, *len - 1, entry->value);
        if (entry->value->kind == NODE_MAP) {
                fields_read(r, named->table, entry->value, element);
                if (named->end)
                        named->end(r, element, entry->value);
        } else if (entry->value->kind != NODE_NULL || !named->null_ok)
                reader_fault(r, DIAG_BAD_TYPE, &entry->mark, "must be a map, not %s%s",
                             node_kind_name(entry->value),
                             field_find(named->table, entry->key)
                                     ? "; it is a key of the entries here: indent it below one"
                             : entry->value->kind == NODE_NULL ? "; indent its keys below it"
                                                               : "");
        r->off = false;
}

static void named_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        const struct named *named = field->arg;

        if (node->kind != NODE_MAP) {
                reader_fault(r, DIAG_BAD_TYPE, &node->mark, "must be a map, not %s%s",
                             node_kind_name(node),
                             node->kind == NODE_SEQ ? "; write NAME: instead of - NAME" : "");
                r->partial = true; /* that names are missing is the same mistake */
                return;
        }
        if (field->max && (int64_t)node->len > field->max) {
                reader_fault(r, DIAG_LIMIT, &node->mark, "%zu entries; the most is %lld", node->len,
                             (long long)field->max);
                return;
        }
        for (size_t i = 0; i < node->len; i++) {
                const struct entry *entry = &node->entries[i];
                struct node at = {.mark = entry->mark};

                if (has_prefix(entry->key, "x-") || entry->value->tag == TAG_RESET)
                        continue;
                path_push_key(&r->path, entry->key);
                named->check_name(r, &at, entry->key);
                read_named(r, named, entry, value);
                path_pop(&r->path);
        }
}

static json_t *named_write(const struct field *field, const void *value)
{
        const struct named *named = field->arg;
        const char *base = value;
        const char *items = *(const char *const *)(const void *)(base + named->out_items);
        size_t len = *(const size_t *)(const void *)(base + named->out_len);
        json_t *object;

        if (len == 0)
                return NULL;
        object = json_object();
        for (size_t i = 0; i < len; i++) {
                const char *element = items + i * named->out_size;

                if (json_object_set_new(object, *(const char *const *)(const void *)element,
                                        fields_write(named->table, element)) < 0)
                        bug("json_object_set_new");
        }
        return object;
}

const struct kind kind_named = {
        .form = "a map", .merge = MERGE_NAMED, .read = named_read, .write = named_write};
