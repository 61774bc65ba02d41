/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a tree's names and inodes: directories as whole blocks, in one pass, never searched. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "storage/ext4_internal.h"

#define FAST_LINK_MAX 59    /* shorter targets live in the inode */
#define LINKS_MAX     65000 /* of ext4; directories past it count 1 (dir_nlink) */
#define DIRENT(len)   (((size_t)(len) + 8 + 3) & ~(size_t)3)
#define INODES_GROUP  16384 /* spread: an inode bitmap has room for 32768 */
#define GROUP_BLOCKS  32768
#define GROUP_MIN     64 /* a last group with less, tables aside, is cut off by libext2fs */
#define INLINE_RUNS   4  /* extents that an inode has room for */

static uint64_t dir_blocks(const struct tree_node *dir)
{
        size_t used = DIRENT(1) + DIRENT(2);
        uint64_t blocks = 1;

        for (const struct tree_node *c = dir->first; c; c = c->next) {
                size_t need = DIRENT(strlen(c->name));

                if (used + need > EXT4_BLOCK) {
                        blocks++;
                        used = 0;
                }
                used += need;
        }
        return blocks;
}

/* Blocks of its own that a name takes behind the content. */
static uint64_t inode_blocks(const struct tree_node *node)
{
        const struct tree_inode *inode = node->inode;
        uint64_t blocks = inode->xattrs_len ? 1 : 0, runs = inode->runs_len;

        if (S_ISDIR(inode->mode)) {
                blocks += dir_blocks(node);
                runs = 1 + blocks / GROUP_BLOCKS;
        } else if (S_ISLNK(inode->mode)) {
                blocks += strlen(inode->target) > FAST_LINK_MAX;
        }
        return blocks + (runs > INLINE_RUNS ? runs / 150 + 2 : 0);
}

