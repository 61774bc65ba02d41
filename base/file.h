/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files and folders: bounded reads, atomic writes, removal of trees. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/**
 * Read a whole regular file of at most max bytes; *ret is NUL-terminated and the caller's.
 * ret_len may be NULL. EFBIG past max, ENOENT when missing; the text names the path.
 */
int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err);

/** Replace path by n bytes at once: temporary file, fsync, rename, fsync of the folder. */
int file_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct err *err);

/** Make a folder and its missing parents; mode is that of the last, parents get 0755. */
int file_mkdir_p(const char *path, mode_t mode, struct err *err);

/** Remove a file or a whole tree; never follows symbolic links; a missing path is fine. */
int file_remove_tree(const char *path, struct err *err);

/** "dir/name" on the heap. */
char *file_join(const char *dir, const char *name);

#endif
