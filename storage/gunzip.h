/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip inflated piece by piece, checksums checked: the ISA-L door. It takes less than half of
 * zlib's time, and inflating is most of the work of unpacking an image.
 */
#ifndef STORAGE_GUNZIP_H
#define STORAGE_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

struct gunzip;

/** At the beginning of a stream. free(NULL) is fine. */
struct gunzip *gunzip_new(void);
void gunzip_free(struct gunzip *g);
AUTO_TYPE(gunzip)

/** Give the next piece of input; it must stay until gunzip_wants_input() says so again. */
void gunzip_feed(struct gunzip *g, const void *data, size_t n);

/** Whether all of the input was used and more may follow. */
bool gunzip_wants_input(const struct gunzip *g);

/** The input ends here. EINVAL: in the middle of a stream. */
int gunzip_end(const struct gunzip *g, struct err *err);

/**
 * Inflate into out, at most n bytes; *ret_n may be 0 when input is wanted. Streams that follow each
 * other are one. 1: no more streams; what is left of the input means nothing. EINVAL: broken.
 */
int gunzip_read(struct gunzip *g, void *out, size_t n, size_t *ret_n, struct err *err);

#endif
