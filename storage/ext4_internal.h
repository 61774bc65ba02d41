/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the ext4_*.c files. For nobody else. */
#ifndef STORAGE_EXT4_INTERNAL_H
#define STORAGE_EXT4_INTERNAL_H

#include <ext2fs/ext2fs.h>

#include "storage/ext4.h"

#define EXT4_WINDOW (1u << 20) /* of a file's content, gathered before it is written */

struct ext4 {
        ext2_filsys fs;
        blk64_t cursor;      /* blocks before it are taken */
        ext2_ino_t next_ino; /* the same for inodes */
        int64_t now_s;

        /* The file whose content is being written. */
        ext2_ino_t ino;
        struct ext2_inode inode;
        ext2_extent_handle_t extents;
        struct ext2fs_extent pending; /* a run that may still grow; e_len 0: none */
        uint64_t size;
        uint64_t window_start; /* offset of window in the file, whole blocks */
        size_t window_len;     /* bytes of it that were filled */
        uint8_t *window;
};

/** err_set() with the text of an ext2fs error code; ENOSPC and EIO are told apart. */
int ext4_fail(struct err *err, errcode_t code, const char *what);

/** Take up to want blocks that lie together. */
int ext4_take_blocks(struct ext4 *ext4, uint64_t want, blk64_t *ret_block, uint64_t *ret_len,
                     struct err *err);

/** Take the next inode number. */
int ext4_take_inode(struct ext4 *ext4, bool directory, ext2_ino_t *ret, struct err *err);

/** Append a run to the extents of an inode in memory and account its blocks. */
int ext4_append_extent(struct ext4 *ext4, ext2_extent_handle_t handle, struct ext2_inode *inode,
                       uint64_t logical, blk64_t physical, uint64_t len, struct err *err);

#endif
