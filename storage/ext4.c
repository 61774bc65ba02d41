/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/ext4.h"

#include <assert.h>
#include <et/com_err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/ext4_internal.h"

#define GROUPS_PER_FLEX_LOG 4  /* as mke2fs: tables of 16 groups lie together */
#define RESERVED_INODES     10 /* below EXT2_GOOD_OLD_FIRST_INO */

int ext4_fail(struct err *err, errcode_t code, const char *what)
{
        int number = EIO;

        if (code > 0 && code < 4096) /* an errno from a system call */
                return err_errno(err, (int)code, "%s", what);
        if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL)
                number = ENOSPC;
        return err_set(err, number, "%s: %s", what, error_message(code));
}

static void fill_super(const struct ext4_params *params, struct ext2_super_block *super)
{
        memset(super, 0, sizeof(*super));
        ext2fs_blocks_count_set(super, params->blocks);
        super->s_inodes_count = params->inodes + RESERVED_INODES;
        super->s_log_block_size = 2;
        super->s_log_cluster_size = 2;
        super->s_rev_level = EXT2_DYNAMIC_REV;
        super->s_inode_size = 256;
        super->s_min_extra_isize = 32;
        super->s_want_extra_isize = 32;
        super->s_log_groups_per_flex = GROUPS_PER_FLEX_LOG;
        super->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR;
        super->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
                                    EXT4_FEATURE_INCOMPAT_FLEX_BG;
        if (params->content_end) /* and none of the backups is in any group */
                super->s_feature_compat |= EXT4_FEATURE_COMPAT_SPARSE_SUPER2;
        super->s_feature_ro_compat =
                EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
                EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
                EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE;
        if (!params->writable)
                return;
        super->s_feature_compat |= EXT2_FEATURE_COMPAT_DIR_INDEX;
        super->s_feature_ro_compat |= EXT4_FEATURE_RO_COMPAT_GDT_CSUM;
}

static void finish_super(const struct ext4_params *params, ext2_filsys fs)
{
        struct ext2_super_block *super = fs->super;

        memcpy(super->s_uuid, params->uuid, sizeof(super->s_uuid));
        memcpy(super->s_hash_seed, params->uuid, sizeof(super->s_hash_seed));
        super->s_def_hash_version = EXT2_HASH_HALF_MD4;
        super->s_flags |= EXT2_FLAGS_UNSIGNED_HASH;
        super->s_max_mnt_count = -1;
        super->s_checkinterval = 0;
        super->s_mkfs_time = (uint32_t)params->now_s;
        super->s_lastcheck = (uint32_t)params->now_s;
        super->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
        ext2fs_r_blocks_count_set(super, 0); /* nothing is kept for root: it is root's disk */
}

/* Behind the content: bitmaps, then inode tables, of all groups. */
static void place_tables(struct ext4 *ext4, uint64_t first)
{
        ext2_filsys fs = ext4->fs;
        dgrp_t groups = fs->group_desc_count;
        blk64_t at = first;

        for (dgrp_t i = 0; i < groups; i++)
                ext2fs_block_bitmap_loc_set(fs, i, at++);
        for (dgrp_t i = 0; i < groups; i++)
                ext2fs_inode_bitmap_loc_set(fs, i, at++);
        for (dgrp_t i = 0; i < groups; i++, at += fs->inode_blocks_per_group)
                ext2fs_inode_table_loc_set(fs, i, at);
        /* All of the content, until somebody knows better: extents must not be put into it. */
        ext2fs_block_alloc_stats_range(fs, EXT4_CONTENT_FIRST, at - EXT4_CONTENT_FIRST, +1);
        ext4->cursor = at;
}

void ext4_release(struct ext4 *ext4, uint64_t first, uint64_t len)
{
        ext2fs_block_alloc_stats_range(ext4->fs, first, len, -1);
}

/*
 * The file is sparse and reads as zeros, so inode tables are zeroed already: saying so spares the
 * guest's kernel a thread that would write all of them.
 */
static int init_groups(struct ext4 *ext4, const struct ext4_params *params, struct err *err)
{
        ext2_filsys fs = ext4->fs;
        errcode_t code = 0;

        ext4->cursor = fs->super->s_first_data_block;
        if (params->content_end)
                place_tables(ext4, params->content_end);
        else
                code = ext2fs_allocate_tables(fs);
        if (code)
                return ext4_fail(err, code, "lay out the tables");
        for (dgrp_t i = 0; params->writable && i < fs->group_desc_count; i++)
                ext2fs_bg_flags_set(fs, i, EXT2_BG_INODE_ZEROED);
        for (ext2_ino_t ino = 1; ino <= RESERVED_INODES; ino++)
                ext2fs_inode_alloc_stats2(fs, ino, +1, ino == EXT2_ROOT_INO);
        ext4->next_ino = RESERVED_INODES + 1;
        return 0;
}

