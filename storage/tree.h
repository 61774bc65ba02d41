/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file tree of an image in memory: what remains after its layers were applied in order.
 *
 * Names are parsed into components and looked up here and nowhere else: no path of an archive ever
 * reaches the host's file system, so there is nothing to escape to. Symbolic links in parent paths
 * are followed inside the tree, absolute names are relative to its root, ".." is refused.
 *
 *   node   a name in a directory; knows the layer that set it last
 *   inode  what the name stands for; several nodes share one (hard links)
 *
 * A regular file's content is elsewhere; the inode keeps where, in blocks (runs). Knows neither
 * archives nor file systems.
 */
#ifndef STORAGE_TREE_H
#define STORAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define TREE_NAME_MAX   255          /* of ext4 */
#define TREE_PATH_MAX   4096         /* PATH_MAX of Linux: longer names cannot be opened */
#define TREE_DEPTH_MAX  256          /* bounds recursion; real images stay below 30 */
#define TREE_NODES_MAX  (2u << 20)   /* entries: large real images have 300 000 */
#define TREE_XATTR_MAX  (64u << 20)  /* bytes of all extended attributes */
#define TREE_SIZE_MAX   (1ull << 40) /* apparent size of one file */
#define TREE_FOLLOW_MAX 40           /* symbolic links in one path, as Linux has it */

struct tree_xattr {
        char *name;
        void *value;
        size_t len;
};

/* len blocks of a file's content, from its block logical on; they lie at physical. */
struct tree_run {
        uint32_t logical, physical, len;
};

/* There are many of them: without holes, and what excludes each other in one place. */
struct tree_inode {
        uint32_t mode; /* with S_IFMT */
        uint32_t uid, gid;
        uint32_t links; /* nodes that point here */
        int64_t mtime_s;
        uint32_t mtime_ns;
        uint32_t ino; /* for the writer: its number there, 0: not yet */

        union {
                uint64_t size; /* regular files */

                struct {
                        uint32_t major, minor; /* devices */
                };
        };

        char *target; /* symbolic links */
        struct tree_xattr *xattrs;
        size_t xattrs_len;
        struct tree_run *runs; /* of a regular file, in their order; what is between is zeros */
        size_t runs_len;
        uint32_t source_ino; /* its number in the file system it was read from; 0: none */
};

struct tree_node {
        struct tree_node *parent; /* NULL: the root */
        struct tree_node *first, *last, *prev, *next, *hash_next;
        struct tree_inode *inode;
        int32_t layer; /* that set it last */
        char name[];
};

/* One entry of a layer, as an archive has it. Strings are borrowed. */
struct tree_entry {
        const char *path;
        const char *hardlink; /* not NULL: another name of that path; the rest is ignored */
        const char *symlink;
        uint32_t mode;
        int64_t uid, gid;
        int64_t mtime_s;
        uint32_t mtime_ns;
        int64_t size;
        int64_t major, minor;
        const struct tree_xattr *xattrs;
        size_t xattrs_len;
};

struct tree;

/** A tree with an empty root directory, 0755, owned by root. */
struct tree *tree_new(void);
void tree_free(struct tree *tree);
AUTO_TYPE(tree)

/** Let it hold less than it could: names in all, folders of a path. */
void tree_bound(struct tree *tree, size_t entries, unsigned depth);

/** Begin the next layer: from now on a whiteout hides what is there, not what comes. */
void tree_begin_layer(struct tree *tree);

/**
 * Apply one entry, whiteouts included. *ret_inode: of a new regular file, whose content follows;
 * NULL otherwise. Borrowed, valid until another entry is added.
 * EINVAL: a name, a link or a number that no image may have; E2BIG: past a limit. The text names
 * the member and the reason.
 */
int tree_add(struct tree *tree, const struct tree_entry *entry, struct tree_inode **ret_inode,
             struct err *err);

/**
 * The next run of a regular file's content. Those that touch, in the file and where they lie,
 * become one, up to run_max blocks.
 */
void tree_inode_add_run(struct tree_inode *inode, const struct tree_run *run, uint32_t run_max);

/** The root, and the node after this one in depth-first order (parents first); NULL at the end. */
struct tree_node *tree_root(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);

/** Number of names, the root included. */
size_t tree_count(const struct tree *tree);

#endif
