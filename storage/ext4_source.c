/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a directory of an ext4 file: what a new volume is seeded with. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "storage/ext4_internal.h"

#define COPY_CHUNK (256u << 10)
#define XATTRS_MAX 128

struct ext4_source {
        ext2_filsys fs;
};

/* A directory still to be read, or the first name of an inode with several. */
struct place {
        ext2_ino_t ino;
        char *path;
};

struct scan {
        ext2_filsys fs;
        struct tree *tree;
        struct place *dirs, *links;
        size_t dirs_len, links_len;
        const char *dir; /* being read */
        struct tree_xattr xattrs[XATTRS_MAX];
        size_t xattrs_len;
        struct err *err;
        int r;
};

int ext4_source_open(const char *path, struct ext4_source **ret, struct err *err)
{
        AUTO(ext4_source) struct ext4_source *source = xnew(struct ext4_source);
        errcode_t code = ext2fs_open(path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &source->fs);

        if (code)
                return ext4_fail(err, code, path);
        *ret = STEAL(source);
        return 0;
}

void ext4_source_free(struct ext4_source *source)
{
        if (!source)
                return;
        if (source->fs)
                ext2fs_free(source->fs); /* read only: nothing to flush */
        free(source);
}

static int on_xattr(char *name, char *value, size_t len, void *ctx)
{
        struct scan *scan = ctx;
        struct tree_xattr *x = &scan->xattrs[scan->xattrs_len];

        if (scan->xattrs_len == XATTRS_MAX)
                return 0;
        x->name = xstrdup(name);
        x->value = len ? xmemdup(value, len) : NULL;
        x->len = len;
        scan->xattrs_len++;
        return 0;
}

static int read_xattrs(struct scan *scan, ext2_ino_t ino, const char *path)
{
        struct ext2_xattr_handle *handle;
        errcode_t code = ext2fs_xattrs_open(scan->fs, ino, &handle);

        if (code)
                return ext4_fail(scan->err, code, path);
        code = ext2fs_xattrs_read(handle);
        if (!code)
                code = ext2fs_xattrs_iterate(handle, on_xattr, scan);
        (void)ext2fs_xattrs_close(&handle); /* read only */
        return code ? ext4_fail(scan->err, code, path) : 0;
}

static void drop_xattrs(struct scan *scan)
{
        for (size_t i = 0; i < scan->xattrs_len; i++) {
                free(scan->xattrs[i].name);
                free(scan->xattrs[i].value);
        }
        scan->xattrs_len = 0;
}

static int read_link(struct scan *scan, ext2_ino_t ino, const struct ext2_inode *inode, char *ret,
                     size_t size)
{
        uint64_t len = EXT2_I_SIZE(inode);
        ext2_file_t file;
        unsigned got = 0;
        errcode_t code;

        if (len >= size)
                return err_set(scan->err, EINVAL, "a symbolic link of %llu bytes",
                               (unsigned long long)len);
        memset(ret, 0, size);
        if (ext2fs_is_fast_symlink((struct ext2_inode *)(uintptr_t)inode)) {
                memcpy(ret, inode->i_block, (size_t)len);
                return 0;
        }
        code = ext2fs_file_open2(scan->fs, ino, (struct ext2_inode *)(uintptr_t)inode, 0, &file);
        if (code)
                return ext4_fail(scan->err, code, "read a symbolic link");
        code = ext2fs_file_read(file, ret, (unsigned)len, &got);
        (void)ext2fs_file_close(file); /* read only */
        return code ? ext4_fail(scan->err, code, "read a symbolic link") : 0;
}

static void fill_entry(const struct ext2_inode_large *inode, struct tree_entry *ret)
{
        ret->mode = inode->i_mode;
        ret->uid = inode->i_uid | (int64_t)inode->osd2.linux2.l_i_uid_high << 16;
        ret->gid = inode->i_gid | (int64_t)inode->osd2.linux2.l_i_gid_high << 16;
        ret->mtime_s = (int32_t)inode->i_mtime + ((int64_t)(inode->i_mtime_extra & 3) << 32);
        ret->mtime_ns = inode->i_mtime_extra >> 2;
        if (S_ISREG(inode->i_mode))
                ret->size = (int64_t)EXT2_I_SIZE(inode);
        if (inode->i_block[0]) {
                ret->major = inode->i_block[0] >> 8 & 0xff;
                ret->minor = inode->i_block[0] & 0xff;
        } else {
                ret->major = inode->i_block[1] >> 8 & 0xfff;
                ret->minor = (inode->i_block[1] & 0xff) | (inode->i_block[1] >> 12 & 0xfff00);
        }
        if (!S_ISCHR(inode->i_mode) && !S_ISBLK(inode->i_mode))
                ret->major = ret->minor = 0;
}

static const char *first_name(const struct scan *scan, ext2_ino_t ino)
{
        for (size_t i = 0; i < scan->links_len; i++)
                if (scan->links[i].ino == ino)
                        return scan->links[i].path;
        return NULL;
}

