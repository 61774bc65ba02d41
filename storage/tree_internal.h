/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by tree.c (what entries do) and tree_path.c (how names are found). For nobody else. */
#ifndef STORAGE_TREE_INTERNAL_H
#define STORAGE_TREE_INTERNAL_H

#include "storage/tree.h"

struct tree {
        struct tree_node *root;
        int32_t layer;
        size_t count, count_max;
        unsigned depth_max;
        size_t xattr_bytes;
        struct tree_node **buckets; /* by parent and name */
        size_t buckets_len;         /* a power of two */
        uint64_t seed;              /* against chosen collisions */
};

/** The index of nodes by parent and name: set up for an empty tree, enter a node, take it out. */
void tree_hash_init(struct tree *tree);
void tree_hash_insert(struct tree *tree, struct tree_node *node);
void tree_hash_remove(struct tree *tree, struct tree_node *node);

/** The child of dir by name, or NULL. */
struct tree_node *tree_lookup(struct tree *tree, const struct tree_node *dir, const char *name,
                              size_t len);

/** A new directory 0755 of the present layer. */
struct tree_node *tree_make_dir(struct tree *tree, struct tree_node *parent, const char *name,
                                size_t len);

/** Reject what no entry may have: numbers out of range, missing link targets, limits. */
int tree_check_entry(struct tree *tree, const struct tree_entry *entry, struct err *err);

/**
 * Resolve all but the last component of path, following symbolic links inside the tree.
 * create: missing directories are made; a file in the way is an error.
 * *ret_len 0: path is the root; else *ret_name, *ret_len: the last component within path.
 * 1: a parent is missing (only without create).
 */
int tree_walk(struct tree *tree, const char *path, bool create, struct tree_node **ret_dir,
              const char **ret_name, size_t *ret_len, struct err *err);

#endif
