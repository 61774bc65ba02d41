/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/mem.h"
#include "storage/tree_internal.h"

#define HASH_START (1u << 10)

static size_t hash_slot(const struct tree *tree, const struct tree_node *parent, const char *name,
                        size_t len)
{
        uint64_t h = tree->seed ^ ((uint64_t)(uintptr_t)parent * UINT64_C(0x9e3779b97f4a7c15));

        for (size_t i = 0; i < len; i++) {
                h = (h ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
                h ^= h >> 29;
        }
        return (size_t)(h ^ (h >> 32)) & (tree->buckets_len - 1);
}

void tree_hash_init(struct tree *tree)
{
        tree->buckets_len = HASH_START;
        tree->buckets = xcalloc(tree->buckets_len, sizeof(struct tree_node *));
        random_bytes(&tree->seed, sizeof(tree->seed));
}

static void hash_grow(struct tree *tree)
{
        struct tree_node **old = tree->buckets;
        size_t old_len = tree->buckets_len;

        tree->buckets_len *= 4;
        tree->buckets = xcalloc(tree->buckets_len, sizeof(struct tree_node *));
        for (size_t i = 0; i < old_len; i++)
                for (struct tree_node *node = old[i], *next; node; node = next) {
                        size_t slot = hash_slot(tree, node->parent, node->name, strlen(node->name));

                        next = node->hash_next;
                        node->hash_next = tree->buckets[slot];
                        tree->buckets[slot] = node;
                }
        free(old);
}

void tree_hash_insert(struct tree *tree, struct tree_node *node)
{
        size_t slot;

        if (tree->count > 2 * tree->buckets_len)
                hash_grow(tree);
        slot = hash_slot(tree, node->parent, node->name, strlen(node->name));
        node->hash_next = tree->buckets[slot];
        tree->buckets[slot] = node;
}

void tree_hash_remove(struct tree *tree, struct tree_node *node)
{
        size_t slot = hash_slot(tree, node->parent, node->name, strlen(node->name));
        struct tree_node **p = &tree->buckets[slot];

        while (*p != node) {
                assert(*p);
                p = &(*p)->hash_next;
        }
        *p = node->hash_next;
}

struct tree_node *tree_lookup(struct tree *tree, const struct tree_node *dir, const char *name,
                              size_t len)
{
        struct tree_node *node = tree->buckets[hash_slot(tree, dir, name, len)];

        while (node && (node->parent != dir || strncmp(node->name, name, len) != 0 ||
                        node->name[len] != '\0'))
                node = node->hash_next;
        return node;
}

/* The next component of *p, skipping empty ones and "."; length 0 at the end. */
static const char *next_component(const char **p, size_t *ret_len)
{
        const char *start;

        do {
                while (**p == '/')
                        (*p)++;
                start = *p;
                while (**p && **p != '/')
                        (*p)++;
                *ret_len = (size_t)(*p - start);
        } while (*ret_len == 1 && start[0] == '.');
        return start;
}

static int check_path(const struct tree *tree, const char *path, struct err *err)
{
        const char *p = path, *name;
        unsigned depth = 0;
        size_t len;

        if (strlen(path) > TREE_PATH_MAX)
                return err_set(err, E2BIG, "%.100s...: a path longer than %d bytes", path,
                               TREE_PATH_MAX);
        while (name = next_component(&p, &len), len) {
                if (len == 2 && name[0] == '.' && name[1] == '.')
                        return err_set(err, EINVAL, "%.200s: '..' in the path of a member", path);
                if (len > TREE_NAME_MAX)
                        return err_set(err, E2BIG, "%.100s...: a name longer than %d bytes", path,
                                       TREE_NAME_MAX);
                if (++depth > tree->depth_max)
                        return err_set(err, E2BIG,
                                       "%.100s...: more than %u folders deep (limits.depth)", path,
                                       tree->depth_max);
        }
        return 0;
}

int tree_check_entry(struct tree *tree, const struct tree_entry *entry, struct err *err)
{
        size_t bytes = tree->xattr_bytes;
        const char *path = entry->path;

        if (tree->count >= tree->count_max)
                return err_set(err, E2BIG,
                               "%.200s: more than %zu entries in an image (limits.entries)", path,
                               tree->count_max);
        if (entry->hardlink)
                return 0;
        if (entry->uid < 0 || entry->gid < 0 || entry->uid >= UINT32_MAX ||
            entry->gid >= UINT32_MAX)
                return err_set(err, EINVAL, "%.200s: owner %lld:%lld out of range", path,
                               (long long)entry->uid, (long long)entry->gid);
        if (entry->size < 0 || (uint64_t)entry->size > TREE_SIZE_MAX)
                return err_set(err, E2BIG, "%.200s: size %lld, the limit is %llu", path,
                               (long long)entry->size, TREE_SIZE_MAX);
        if (entry->major < 0 || entry->minor < 0 || entry->major > 0xfff || entry->minor > 0xfffff)
                return err_set(err, EINVAL, "%.200s: device number %lld:%lld out of range", path,
                               (long long)entry->major, (long long)entry->minor);
        if (S_ISLNK(entry->mode) &&
            (!entry->symlink || !*entry->symlink || strlen(entry->symlink) >= TREE_PATH_MAX))
                return err_set(err, EINVAL, "%.200s: a symbolic link to nothing or too far", path);
        for (size_t i = 0; i < entry->xattrs_len; i++)
                bytes += entry->xattrs[i].len;
        if (bytes > TREE_XATTR_MAX)
                return err_set(err, E2BIG, "%.200s: more than %u bytes of extended attributes",
                               path, TREE_XATTR_MAX);
        return 0;
}

/* A symbolic link met on the way: what is left to walk becomes target + rest. */
static int follow(const char *target, const char *rest, unsigned *followed, const char *path,
                  char **ret_todo, struct err *err)
{
        if (++*followed > TREE_FOLLOW_MAX)
                return err_set(err, ELOOP, "%.200s: more than %d symbolic links on the way", path,
                               TREE_FOLLOW_MAX);
        if (strlen(target) + strlen(rest) > 2 * TREE_PATH_MAX)
                return err_set(err, E2BIG, "%.200s: too long with its symbolic links", path);
        *ret_todo = xasprintf("%s/%s", target, rest);
        return 0;
}

static unsigned depth_of(const struct tree_node *node)
{
        unsigned depth = 0;

        for (; node->parent; node = node->parent)
                depth++;
        return depth;
}

/* One step into a parent directory. *dir moves; 1: missing; 2: a symbolic link in *ret_link. */
static int enter(struct tree *tree, struct tree_node **dir, const char *name, size_t len,
                 bool create, struct tree_node **ret_link)
{
        struct tree_node *node;

        if (len == 2 && name[0] == '.' && name[1] == '.') { /* of a link's target: stops at "/" */
                *dir = (*dir)->parent ? (*dir)->parent : *dir;
                return 0;
        }
        node = tree_lookup(tree, *dir, name, len);
        if (node && S_ISLNK(node->inode->mode)) {
                *ret_link = node;
                return 2;
        }
        if (node && !S_ISDIR(node->inode->mode))
                return create ? -1 : 1;
        if (!node && !create)
                return 1;
        if (!node)
                node = tree_make_dir(tree, *dir, name, len);
        *dir = node;
        return 0;
}

/* Walk all components of parents (a private copy) from *dir. */
static int walk_parents(struct tree *tree, const char *parents, bool create, const char *path,
                        struct tree_node **dir, struct err *err)
{
        AUTO_FREE char *todo = xstrdup(parents);
        const char *p = todo, *name;
        struct tree_node *link;
        unsigned followed = 0;
        size_t len;
        int r;

        while (name = next_component(&p, &len), len) {
                char *next = NULL;

                if (len > TREE_NAME_MAX || depth_of(*dir) >= tree->depth_max)
                        return err_set(err, E2BIG, "%.200s: too deep with its symbolic links",
                                       path);
                r = enter(tree, dir, name, len, create, &link);
                if (r < 0)
                        return err_set(err, EINVAL, "%.200s: %.*s on its way is not a directory",
                                       path, (int)len, name);
                if (r == 1)
                        return 1;
                if (r == 0)
                        continue;
                if (link->inode->target[0] == '/')
                        *dir = tree->root;
                r = follow(link->inode->target, p, &followed, path, &next, err);
                if (r < 0)
                        return r;
                free(todo);
                todo = next;
                p = todo;
        }
        return 0;
}

int tree_walk(struct tree *tree, const char *path, bool create, struct tree_node **ret_dir,
              const char **ret_name, size_t *ret_len, struct err *err)
{
        AUTO_FREE char *parents = NULL;
        const char *p = path, *name = path, *c;
        size_t len = 0, n;
        int r;

        r = check_path(tree, path, err);
        if (r < 0)
                return r;
        while (c = next_component(&p, &n), n) {
                name = c;
                len = n;
        }
        *ret_dir = tree->root;
        *ret_name = name;
        *ret_len = len;
        if (len == 0)
                return 0;
        parents = xstrndup(path, (size_t)(name - path));
        return walk_parents(tree, parents, create, path, ret_dir, err);
}
