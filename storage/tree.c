/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "storage/tree_internal.h"

#define WHITEOUT        ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

static struct tree_inode *inode_new(const struct tree_entry *entry)
{
        struct tree_inode *inode = xnew(struct tree_inode);

        inode->mode = entry->mode;
        inode->uid = (uint32_t)entry->uid;
        inode->gid = (uint32_t)entry->gid;
        inode->mtime_s = entry->mtime_s;
        inode->mtime_ns = entry->mtime_ns;
        if (S_ISREG(entry->mode))
                inode->size = (uint64_t)entry->size;
        if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
                inode->major = (uint32_t)entry->major;
                inode->minor = (uint32_t)entry->minor;
        }
        if (S_ISLNK(entry->mode))
                inode->target = xstrdup(entry->symlink);
        return inode;
}

static void inode_drop_xattrs(struct tree *tree, struct tree_inode *inode)
{
        for (size_t i = 0; i < inode->xattrs_len; i++) {
                tree->xattr_bytes -= inode->xattrs[i].len;
                free(inode->xattrs[i].name);
                free(inode->xattrs[i].value);
        }
        free(inode->xattrs);
        inode->xattrs = NULL;
        inode->xattrs_len = 0;
}

static void inode_copy_xattrs(struct tree *tree, struct tree_inode *inode,
                              const struct tree_entry *entry)
{
        for (size_t i = 0; i < entry->xattrs_len; i++) {
                struct tree_xattr *x = array_push(&inode->xattrs, &inode->xattrs_len);

                x->name = xstrdup(entry->xattrs[i].name);
                x->len = entry->xattrs[i].len;
                x->value = x->len ? xmemdup(entry->xattrs[i].value, x->len) : NULL;
                tree->xattr_bytes += x->len;
        }
}

static void inode_unlink(struct tree *tree, struct tree_inode *inode)
{
        assert(inode->links > 0);
        if (--inode->links)
                return;
        inode_drop_xattrs(tree, inode);
        free(inode->target);
        free(inode->runs);
        free(inode);
}

static struct tree_node *node_add(struct tree *tree, struct tree_node *parent, const char *name,
                                  size_t len, struct tree_inode *inode)
{
        struct tree_node *node = xcalloc(1, sizeof(*node) + len + 1);

        memcpy(node->name, name, len);
        node->parent = parent;
        node->inode = inode;
        node->layer = tree->layer;
        inode->links++;
        tree->count++;
        if (!parent)
                return node;
        node->prev = parent->last;
        *(parent->last ? &parent->last->next : &parent->first) = node;
        parent->last = node;
        tree_hash_insert(tree, node);
        return node;
}

/* Unlinks and frees one node without children. */
static void node_remove(struct tree *tree, struct tree_node *node)
{
        struct tree_node *parent = node->parent;

        assert(!node->first && parent);
        *(node->prev ? &node->prev->next : &parent->first) = node->next;
        *(node->next ? &node->next->prev : &parent->last) = node->prev;
        tree_hash_remove(tree, node);
        inode_unlink(tree, node->inode);
        free(node);
        tree->count--;
}

/* What lies below top goes, deepest first; no recursion, so depth costs nothing. */
static void remove_below(struct tree *tree, struct tree_node *top)
{
        struct tree_node *node = top;

        while (top->first) {
                while (node->first)
                        node = node->last;
                node = node->parent;
                node_remove(tree, node->last);
        }
}

/*
 * A whiteout takes what lower layers left below top and spares what this layer brought, whatever
 * the order of the entries. A directory of a lower layer stays while it holds something of this.
 */
static void hide_below(struct tree *tree, struct tree_node *top)
{
        struct tree_node *node = top;

        for (;;) {
                struct tree_node *up, *prev;

                while (node->last)
                        node = node->last;
                for (;;) {
                        if (node == top)
                                return;
                        up = node->parent;
                        prev = node->prev;
                        if (!node->first && node->layer < tree->layer)
                                node_remove(tree, node);
                        if (prev)
                                break;
                        node = up;
                }
                node = prev;
        }
}

static void hide(struct tree *tree, struct tree_node *node)
{
        hide_below(tree, node);
        if (!node->first && node->layer < tree->layer)
                node_remove(tree, node);
}

static int apply_whiteout(struct tree *tree, struct tree_node *dir, const char *name, size_t len,
                          const char *path, struct err *err)
{
        size_t prefix = strlen(WHITEOUT);
        struct tree_node *node;

        if (len == strlen(WHITEOUT_OPAQUE) && memcmp(name, WHITEOUT_OPAQUE, len) == 0) {
                hide_below(tree, dir);
                return 0;
        }
        if (len == prefix)
                return err_set(err, EINVAL, "%.200s: a whiteout without a name", path);
        if (len >= 2 * prefix && memcmp(name + prefix, WHITEOUT, prefix) == 0)
                return 0; /* left over from aufs: .wh..wh.plnk and the like */
        node = tree_lookup(tree, dir, name + prefix, len - prefix);
        if (node)
                hide(tree, node);
        return 0;
}

static struct tree_node *make_dir(struct tree *tree, struct tree_node *parent, const char *name,
                                  size_t len)
{
        const struct tree_entry entry = {.mode = S_IFDIR | 0755};

        return node_add(tree, parent, name, len, inode_new(&entry));
}

struct tree_node *tree_make_dir(struct tree *tree, struct tree_node *parent, const char *name,
                                size_t len)
{
        return make_dir(tree, parent, name, len);
}

