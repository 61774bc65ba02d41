/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks that are not images: named volumes (one sparse ext4 file each, no lost+found in sight) and
 * the private scratch disk of a VM. Files in a volume's folder:
 *
 *   DIR/<name>/disk.ext4    the file system
 *   DIR/<name>/data/        instead of it: what is in a volume that several VMs share
 *   DIR/<name>/volume.json  name, stack, class, created, size, labels, whether it was seeded
 *
 * Formatting takes some milliseconds and is done in place (libext2fs, sparse, lazy tables).
 */
#ifndef STORAGE_VOLUME_H
#define STORAGE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

/* Size of a volume or scratch disk when nobody asks for another: sparse, so it costs what it holds.
 */
#define DISK_SIZE_DEFAULT (INT64_C(16) << 30)

struct volume_info {
        char *name;                     /* unique within the root: "shop_data" */
        char *stack;                    /* that made it; NULL: none */
        char *path;                     /* of disk.ext4 */
        bool shared;                    /* a folder of the host, not a disk; path is that folder */
        int64_t size_bytes, used_bytes; /* used: blocks on the host; size of a folder: 0 */
        int64_t created_ms;             /* wall clock */
};

/** NULL is fine. */
void volume_info_free(struct volume_info *info);
AUTO_TYPE(volume_info)

/**
 * Make sure the volume exists; *ret_created tells whether it did not. Crash-safe: built aside,
 * renamed. seed_rootfs: ext4 image whose folder seed_path is copied into a new volume, with owners,
 * modes, links, xattrs (as Docker does on first use); NULL: an empty one, root owned 0755. When
 * seed_path does not exist in the image the volume stays empty.
 */
int volume_ensure(const char *dir, const char *name, const char *stack, int64_t size_bytes,
                  const char *seed_rootfs, const char *seed_path, bool *ret_created,
                  struct err *err);

/**
 * The same for a volume that several VMs share: a folder of the host, empty at first. Both refuse a
 * volume of the other class with EEXIST.
 */
int volume_ensure_shared(const char *dir, const char *name, const char *stack, bool *ret_created,
                         struct err *err);

/** Whether a volume of that name can be had as such a class: 0 also when there is none yet. */
int volume_check_class(const char *dir, const char *name, bool shared, struct err *err);

/** One volume, or ENOENT. */
int volume_find(const char *dir, const char *name, struct volume_info **ret, struct err *err);

/** All volumes by name; *ret: array of *ret_len pointers, all the caller's. Unreadable ones are
 *  left out and counted in *ret_broken (may be NULL). */
int volume_list(const char *dir, struct volume_info ***ret, size_t *ret_len, size_t *ret_broken,
                struct err *err);

/** Remove a volume and its data. ENOENT when there is none. The caller checks that nobody uses it.
 */
int volume_remove(const char *dir, const char *name, struct err *err);

/** Remove what a daemon that died in volume_ensure() or volume_remove() has left. */
void volume_sweep(const char *dir);

/** A fresh sparse ext4 scratch disk at path (replaced when present). */
int scratch_create(const char *path, int64_t size_bytes, struct err *err);

#endif
