/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of a disk that is being made: blocks one behind the other, as they come, before the
 * file system around them exists (ext4.h).
 */
#ifndef STORAGE_CONTENT_H
#define STORAGE_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct content {
        int fd;
        uint64_t next; /* the block that comes next */
        uint8_t *buffer;
        size_t buffered; /* bytes of it, which belong before next */
        int64_t started; /* see blob_start_writing() */
};

/** fd is borrowed; blocks from first on. */
void content_init(struct content *content, int fd, uint64_t first);
void content_release(struct content *content);

/** Append blocks. */
int content_add(struct content *content, const void *data, size_t blocks, struct err *err);

/** Append blocks from another disk, shared with it where the file system can. */
int content_copy(struct content *content, int from, uint64_t first, uint64_t blocks,
                 struct err *err);

/** Write what was gathered. */
int content_flush(struct content *content, struct err *err);

#endif
