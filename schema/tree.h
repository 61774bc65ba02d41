/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generic tree: what a YAML document or a JSON text holds before anything is known about its
 * meaning. Each node and each key knows its place. All of it lives in an arena. Aliases are copied
 * when they are read, so that no node is shared and each can be changed alone.
 *
 * Scalars are typed as the YAML 1.2 core schema with Compose's additions: true/false (also True,
 * TRUE) are booleans, yes/no/on/off are strings, 0123 and 0o123 are octal, 1_000 is a number,
 * 22:22 is a string.
 */
#ifndef SCHEMA_TREE_H
#define SCHEMA_TREE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/arena.h"
#include "schema/diag.h"

enum node_kind { NODE_NULL, NODE_BOOL, NODE_INT, NODE_FLOAT, NODE_STRING, NODE_SEQ, NODE_MAP };

/* Compose's own tags: what the earlier file said is dropped, or replaced whole. */
enum node_tag { TAG_NONE, TAG_RESET, TAG_OVERRIDE };

struct node {
        enum node_kind kind;
        enum node_tag tag;
        bool interpolated; /* variables were replaced: an empty result means "not given" */
        struct mark mark;
        const char *text; /* scalars: as written, NUL-terminated */

        union {
                bool boolean;
                int64_t integer;
                double real;
        };
        struct node **items;   /* NODE_SEQ */
        struct entry *entries; /* NODE_MAP */
        size_t len;            /* of either */
};

struct entry {
        const char *key;
        struct mark mark; /* of the key */
        struct node *value;
};

/** An empty node of that kind, in the arena. mark: copied. */
struct node *node_new(struct arena *arena, enum node_kind kind, const struct mark *mark);

/** Add to the end of a list, or of a map (key: copied). The caller has checked for a double key. */
void node_add_item(struct arena *arena, struct node *seq, struct node *item);
void node_add_entry(struct arena *arena, struct node *map, const char *key, const struct mark *mark,
                    struct node *value);

/** The entry of that key of a map, or NULL (also when node is no map). */
struct entry *node_find(const struct node *node, const char *key);

/** Take the entry of that key out of a map, if there is one. */
void node_remove(struct node *map, const char *key);

/** Its value, or NULL. */
const struct node *node_get(const struct node *node, const char *key);

/** Give an unquoted scalar the kind its text has. */
void node_resolve(struct node *node);

/** Number of nodes of a tree, at most max + 1. */
size_t node_count(const struct node *node, size_t max);

/** Levels below and with node; bounded by who made the tree. */
unsigned node_depth(const struct node *node);

/** A deep copy. */
struct node *node_copy(struct arena *arena, const struct node *node);

/** "a string", "a list"...: for messages. */
const char *node_kind_name(const struct node *node);

/** The tree of a JSON value (depth bounded by json_parse()); the marks have no file. */
struct node *tree_from_json(struct arena *arena, const json_t *json);

#endif
