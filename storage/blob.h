/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs in a folder that is known by its descriptor only: what a worker sees of a store. */
#ifndef STORAGE_BLOB_H
#define STORAGE_BLOB_H

#include "base/err.h"
#include "storage/oci.h"

/** Open a blob; its size must be the descriptor's. ENOENT: missing. The text names the digest. */
int blob_open(int folder, const struct oci_descriptor *descriptor, int *ret_fd, struct err *err);

/** Whether the store has the blob, at its size. */
bool blob_present(int folder, const struct oci_descriptor *descriptor);

/** Read a document (at most OCI_DOCUMENT_MAX bytes) and check it against its digest. */
int blob_read(int folder, const char *digest, char **ret, size_t *ret_len, struct err *err);

/**
 * Let the disk begin with what was written to fd before end, so that the sync at the end has little
 * left to wait for. *started: kept by the caller, 0 at first.
 */
void blob_start_writing(int fd, int64_t *started, int64_t end);

/** Make a blob of n bytes; ret->media_type is left as it is. */
int blob_write(int folder, const void *data, size_t n, struct oci_descriptor *ret, struct err *err);

#endif
