/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar stream, plain or compressed by gzip or zstd, read once from front to back. The libarchive
 * door: it decodes in this process, only these formats, and never starts a program.
 *
 * Two hashes run along: of the bytes as they came (the blob's digest) and of the tar inside (the
 * diff_id of an image config). Works on files, pipes and sockets. For the worker process: whatever
 * comes in is hostile.
 */
#ifndef STORAGE_LAYER_H
#define STORAGE_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"
#include "storage/limits.h"
#include "storage/tree.h"

struct layer;

/* Whether the digests are wanted: they cost as much as all the rest. */
enum layer_mode { LAYER_HASH, LAYER_NO_HASH };

enum layer_compression { LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

/**
 * Begin to read fd (borrowed) from its present position. The compression is told by its first
 * bytes. EINVAL: neither tar nor one of the two. An empty stream is an empty tar. limits: borrowed
 * until layer_free(); layer_size and ratio count.
 */
int layer_open(int fd, enum layer_mode mode, const struct image_limits *limits, struct layer **ret,
               struct err *err);
void layer_free(struct layer *layer);
AUTO_TYPE(layer)

/** How the file is compressed, known once layer_open() is back. */
enum layer_compression layer_compression(const struct layer *layer);

/** Bytes read from fd so far. */
int64_t layer_consumed(const struct layer *layer);

/**
 * The next entry; its strings live until the next call. *ret_regular: content follows.
 * 1: no more entries. EINVAL: the archive is broken or truncated; E2BIG: past a limit.
 */
int layer_next(struct layer *layer, struct tree_entry *ret, bool *ret_regular, struct err *err);

/**
 * The next piece of the present entry's content: *ret_len bytes that belong at *ret_offset; what is
 * skipped is a hole. 1: end of the content.
 */
int layer_data(struct layer *layer, const void **ret_data, size_t *ret_len, int64_t *ret_offset,
               struct err *err);

/**
 * Read on to the real end of fd and give both digests (DIGEST_TEXT_MAX bytes each; NULL with
 * LAYER_NO_HASH). fd's bytes behind the end of the tar are hashed too: the blob's digest covers
 * them.
 */
int layer_finish(struct layer *layer, char *ret_digest, char *ret_diff_id, struct err *err);

#endif
