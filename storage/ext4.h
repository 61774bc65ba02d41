/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4 file systems made in plain files, without mounting anything: root disks of images, volumes,
 * scratch disks. The ext2fs door, with the other ext4_*.c files.
 *
 * A writer owns a fresh, sparse, zero-filled file. Blocks are handed out from front to back, so
 * that directories lie together in front and every file is as contiguous as the groups allow.
 * 4 KiB blocks, 256-byte inodes, extents, flex_bg; never a lost+found, never 64bit.
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

struct ext4;

struct ext4_params {
        uint64_t blocks;
        uint32_t inodes;         /* to be had by users of the disk */
        uint32_t journal_blocks; /* 0: no journal */
        bool writable;           /* will be mounted read-write: hashed directories, lazy groups */
        uint8_t uuid[16];
        int64_t now_s; /* of the time stamps; fixed ones make equal input give equal disks */
};

/** Format the empty file fd (borrowed; O_RDWR) with an empty root, 0755, owned by root. */
int ext4_format(int fd, const struct ext4_params *params, struct ext4 **ret, struct err *err);

/** Write out and close; the file is whole afterwards, not yet synced. ext4 is freed in any case. */
int ext4_close(struct ext4 *ext4, struct err *err);

/** Close without caring for the file. */
void ext4_free(struct ext4 *ext4);
AUTO_TYPE(ext4)

/** Blocks and inodes that a disk needs to hold the tree, with its own tables and some slack. */
void ext4_measure(const struct tree *tree, uint64_t *ret_blocks, uint32_t *ret_inodes);

/**
 * Write all of the tree but the content of regular files: those stay empty until they get it.
 * Fills the inodes' `ino`. May be called once, on a fresh disk; its root becomes the tree's root.
 */
int ext4_put_tree(struct ext4 *ext4, const struct tree *tree, struct err *err);

/**
 * Content of one regular file, front to back: begin, data..., end. Blocks of zeros become holes.
 */
int ext4_file_begin(struct ext4 *ext4, const struct tree_inode *inode, struct err *err);
int ext4_file_data(struct ext4 *ext4, const void *data, size_t len, int64_t offset,
                   struct err *err);
int ext4_file_end(struct ext4 *ext4, struct err *err);

/* Counts what ext4_file_data() would take: begin with zeros, finish with ext4_count_end(). */
struct ext4_count {
        uint64_t blocks, runs;
        uint64_t block, last; /* being looked at, last one kept; counted from 1 */
        bool zero;
};

/** The next piece, as ext4_file_data() takes it; then the end, which counts the last run. */
void ext4_count_data(struct ext4_count *count, const void *data, size_t len, int64_t offset);
void ext4_count_end(struct ext4_count *count);

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
