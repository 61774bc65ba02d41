/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_ROOTFS_H
#define VMINIT_ROOTFS_H

/*
 * The service's file system, built once per VM in vminit's own mount namespace:
 *
 *      /image      the image disk, read-only      \  overlay   /root   what the service sees as /
 *      /scratch    the scratch disk, or a tmpfs   /
 *      /vol/N      volume disk N      /share/N    9p share N, bound from here to their paths
 *      /files/N    configs and secrets, hosts, hostname, resolv.conf
 *      /cgroup     cgroup2
 *
 * Every run of the service gets a copy of this tree (launch.c); only /proc and /sys/fs/cgroup,
 * which depend on its namespaces, are mounted there. Paths below /root come from manifests and
 * cross an image's symlinks, so they are always resolved with openat2(RESOLVE_IN_ROOT).
 */

#include <sys/types.h>

#include "vminit/config.h"
#include "vminit/fail.h"

#define ROOTFS_ROOT  "/root"
#define ROOTFS_FILES "/files"

/**
 * Replace the initramfs by an empty tmpfs with vminit's folders, /proc, /sys and /dev. Once, at
 * boot.
 */
int rootfs_boot(struct fail *f);

/**
 * Mount everything `c` asks for. Once; after a failure only rootfs_unmount makes sense.
 */
int rootfs_build(const struct config *c, struct fail *f);

/**
 * Append to the content of file number `file`, which is created by its first call; len may be 0.
 * The file gets its owner and mode in rootfs_build.
 */
int rootfs_file_add(size_t file, const void *bytes, size_t len, struct fail *f);

/**
 * Forget the contents of all files: the configuration starts anew.
 */
void rootfs_files_reset(void);

/**
 * Create the missing folders of `path` below root_fd, then the last component: a folder, or an
 * empty file. Returns an O_PATH descriptor of it (the caller's), or <0. Symlinks are followed
 * inside the root.
 */
int rootfs_make(int root_fd, const char *path, bool is_file, struct fail *f);

/**
 * Unmount the tree and the disks so that their file systems are clean. All processes must be gone.
 */
void rootfs_unmount(void);

#endif