static void remember(struct place **places, size_t *len, ext2_ino_t ino, const char *path)
{
        struct place *p = array_push(places, len);

        p->ino = ino;
        p->path = xstrdup(path);
}

static int add_inode(struct scan *scan, ext2_ino_t ino, const char *path)
{
        struct tree_entry entry = {.path = path};
        struct ext2_inode_large inode;
        struct tree_inode *file = NULL;
        char target[TREE_PATH_MAX];
        errcode_t code;
        int r;

        code = ext2fs_read_inode_full(scan->fs, ino, (struct ext2_inode *)&inode, sizeof(inode));
        if (code)
                return ext4_fail(scan->err, code, path);
        fill_entry(&inode, &entry);
        entry.hardlink = S_ISDIR(entry.mode) ? NULL : first_name(scan, ino);
        r = read_xattrs(scan, ino, path);
        if (r == 0 && S_ISLNK(entry.mode)) {
                r = read_link(scan, ino, (struct ext2_inode *)&inode, target, sizeof(target));
                entry.symlink = target;
        }
        entry.xattrs = scan->xattrs;
        entry.xattrs_len = scan->xattrs_len;
        if (r == 0)
                r = tree_add(scan->tree, &entry, &file, scan->err);
        drop_xattrs(scan);
        if (r < 0)
                return r;
        if (file)
                file->source_ino = ino;
        if (S_ISDIR(entry.mode))
                remember(&scan->dirs, &scan->dirs_len, ino, path);
        else if (inode.i_links_count > 1 && !entry.hardlink)
                remember(&scan->links, &scan->links_len, ino, path);
        return 0;
}

static int on_dirent(ext2_ino_t dir, int kind, struct ext2_dir_entry *dirent, int offset, int size,
                     char *block, void *ctx)
{
        struct scan *scan = ctx;
        size_t len = (size_t)ext2fs_dirent_name_len(dirent);
        AUTO_FREE char *path = NULL;

        (void)dir;
        (void)offset;
        (void)size;
        (void)block;
        if (kind != DIRENT_OTHER_FILE)
                return 0;
        path = xasprintf("%s/%.*s", scan->dir, (int)len, dirent->name);
        scan->r = add_inode(scan, dirent->inode, path);
        return scan->r < 0 ? DIRENT_ABORT : 0;
}

static int scan_all(struct scan *scan, ext2_ino_t top)
{
        int r = add_inode(scan, top, "/");

        for (size_t i = 0; r == 0 && i < scan->dirs_len; i++) {
                AUTO_FREE char *path = xstrdup(i == 0 ? "" : scan->dirs[i].path);
                errcode_t code;

                scan->dir = path;
                code = ext2fs_dir_iterate2(scan->fs, scan->dirs[i].ino, 0, NULL, on_dirent, scan);
                r = scan->r;
                if (r == 0 && code)
                        r = ext4_fail(scan->err, code, path);
        }
        for (size_t i = 0; i < scan->dirs_len; i++)
                free(scan->dirs[i].path);
        for (size_t i = 0; i < scan->links_len; i++)
                free(scan->links[i].path);
        free(scan->dirs);
        free(scan->links);
        return r;
}

int ext4_source_tree(struct ext4_source *source, const char *path, struct tree **ret,
                     struct err *err)
{
        AUTO(tree) struct tree *tree = tree_new();
        struct scan scan = {.fs = source->fs, .tree = tree, .err = err};
        struct ext2_inode inode;
        ext2_ino_t ino;
        errcode_t code;
        int r;

        code = ext2fs_namei_follow(source->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino);
        if (code == EXT2_ET_FILE_NOT_FOUND || code == EXT2_ET_NO_DIRECTORY)
                return 1;
        if (!code)
                code = ext2fs_read_inode(source->fs, ino, &inode);
        if (code)
                return ext4_fail(err, code, path);
        if (!S_ISDIR(inode.i_mode))
                return 1;
        tree_begin_layer(tree);
        r = scan_all(&scan, ino);
        if (r < 0)
                return r;
        *ret = STEAL(tree);
        return 0;
}

int ext4_source_copy(struct ext4_source *source, struct tree_inode *inode, struct ext4 *to,
                     struct err *err)
{
        AUTO_FREE uint8_t *chunk = xcalloc(1, COPY_CHUNK);
        ext2_file_t file;
        int64_t offset = 0;
        unsigned got = 0;
        errcode_t code;
        int r;

        code = ext2fs_file_open(source->fs, inode->source_ino, 0, &file);
        if (code)
                return ext4_fail(err, code, "open a file of the image");
        r = ext4_file_begin(to, inode, err);
        while (r == 0) {
                code = ext2fs_file_read(file, chunk, COPY_CHUNK, &got);
                if (code)
                        r = ext4_fail(err, code, "read a file of the image");
                if (code || got == 0)
                        break;
                r = ext4_file_data(to, chunk, got, offset, err);
                offset += got;
        }
        (void)ext2fs_file_close(file); /* read only */
        return r < 0 ? r : ext4_file_end(to, err);
}