void ext4_measure(const struct tree *tree, uint64_t content_end, struct ext4_params *ret)
{
        uint64_t own = 1, inodes = 16, groups = 1, tables = 0, blocks = 0, rest;

        /* Hard links are counted once a name: some slack, never too little. */
        for (const struct tree_node *n = tree_root(tree); n; n = tree_next(n)) {
                own += inode_blocks(n);
                inodes++;
        }
        for (;;) {
                uint64_t need = (inodes + INODES_GROUP - 1) / INODES_GROUP;

                blocks = content_end + own + tables;
                if (need < (blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS)
                        need = (blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS;
                if (need <= groups && tables)
                        break;
                groups = need > groups ? need : groups;
                tables = groups * (2 + inodes / groups / 16 + 2);
        }
        if (blocks < (groups - 1) * GROUP_BLOCKS)
                blocks = (groups - 1) * GROUP_BLOCKS;
        rest = 2 + tables / groups + GROUP_MIN;
        if (blocks % GROUP_BLOCKS < rest)
                blocks += rest - blocks % GROUP_BLOCKS;
        ret->content_end = content_end;
        ret->blocks = blocks;
        ret->inodes = (uint32_t)inodes;
}

static void set_times(const struct ext4 *ext4, const struct tree_inode *from,
                      struct ext2_inode_large *to)
{
        /* ext4 has 34 bits of seconds from 1901; what lies outside becomes its nearest. */
        int64_t s = from->mtime_s;
        uint32_t extra;

        if (s < INT32_MIN)
                s = INT32_MIN;
        if (s > INT64_C(0x37fffffff))
                s = INT64_C(0x37fffffff);
        extra = (uint32_t)(((s - (int32_t)(uint32_t)s) >> 32) & 3) |
                (from->mtime_ns % 1000000000 << 2);
        to->i_mtime = to->i_atime = to->i_ctime = (uint32_t)s;
        to->i_mtime_extra = to->i_atime_extra = to->i_ctime_extra = extra;
        to->i_crtime = (uint32_t)ext4->now_s;
}

static void set_device(const struct tree_inode *from, struct ext2_inode_large *to)
{
        uint32_t major = from->major, minor = from->minor;

        if (major < 256 && minor < 256)
                to->i_block[0] = major << 8 | minor;
        else
                to->i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/* The inode as it will be, but for what lies in blocks of its own. */
static void fill_inode(const struct ext4 *ext4, const struct tree_inode *from,
                       struct ext2_inode_large *to)
{
        memset(to, 0, sizeof(*to));
        to->i_mode = (uint16_t)from->mode;
        to->i_uid = (uint16_t)from->uid;
        to->osd2.linux2.l_i_uid_high = (uint16_t)(from->uid >> 16);
        to->i_gid = (uint16_t)from->gid;
        to->osd2.linux2.l_i_gid_high = (uint16_t)(from->gid >> 16);
        to->i_extra_isize = sizeof(*to) - EXT2_GOOD_OLD_INODE_SIZE;
        to->i_links_count = (uint16_t)from->links;
        set_times(ext4, from, to);
        if (S_ISCHR(from->mode) || S_ISBLK(from->mode))
                set_device(from, to);
        if (S_ISREG(from->mode) || S_ISDIR(from->mode))
                to->i_flags = EXT4_EXTENTS_FL;
}

static int write_blocks(struct ext4 *ext4, struct ext2_inode_large *inode, ext2_ino_t ino,
                        uint8_t *data, uint64_t count, bool directory, struct err *err)
{
        struct ext2_inode *small = (struct ext2_inode *)inode;
        ext2_extent_handle_t handle;
        uint64_t done = 0, len = 0;
        errcode_t code;
        blk64_t block;
        int r = 0;

        inode->i_flags |= EXT4_EXTENTS_FL;
        code = ext2fs_extent_open2(ext4->fs, ino, small, &handle);
        if (code)
                return ext4_fail(err, code, "open extents");
        for (; r == 0 && done < count; done += len) {
                r = ext4_take_blocks(ext4, count - done, &block, &len, err);
                if (r == 0)
                        r = ext4_append_extent(ext4, handle, small, done, block, len, err);
                for (uint64_t i = 0; directory && r == 0 && !code && i < len; i++)
                        code = ext2fs_write_dir_block4(ext4->fs, block + i,
                                                       data + (done + i) * EXT4_BLOCK, 0, ino);
                if (!directory && r == 0)
                        code = io_channel_write_blk64(ext4->fs->io, block, (int)len,
                                                      data + done * EXT4_BLOCK);
                if (r == 0 && code)
                        r = ext4_fail(err, code, "write");
        }
        ext2fs_extent_free(handle);
        return r;
}

static uint8_t dirent_type(uint32_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return EXT2_FT_DIR;
        case S_IFLNK:
                return EXT2_FT_SYMLINK;
        case S_IFCHR:
                return EXT2_FT_CHRDEV;
        case S_IFBLK:
                return EXT2_FT_BLKDEV;
        case S_IFIFO:
                return EXT2_FT_FIFO;
        case S_IFSOCK:
                return EXT2_FT_SOCK;
        default:
                return EXT2_FT_REG_FILE;
        }
}

/* Directory blocks being filled; the last entry of each reaches to the block's end. */
struct dir_writer {
        uint8_t *data;
        size_t used; /* in the present block */
        uint64_t block;
        struct ext2_dir_entry *last;
};

static void dir_put(struct dir_writer *w, const char *name, ext2_ino_t ino, uint8_t type)
{
        size_t len = strlen(name), need = DIRENT(len);
        struct ext2_dir_entry *entry;

        if (w->used + need > EXT4_BLOCK) {
                w->block++;
                w->used = 0;
        } else if (w->last) {
                w->last->rec_len = (uint16_t)DIRENT(ext2fs_dirent_name_len(w->last));
        }
        entry = (struct ext2_dir_entry *)(void *)(w->data + w->block * EXT4_BLOCK + w->used);
        entry->inode = ino;
        entry->rec_len = (uint16_t)(EXT4_BLOCK - w->used);
        ext2fs_dirent_set_name_len(entry, (int)len);
        ext2fs_dirent_set_file_type(entry, type);
        memcpy(entry->name, name, len);
        w->used += need;
        w->last = entry;
}

static int put_dir(struct ext4 *ext4, const struct tree_node *dir, struct ext2_inode_large *inode,
                   struct err *err)
{
        uint64_t blocks = dir_blocks(dir);
        AUTO_FREE uint8_t *data = xcalloc(blocks, EXT4_BLOCK);
        struct dir_writer w = {.data = data};
        ext2_ino_t self = dir->inode->ino, up = dir->parent ? dir->parent->inode->ino : self;
        unsigned links = 2;

        dir_put(&w, ".", self, EXT2_FT_DIR);
        dir_put(&w, "..", up, EXT2_FT_DIR);
        for (const struct tree_node *c = dir->first; c; c = c->next) {
                dir_put(&w, c->name, c->inode->ino, dirent_type(c->inode->mode));
                links += S_ISDIR(c->inode->mode);
        }
        inode->i_links_count = (uint16_t)(links < LINKS_MAX ? links : 1);
        inode->i_size = (uint32_t)(blocks * EXT4_BLOCK);
        return write_blocks(ext4, inode, self, data, blocks, true, err);
}

static int put_symlink(struct ext4 *ext4, const struct tree_inode *from,
                       struct ext2_inode_large *inode, struct err *err)
{
        size_t len = strlen(from->target);
        uint8_t block[EXT4_BLOCK] = {0};

        inode->i_size = (uint32_t)len;
        if (len <= FAST_LINK_MAX) {
                memcpy(inode->i_block, from->target, len);
                return 0;
        }
        memcpy(block, from->target, len);
        return write_blocks(ext4, inode, from->ino, block, 1, false, err);
}

static int put_xattrs(struct ext4 *ext4, const struct tree_node *node, struct err *err)
{
        const struct tree_inode *inode = node->inode;
        struct ext2_xattr_handle *handle;
        errcode_t code = ext2fs_xattrs_open(ext4->fs, inode->ino, &handle);

        if (code)
                return ext4_fail(err, code, node->name);
        code = ext2fs_xattrs_read(handle);
        for (size_t i = 0; !code && i < inode->xattrs_len; i++)
                code = ext2fs_xattr_set(handle, inode->xattrs[i].name,
                                        inode->xattrs[i].len ? inode->xattrs[i].value : "",
                                        inode->xattrs[i].len);
        if (!code)
                code = ext2fs_xattrs_write(handle);
        (void)ext2fs_xattrs_close(&handle); /* written already */
        if (code == EXT2_ET_EA_NO_SPACE)
                return err_set(err, E2BIG, "%.200s: extended attributes larger than 4 KiB",
                               node->name);
        return code ? ext4_fail(err, code, node->name) : 0;
}

/* Extents in the inode itself; the header says so even when there are none: all one hole. */
static void put_inline_runs(const struct tree_inode *from, struct ext2_inode_large *inode)
{
        struct ext3_extent_header *header = (void *)inode->i_block;
        struct ext3_extent *extent = (void *)(header + 1);

        header->eh_magic = EXT3_EXT_MAGIC;
        header->eh_max = INLINE_RUNS;
        header->eh_entries = (uint16_t)from->runs_len;
        for (size_t i = 0; i < from->runs_len; i++) {
                extent[i].ee_block = from->runs[i].logical;
                extent[i].ee_len = (uint16_t)from->runs[i].len;
                extent[i].ee_start = from->runs[i].physical;
        }
}

static int put_many_runs(struct ext4 *ext4, const struct tree_inode *from,
                         struct ext2_inode_large *inode, struct err *err)
{
        struct ext2_inode *small = (struct ext2_inode *)inode;
        ext2_extent_handle_t handle;
        errcode_t code = ext2fs_extent_open2(ext4->fs, from->ino, small, &handle);
        int r = 0;

        if (code)
                return ext4_fail(err, code, "open extents");
        for (size_t i = 0; r == 0 && i < from->runs_len; i++)
                r = ext4_append_extent(ext4, handle, small, from->runs[i].logical,
                                       from->runs[i].physical, from->runs[i].len, err);
        ext2fs_extent_free(handle);
        return r;
}

/* A regular file of which the content is in place, or that has none yet. */
static int put_file(struct ext4 *ext4, const struct tree_inode *from,
                    struct ext2_inode_large *inode, struct err *err)
{
        uint64_t blocks = 0;

        inode->i_size = (uint32_t)from->size;
        inode->i_size_high = (uint32_t)(from->size >> 32);
        for (size_t i = 0; i < from->runs_len; i++)
                blocks += from->runs[i].len;
        if (from->runs_len > INLINE_RUNS)
                return put_many_runs(ext4, from, inode, err);
        put_inline_runs(from, inode);
        return ext2fs_iblk_add_blocks(ext4->fs, (struct ext2_inode *)inode, blocks)
                       ? err_set(err, E2BIG, "a file with too many blocks")
                       : 0;
}

static int put_inode(struct ext4 *ext4, const struct tree_node *node, struct err *err)
{
        struct ext2_inode_large inode;
        errcode_t code;
        int r = 0;

        fill_inode(ext4, node->inode, &inode);
        if (S_ISDIR(node->inode->mode))
                r = put_dir(ext4, node, &inode, err);
        else if (S_ISLNK(node->inode->mode))
                r = put_symlink(ext4, node->inode, &inode, err);
        else if (S_ISREG(node->inode->mode))
                r = put_file(ext4, node->inode, &inode, err);
        if (r < 0)
                return r;
        code = ext2fs_write_inode_full(ext4->fs, node->inode->ino, (struct ext2_inode *)&inode,
                                       sizeof(inode));
        if (code)
                return ext4_fail(err, code, node->name);
        return node->inode->xattrs_len ? put_xattrs(ext4, node, err) : 0;
}

/* Parents come first, and a directory's blocks hold its children's numbers: so numbers first. */
static int number_inodes(struct ext4 *ext4, const struct tree *tree, struct err *err)
{
        tree_root(tree)->inode->ino = EXT2_ROOT_INO;
        for (struct tree_node *n = tree_next(tree_root(tree)); n; n = tree_next(n)) {
                ext2_ino_t ino;
                int r;

                if (n->inode->ino)
                        continue;
                if (!S_ISDIR(n->inode->mode) && n->inode->links > LINKS_MAX)
                        return err_set(err, EMLINK, "%.200s: more than %d hard links", n->name,
                                       LINKS_MAX);
                r = ext4_take_inode(ext4, S_ISDIR(n->inode->mode), &ino, err);
                if (r < 0)
                        return r;
                n->inode->ino = ino;
        }
        return 0;
}

int ext4_put_tree(struct ext4 *ext4, const struct tree *tree, struct err *err)
{
        ext2_ino_t written = 0;
        int r = number_inodes(ext4, tree, err);

        for (struct tree_node *n = tree_root(tree); n && r == 0; n = tree_next(n)) {
                /* Numbers rise along the walk: a smaller one is a hard link already written. */
                if (n->parent && n->inode->ino <= written)
                        continue;
                r = put_inode(ext4, n, err);
                if (n->parent)
                        written = n->inode->ino;
        }
        return r;
}
