/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image's layers into one ext4 file, each read once: its entries go into the tree of what
 * remains, its content into the disk at once, one layer behind the other; the file system is put
 * around it at the end. A layer that another image's disk has already is taken from there.
 *
 *   layer ─ layer_send.h, a process each ─▶ frames ─┬▶ tree ────────▶ folders, inodes, tables
 *   disk and map of another image ──────────────────┴▶ content.h ───▶ blocks
 *
 * Runs in the worker process, as the parent of those that read layers.
 */
#ifndef STORAGE_UNPACK_H
#define STORAGE_UNPACK_H

#include "base/err.h"
#include "base/json.h"
#include "storage/job_progress.h"
#include "storage/limits.h"

struct unpack_request {
        int blobs;            /* folder of blobs by hex digest */
        int partial, ready;   /* of a pull that still brings blobs: its folder, and digests of
                                 those that are whole and checked, a line each; -1: all are there */
        int disks, maps;      /* folders of disks and their maps; -1: none */
        const json_t *others; /* names of disks there that have a map */
        const char *digest;   /* of the manifest */
        int out;              /* an empty file, O_RDWR; borrowed */
        int map;              /* another; borrowed */
        const struct image_limits *limits;
        struct job_progress *progress;
};

/** Both files are whole and synced on success. Errors name the layer's digest and the member. */
int unpack_image(const struct unpack_request *request, struct err *err);

#endif
