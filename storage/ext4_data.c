/* SPDX-License-Identifier: Apache-2.0 */
/* Content of regular files that is copied into a disk. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/ext4_internal.h"

int ext4_file_begin(struct ext4 *ext4, const struct tree_inode *inode, struct err *err)
{
        errcode_t code;

        assert(!ext4->extents && inode->ino);
        ext4->ino = inode->ino;
        ext4->size = inode->size;
        ext4->window_start = 0;
        ext4->pending.e_len = 0;
        ext4->window_len = 0;
        if (!ext4->window)
                ext4->window = xcalloc(1, EXT4_WINDOW);
        code = ext2fs_read_inode(ext4->fs, ext4->ino, &ext4->inode);
        if (!code)
                code = ext2fs_extent_open2(ext4->fs, ext4->ino, &ext4->inode, &ext4->extents);
        return code ? ext4_fail(err, code, "open a file") : 0;
}

/* Runs that touch become one extent, up to what an extent can hold. */
static int put_extent(struct ext4 *ext4, uint64_t logical, blk64_t block, uint64_t len,
                      struct err *err)
{
        struct ext2fs_extent *p = &ext4->pending;

        if (p->e_len && p->e_lblk + p->e_len == logical && p->e_pblk + p->e_len == block &&
            p->e_len + len <= EXT4_RUN_MAX) {
                p->e_len += (uint32_t)len;
                return 0;
        }
        if (p->e_len) {
                int r = ext4_append_extent(ext4, ext4->extents, &ext4->inode, p->e_lblk, p->e_pblk,
                                           p->e_len, err);

                if (r < 0)
                        return r;
        }
        *p = (struct ext2fs_extent){.e_lblk = logical, .e_pblk = block, .e_len = (uint32_t)len};
        return 0;
}

static int write_run(struct ext4 *ext4, size_t first, size_t count, struct err *err)
{
        while (count) {
                blk64_t block;
                uint64_t len;
                errcode_t code;
                int r = ext4_take_blocks(ext4, count, &block, &len, err);

                if (r == 0)
                        r = put_extent(ext4, ext4->window_start / EXT4_BLOCK + first, block, len,
                                       err);
                if (r < 0)
                        return r;
                code = io_channel_write_blk64(ext4->fs->io, block, (int)len,
                                              ext4->window + first * EXT4_BLOCK);
                if (code)
                        return ext4_fail(err, code, "write a file");
                first += len;
                count -= len;
        }
        return 0;
}

/* Writes what the window holds; blocks of zeros stay holes. */
static int flush_window(struct ext4 *ext4, struct err *err)
{
        size_t blocks = (ext4->window_len + EXT4_BLOCK - 1) / EXT4_BLOCK, run = 0;
        int r = 0;

        memset(ext4->window + ext4->window_len, 0, blocks * EXT4_BLOCK - ext4->window_len);
        for (size_t i = 0; i < blocks && r == 0; i++) {
                if (!ext4_is_zero(ext4->window + i * EXT4_BLOCK, EXT4_BLOCK)) {
                        run++;
                        continue;
                }
                r = write_run(ext4, i - run, run, err);
                run = 0;
        }
        if (r == 0)
                r = write_run(ext4, blocks - run, run, err);
        ext4->window_len = 0;
        return r;
}

int ext4_file_data(struct ext4 *ext4, const void *data, size_t len, int64_t offset, struct err *err)
{
        const uint8_t *p = data;

        if (offset < 0 || (uint64_t)offset > ext4->size || len > ext4->size - (uint64_t)offset ||
            (uint64_t)offset < ext4->window_start + ext4->window_len)
                return err_set(err, EINVAL, "content that overlaps or passes the file's size");
        while (len) {
                uint64_t at = (uint64_t)offset - ext4->window_start;
                size_t n;
                int r;

                if (at >= EXT4_WINDOW) {
                        r = flush_window(ext4, err);
                        if (r < 0)
                                return r;
                        ext4->window_start = (uint64_t)offset / EXT4_BLOCK * EXT4_BLOCK;
                        continue;
                }
                n = EXT4_WINDOW - (size_t)at < len ? EXT4_WINDOW - (size_t)at : len;
                memset(ext4->window + ext4->window_len, 0, (size_t)at - ext4->window_len);
                memcpy(ext4->window + at, p, n);
                ext4->window_len = (size_t)at + n;
                p += n;
                len -= n;
                offset += (int64_t)n;
        }
        return 0;
}

int ext4_file_end(struct ext4 *ext4, struct err *err)
{
        int r = flush_window(ext4, err);
        errcode_t code;

        if (r == 0)
                r = put_extent(ext4, UINT32_MAX, 0, 0, err);
        ext2fs_extent_free(ext4->extents);
        ext4->extents = NULL;
        if (r < 0)
                return r;
        code = ext2fs_inode_size_set(ext4->fs, &ext4->inode, (ext2_off64_t)ext4->size);
        if (!code)
                code = ext2fs_write_inode(ext4->fs, ext4->ino, &ext4->inode);
        return code ? ext4_fail(err, code, "finish a file") : 0;
}
