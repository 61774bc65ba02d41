/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_MOUNTS_H
#define VMINIT_MOUNTS_H

/*
 * Disks, shares, tmpfs and files: what a manifest puts into the service's file system. Part of
 * rootfs.
 */

#include <stdbool.h>

#include "vminit/config.h"
#include "vminit/fail.h"

/**
 * Mount the ext4 of the virtio disk with this serial at `path`.
 */
int mounts_disk(const char *serial, const char *path, bool read_only, struct fail *f);

/**
 * Write /etc/hosts, hostname and resolv.conf, mount the volumes and shares, and bind all of it and
 * the files below ROOTFS_ROOT.
 */
int mounts_apply(const struct config *c, struct fail *f);

/**
 * Before another run: empty tmpfs and /dev/shm, as a container that starts again has them. One
 * that holds another mount stays as it is.
 */
int mounts_renew(const struct config *c, struct fail *f);

/**
 * Unmount volumes and shares, or make them read-only when they are busy.
 */
void mounts_release(void);

#endif