static void update_dir(struct tree *tree, struct tree_node *node, const struct tree_entry *entry)
{
        struct tree_inode *inode = node->inode;

        inode->mode = entry->mode;
        inode->uid = (uint32_t)entry->uid;
        inode->gid = (uint32_t)entry->gid;
        inode->mtime_s = entry->mtime_s;
        inode->mtime_ns = entry->mtime_ns;
        inode_drop_xattrs(tree, inode);
        inode_copy_xattrs(tree, inode, entry);
        node->layer = tree->layer;
}

static int link_target(struct tree *tree, const struct tree_entry *entry,
                       struct tree_inode **ret_inode, struct err *err)
{
        struct tree_node *node;
        const char *name;
        size_t len;
        int r;

        r = tree_walk(tree, entry->hardlink, false, &node, &name, &len, err);
        if (r < 0)
                return err_wrap(err, "%.150s: hard link to %.150s", entry->path, entry->hardlink);
        if (r == 0 && len)
                node = tree_lookup(tree, node, name, len);
        if (r > 0 || !node)
                return err_set(err, EINVAL,
                               "%.150s: hard link to %.150s, which is not in the image",
                               entry->path, entry->hardlink);
        if (S_ISDIR(node->inode->mode))
                return err_set(err, EINVAL, "%.150s: hard link to the directory %.150s",
                               entry->path, entry->hardlink);
        *ret_inode = node->inode;
        return 0;
}

static int set_root(struct tree *tree, const struct tree_entry *entry, struct err *err)
{
        if (entry->hardlink || !S_ISDIR(entry->mode))
                return err_set(err, EINVAL, "%.200s: the root must be a directory", entry->path);
        update_dir(tree, tree->root, entry);
        return 0;
}

static int add_at(struct tree *tree, struct tree_node *dir, const char *name, size_t len,
                  const struct tree_entry *entry, struct tree_inode **ret_inode, struct err *err)
{
        struct tree_node *old = tree_lookup(tree, dir, name, len);
        struct tree_inode *inode = NULL;

        if (entry->hardlink) {
                int r = link_target(tree, entry, &inode, err);

                if (r < 0)
                        return r;
                if (old && old->inode == inode) {
                        old->layer = tree->layer;
                        return 0;
                }
                assert(inode);
                inode->links++; /* may live below old: keep it over the removal */
        } else if (old && S_ISDIR(entry->mode) && S_ISDIR(old->inode->mode)) {
                update_dir(tree, old, entry);
                return 0;
        }
        if (old) {
                remove_below(tree, old);
                node_remove(tree, old);
        }
        if (entry->hardlink) {
                (void)node_add(tree, dir, name, len, inode);
                inode->links--;
                return 0;
        }
        inode = inode_new(entry);
        inode_copy_xattrs(tree, inode, entry);
        (void)node_add(tree, dir, name, len, inode);
        if (S_ISREG(entry->mode))
                *ret_inode = inode;
        return 0;
}

/* Of a path's last component; slashes behind it mean nothing. */
static bool is_whiteout(const char *path)
{
        size_t end = strlen(path), start;

        while (end && path[end - 1] == '/')
                end--;
        start = end;
        while (start && path[start - 1] != '/')
                start--;
        return end - start >= strlen(WHITEOUT) && has_prefix(path + start, WHITEOUT);
}

int tree_add(struct tree *tree, const struct tree_entry *entry, struct tree_inode **ret_inode,
             struct err *err)
{
        struct tree_node *dir = NULL;
        const char *name = NULL;
        size_t len = 0;
        bool whiteout = is_whiteout(entry->path);
        int r;

        *ret_inode = NULL;
        r = tree_check_entry(tree, entry, err);
        if (r == 0)
                r = tree_walk(tree, entry->path, !whiteout, &dir, &name, &len, err);
        if (r == 1)
                return 0; /* what a whiteout hides is not there: umoci writes such */
        if (r < 0)
                return r;
        if (len == 0)
                return set_root(tree, entry, err);
        if (whiteout)
                return apply_whiteout(tree, dir, name, len, entry->path, err);
        return add_at(tree, dir, name, len, entry, ret_inode, err);
}

struct tree *tree_new(void)
{
        struct tree *tree = xnew(struct tree);

        tree->layer = -1;
        tree_bound(tree, TREE_NODES_MAX, TREE_DEPTH_MAX);
        tree_hash_init(tree);
        tree->root = make_dir(tree, NULL, "", 0);
        return tree;
}

void tree_bound(struct tree *tree, size_t entries, unsigned depth)
{
        assert(entries <= TREE_NODES_MAX && depth <= TREE_DEPTH_MAX);
        tree->count_max = entries;
        tree->depth_max = depth;
}

void tree_free(struct tree *tree)
{
        if (!tree)
                return;
        remove_below(tree, tree->root);
        inode_unlink(tree, tree->root->inode);
        free(tree->root);
        free(tree->buckets);
        free(tree);
}

void tree_begin_layer(struct tree *tree)
{
        tree->layer++;
}

void tree_inode_add_run(struct tree_inode *inode, const struct tree_run *run, uint32_t run_max)
{
        struct tree_run *last = inode->runs_len ? &inode->runs[inode->runs_len - 1] : NULL;

        if (last && last->logical + last->len == run->logical &&
            last->physical + last->len == run->physical && last->len + run->len <= run_max)
                last->len += run->len;
        else
                *array_push(&inode->runs, &inode->runs_len) = *run;
}

struct tree_node *tree_root(const struct tree *tree)
{
        return tree->root;
}

struct tree_node *tree_next(const struct tree_node *node)
{
        if (node->first)
                return node->first;
        while (node && !node->next)
                node = node->parent;
        return node ? node->next : NULL;
}

size_t tree_count(const struct tree *tree)
{
        return tree->count;
}