int ext4_format(int fd, const struct ext4_params *params, struct ext4 **ret, struct err *err)
{
        AUTO(ext4) struct ext4 *ext4 = xnew(struct ext4);
        AUTO_CLOSE int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        struct ext2_super_block super;
        char name[16];
        errcode_t code;
        int r;

        if (own < 0)
                return err_errno(err, errno, "disk file");
        if (params->blocks >= EXT4_BLOCKS_MAX)
                return err_set(err, E2BIG, "a disk of %llu blocks; at most 16 TiB are possible",
                               (unsigned long long)params->blocks);
        if (ftruncate(fd, (off_t)(params->blocks * EXT4_BLOCK)) < 0)
                return err_errno(err, errno, "set the disk's size");
        fill_super(params, &super);
        (void)snprintf(name, sizeof(name), "%d", own); /* fits */
        code = ext2fs_initialize(name, EXT2_FLAG_64BITS, &super, unixfd_io_manager, &ext4->fs);
        if (code)
                return ext4_fail(err, code, "format the disk");
        (void)steal_fd(&own); /* the channel closes it */
        ext4->fs->now = params->now_s;
        ext4->now_s = params->now_s;
        finish_super(params, ext4->fs);
        r = init_groups(ext4, params, err);
        if (r < 0)
                return r;
        if (params->journal_blocks) {
                code = ext2fs_add_journal_inode(ext4->fs, params->journal_blocks,
                                                EXT2_MKJOURNAL_NO_MNT_CHECK |
                                                        EXT2_MKJOURNAL_LAZYINIT);
                if (code)
                        return ext4_fail(err, code, "make the journal");
        }
        *ret = STEAL(ext4);
        return 0;
}

int ext4_close(struct ext4 *ext4, struct err *err)
{
        errcode_t code = ext2fs_set_gdt_csum(ext4->fs);

        if (!code)
                code = ext2fs_close2(ext4->fs, EXT2_FLAG_FLUSH_NO_SYNC);
        if (!code)
                ext4->fs = NULL; /* freed */
        ext4_free(ext4);
        return code ? ext4_fail(err, code, "write the disk") : 0;
}

void ext4_free(struct ext4 *ext4)
{
        if (!ext4)
                return;
        if (ext4->extents)
                ext2fs_extent_free(ext4->extents);
        if (ext4->fs)
                ext2fs_free(ext4->fs);
        free(ext4->window);
        free(ext4);
}

int ext4_take_blocks(struct ext4 *ext4, uint64_t want, blk64_t *ret_block, uint64_t *ret_len,
                     struct err *err)
{
        ext2_filsys fs = ext4->fs;
        blk64_t last = ext2fs_blocks_count(fs->super) - 1, start, end, stop;

        if (want > EXT4_RUN_MAX)
                want = EXT4_RUN_MAX;
        if (ext4->cursor > last ||
            ext2fs_find_first_zero_block_bitmap2(fs->block_map, ext4->cursor, last, &start))
                return err_set(err, ENOSPC, "the disk is full");
        stop = start + want - 1 < last ? start + want - 1 : last;
        if (ext2fs_find_first_set_block_bitmap2(fs->block_map, start, stop, &end))
                end = stop + 1;
        ext2fs_block_alloc_stats_range(fs, start, end - start, +1);
        ext4->cursor = end;
        *ret_block = start;
        *ret_len = end - start;
        return 0;
}

int ext4_take_inode(struct ext4 *ext4, bool directory, ext2_ino_t *ret, struct err *err)
{
        ext2_filsys fs = ext4->fs;

        while (ext4->next_ino <= fs->super->s_inodes_count &&
               ext2fs_test_inode_bitmap2(fs->inode_map, ext4->next_ino))
                ext4->next_ino++;
        if (ext4->next_ino > fs->super->s_inodes_count)
                return err_set(err, ENOSPC, "no inodes left on the disk");
        *ret = ext4->next_ino++;
        ext2fs_inode_alloc_stats2(fs, *ret, +1, directory);
        return 0;
}

int ext4_append_extent(struct ext4 *ext4, ext2_extent_handle_t handle, struct ext2_inode *inode,
                       uint64_t logical, blk64_t physical, uint64_t len, struct err *err)
{
        struct ext2fs_extent extent = {
                .e_pblk = physical, .e_lblk = logical, .e_len = (uint32_t)len};
        errcode_t code;

        code = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
        if (!code)
                code = ext2fs_iblk_add_blocks(ext4->fs, inode, len);
        return code ? ext4_fail(err, code, "add an extent") : 0;
}

bool ext4_is_zero(const void *data, size_t n)
{
        const uint8_t *p = data;

        return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}
