/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/tree.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Longest text that may be a number; longer digits are text to everyone. */
#define NUMBER_TEXT_MAX 64

struct node *node_new(struct arena *arena, enum node_kind kind, const struct mark *mark)
{
        struct node *node = arena_alloc(arena, sizeof(*node));

        node->kind = kind;
        node->text = "";
        if (mark)
                node->mark = *mark;
        return node;
}

void node_add_item(struct arena *arena, struct node *seq, struct node *item)
{
        struct node **slot =
                arena_push(arena, (void **)&seq->items, &seq->len, sizeof(*seq->items));

        *slot = item;
}

void node_add_entry(struct arena *arena, struct node *map, const char *key, const struct mark *mark,
                    struct node *value)
{
        struct entry *slot =
                arena_push(arena, (void **)&map->entries, &map->len, sizeof(*map->entries));

        *slot = (struct entry){.key = key, .mark = *mark, .value = value};
}

struct entry *node_find(const struct node *node, const char *key)
{
        if (!node || node->kind != NODE_MAP)
                return NULL;
        for (size_t i = 0; i < node->len; i++)
                if (strcmp(node->entries[i].key, key) == 0)
                        return &node->entries[i];
        return NULL;
}

void node_remove(struct node *map, const char *key)
{
        struct entry *entry = node_find(map, key);

        if (!entry)
                return;
        map->len--;
        memmove(entry, entry + 1, (size_t)(map->entries + map->len - entry) * sizeof(*entry));
}

const struct node *node_get(const struct node *node, const char *key)
{
        const struct entry *entry = node_find(node, key);

        return entry ? entry->value : NULL;
}

size_t node_count(const struct node *node, size_t max)
{
        size_t n = 1;

        for (size_t i = 0; i < node->len && n <= max; i++) {
                if (node->kind == NODE_SEQ)
                        n += node_count(node->items[i], max - n);
                else if (node->kind == NODE_MAP)
                        n += node_count(node->entries[i].value, max - n);
        }
        return n;
}

unsigned node_depth(const struct node *node)
{
        unsigned deepest = 0;

        for (size_t i = 0; i < node->len; i++) {
                unsigned d = node_depth(node->kind == NODE_SEQ ? node->items[i]
                                                               : node->entries[i].value);

                deepest = d > deepest ? d : deepest;
        }
        return deepest + 1;
}

struct node *node_copy(struct arena *arena, const struct node *node)
{
        struct node *copy = arena_alloc(arena, sizeof(*copy));

        *copy = *node;
        copy->items = NULL;
        copy->entries = NULL;
        copy->len = 0;
        for (size_t i = 0; i < node->len; i++) {
                if (node->kind == NODE_SEQ)
                        node_add_item(arena, copy, node_copy(arena, node->items[i]));
                else
                        node_add_entry(arena, copy, node->entries[i].key, &node->entries[i].mark,
                                       node_copy(arena, node->entries[i].value));
        }
        return copy;
}

const char *node_kind_name(const struct node *node)
{
        static const char *const names[] = {
                [NODE_NULL] = "nothing",   [NODE_BOOL] = "a boolean",  [NODE_INT] = "a number",
                [NODE_FLOAT] = "a number", [NODE_STRING] = "a string", [NODE_SEQ] = "a list",
                [NODE_MAP] = "a map",
        };

        return names[node->kind];
}

static bool one_of(const char *text, const char *const *words)
{
        for (; *words; words++)
                if (strcmp(text, *words) == 0)
                        return true;
        return false;
}

/* Copies text without underscores and sign; the base is that of its prefix. */
static const char *number_digits(const char *text, char *ret, bool *negative, int *base)
{
        size_t n = 0;

        *negative = *text == '-';
        if (*text == '-' || *text == '+')
                text++;
        if (*text < '0' || *text > '9')
                return NULL;
        for (; *text; text++)
                if (*text != '_')
                        ret[n++] = *text;
        ret[n] = '\0';
        *base = 10;
        if (ret[0] == '0' && n > 1) {
                *base = ret[1] == 'x' || ret[1] == 'X'   ? 16
                        : ret[1] == 'b' || ret[1] == 'B' ? 2
                                                         : 8;
                return ret + (*base != 8 || ret[1] == 'o' || ret[1] == 'O' ? 2 : 1);
        }
        return ret;
}

