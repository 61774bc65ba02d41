/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image's layers into one ext4 file. Two passes over each layer: the first checks digests and
 * builds the tree of what remains, so that the disk's size is known; the second writes the content
 * of files that are still alive. Runs in the worker process.
 */
#ifndef STORAGE_UNPACK_H
#define STORAGE_UNPACK_H

#include "base/err.h"
#include "storage/job_progress.h"

/* Content of all files of an image together. */
#define UNPACK_SIZE_MAX (UINT64_C(64) << 30)

/**
 * blobs: folder of blobs by hex digest. digest: of the manifest. out: an empty file, O_RDWR; whole
 * and synced on success. Errors name the layer's digest and the member.
 */
int unpack_image(int blobs, const char *digest, int out, struct job_progress *progress,
                 struct err *err);

#endif
