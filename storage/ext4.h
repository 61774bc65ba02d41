/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4 file systems made in plain files, without mounting anything: root disks of images, volumes,
 * scratch disks. The ext2fs door, with the other ext4_*.c files.
 *
 * A writer owns a sparse file. Blocks are handed out from front to back, so that directories lie
 * together and every file is as contiguous as the groups allow. 4 KiB blocks, 256-byte inodes,
 * extents, flex_bg; never a lost+found, never 64bit.
 *
 * A disk that is made once and never written again may be formatted around its content, which is
 * then in place before anybody knows how large the disk will be:
 *
 *   0 super block, group descriptors | EXT4_CONTENT_FIRST content | content_end tables, folders
 *
 * There are no copies of the super block (sparse_super2), so the content is one piece.
 */
#ifndef STORAGE_EXT4_H
#define STORAGE_EXT4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "storage/tree.h"

#define EXT4_BLOCK      4096
#define EXT4_BLOCKS_MAX (UINT64_C(1) << 32) /* without 64bit */
#define EXT4_RUN_MAX    32768               /* blocks of one extent */
/* Content begins here: before it is room for the descriptors of 1 TiB. */
#define EXT4_CONTENT_FIRST 65

struct ext4;

struct ext4_params {
        uint64_t blocks;
        uint64_t content_end;    /* 0: none is in place; else the block behind it */
        uint32_t inodes;         /* to be had by users of the disk */
        uint32_t journal_blocks; /* 0: no journal */
        bool writable;           /* will be mounted read-write: hashed directories, lazy groups */
        uint8_t uuid[16];
        int64_t now_s; /* of the time stamps; fixed ones make equal input give equal disks */
};

/**
 * Format the file fd (borrowed; O_RDWR), zeros but for content in place, with an empty root, 0755,
 * owned by root.
 */
int ext4_format(int fd, const struct ext4_params *params, struct ext4 **ret, struct err *err);

/** Write out and close; the file is whole afterwards, not yet synced. ext4 is freed in any case. */
int ext4_close(struct ext4 *ext4, struct err *err);

/** Close without caring for the file. */
void ext4_free(struct ext4 *ext4);
AUTO_TYPE(ext4)

/** Blocks and inodes of a disk for the tree, whose content is in place before content_end. */
void ext4_measure(const struct tree *tree, uint64_t content_end, struct ext4_params *ret);

/**
 * Write all of the tree. Regular files are the runs that they have; others stay empty until they
 * get their content. Fills the inodes' `ino`. May be called once, on a fresh disk; its root becomes
 * the tree's root.
 */
int ext4_put_tree(struct ext4 *ext4, const struct tree *tree, struct err *err);

/** Blocks before content_end are nobody's content: free, once the tree is written. */
void ext4_release(struct ext4 *ext4, uint64_t first, uint64_t len);

/** Whether n bytes are all zero. */
bool ext4_is_zero(const void *data, size_t n);

/**
 * Content of one regular file, front to back: begin, data..., end. Blocks of zeros become holes.
 */
int ext4_file_begin(struct ext4 *ext4, const struct tree_inode *inode, struct err *err);
int ext4_file_data(struct ext4 *ext4, const void *data, size_t len, int64_t offset,
                   struct err *err);
int ext4_file_end(struct ext4 *ext4, struct err *err);

/* An ext4 file read, for seeding volumes. */
struct ext4_source;

/** Open for reading; ret is the caller's to free. Fails for a file that is no ext4. */
int ext4_source_open(const char *path, struct ext4_source **ret, struct err *err);
void ext4_source_free(struct ext4_source *source);
AUTO_TYPE(ext4_source)

/**
 * Read the directory at path (symbolic links followed within the image) with all below into a tree
 * of its own. 1: there is no such directory.
 */
int ext4_source_tree(struct ext4_source *source, const char *path, struct tree **ret,
                     struct err *err);

/** Copy the content of a file of that tree. */
int ext4_source_copy(struct ext4_source *source, struct tree_inode *inode, struct ext4 *to,
                     struct err *err);

#endif