static bool resolve_int(struct node *node)
{
        char digits[NUMBER_TEXT_MAX];
        const char *start;
        bool negative = false;
        char *end = NULL;
        unsigned long long n;
        int base = 10;

        start = number_digits(node->text, digits, &negative, &base);
        if (!start || strspn(start, "0123456789abcdefABCDEF") != strlen(start) || !*start)
                return false;
        errno = 0;
        n = strtoull(start, &end, base);
        if (*end || errno == ERANGE || n > (unsigned long long)INT64_MAX)
                return false;
        node->kind = NODE_INT;
        node->integer = negative ? -(int64_t)n : (int64_t)n;
        return true;
}

static bool resolve_float(struct node *node)
{
        const char *p = node->text;
        size_t whole, part = 0;

        p += *p == '-' || *p == '+';
        if (strcmp(p, ".inf") == 0 || strcmp(p, ".Inf") == 0 || strcmp(p, ".INF") == 0) {
                node->kind = NODE_FLOAT;
                node->real = *node->text == '-' ? -HUGE_VAL : HUGE_VAL;
                return true;
        }
        whole = strspn(p, "0123456789");
        p += whole;
        if (*p == '.')
                part = strspn(++p, "0123456789");
        p += part;
        if (whole + part == 0)
                return false;
        if (*p == 'e' || *p == 'E') {
                p++;
                p += *p == '-' || *p == '+';
                if (!*p || strspn(p, "0123456789") != strlen(p))
                        return false;
                p += strlen(p);
        }
        if (*p)
                return false;
        node->kind = NODE_FLOAT;
        node->real = strtod(node->text, NULL);
        return true;
}

void node_resolve(struct node *node)
{
        static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
        static const char *const trues[] = {"true", "True", "TRUE", NULL};
        static const char *const falses[] = {"false", "False", "FALSE", NULL};

        node->kind = NODE_STRING;
        if (strlen(node->text) >= NUMBER_TEXT_MAX)
                return;
        if (one_of(node->text, nulls)) {
                node->kind = NODE_NULL;
        } else if (one_of(node->text, trues) || one_of(node->text, falses)) {
                node->kind = NODE_BOOL;
                node->boolean = one_of(node->text, trues);
        } else if (!resolve_int(node)) {
                (void)resolve_float(node); /* neither: it stays a string */
        }
}

static struct node *scalar_from_json(struct arena *arena, const json_t *json)
{
        struct node *node = node_new(arena, NODE_NULL, NULL);

        switch (json_typeof(json)) {
        case JSON_STRING:
                node->kind = NODE_STRING;
                node->text = arena_strdup(arena, json_string_value(json));
                break;
        case JSON_INTEGER:
                node->kind = NODE_INT;
                node->integer = (int64_t)json_integer_value(json);
                node->text = arena_printf(arena, "%lld", (long long)node->integer);
                break;
        case JSON_REAL:
                node->kind = NODE_FLOAT;
                node->real = json_real_value(json);
                node->text = arena_printf(arena, "%.17g", node->real);
                break;
        case JSON_TRUE:
        case JSON_FALSE:
                node->kind = NODE_BOOL;
                node->boolean = json_is_true(json);
                node->text = node->boolean ? "true" : "false";
                break;
        case JSON_NULL:
        case JSON_OBJECT:
        case JSON_ARRAY:
                break;
        }
        return node;
}

struct node *tree_from_json(struct arena *arena, const json_t *json)
{
        static const struct mark nowhere = {NULL, 0, 0};
        struct node *node = scalar_from_json(arena, json);
        json_t *value;
        const char *key;
        size_t i;

        if (json_is_array(json)) {
                node->kind = NODE_SEQ;
                json_array_foreach(json, i, value)
                        node_add_item(arena, node, tree_from_json(arena, value));
        } else if (json_is_object(json)) {
                node->kind = NODE_MAP;
                json_object_foreach((json_t *)(uintptr_t)json, key, value)
                        node_add_entry(arena, node, arena_strdup(arena, key), &nowhere,
                                       tree_from_json(arena, value));
        }
        return node;
}
