/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names out of pax headers as the bytes they are. libarchive composes them (Unicode's NFC), so that
 * two files of which one is called "ü" and the other "u" with a combining mark would become one;
 * file names on Linux are bytes. This looks over libarchive's shoulder at the same stream and keeps
 * those names that are not plain ASCII, by the position of their member's first header.
 *
 * When it cannot follow an archive it stops, and libarchive's names count: a name is data that
 * storage/tree.h checks, whoever read it.
 */
#ifndef STORAGE_TAR_NAMES_H
#define STORAGE_TAR_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

struct tar_names;

/** At the beginning of an archive. */
struct tar_names *tar_names_new(void);

/** NULL is fine. */
void tar_names_free(struct tar_names *names);
AUTO_DEFINE(tar_names, struct tar_names, tar_names_free)

/** The next n bytes of the uncompressed archive, in the order in which they come. */
void tar_names_feed(struct tar_names *names, const void *data, size_t n);

/**
 * The names of the member whose first header is at position; members are asked for in their order.
 * *ret_path, *ret_link: until the next call; not touched where there is nothing to say.
 */
void tar_names_get(struct tar_names *names, int64_t position, const char **ret_path,
                   const char **ret_link);

#endif
