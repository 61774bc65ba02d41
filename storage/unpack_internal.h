/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the unpack*.c files. For nobody else. */
#ifndef STORAGE_UNPACK_INTERNAL_H
#define STORAGE_UNPACK_INTERNAL_H

#include "storage/content.h"
#include "storage/ext4.h"
#include "storage/map.h"
#include "storage/oci.h"
#include "storage/tree.h"
#include "storage/unpack.h"

/* The disk of another image, open. */
struct unpack_other {
        int disk;
        struct map *map;
};

struct unpack {
        const struct unpack_request *request;
        struct oci_manifest *manifest;
        char (*diff_ids)[DIGEST_TEXT_MAX];
        struct tree *tree;
        struct map *map;
        struct content content;
        struct unpack_other *others;
        size_t others_len;
        bool others_used;
        json_t *ready; /* digests as keys */
        char lines[4 * DIGEST_TEXT_MAX];
        size_t lines_len;

        uint64_t place; /* where the next content lies */
        uint32_t entries;
        struct tree_inode *file; /* the last entry, if it is one */
        uint64_t block;          /* of it, that may come next */
};

/** Open what the request lists; one that cannot be read is left out: the layers are here too. */
void unpack_others_open(struct unpack *u);
void unpack_others_close(struct unpack *u);

/** A disk with all of that layer's content; NULL: none. */
struct unpack_other *unpack_other_find(struct unpack *u, const char *digest,
                                       const struct map_layer **ret);

/** Wait until the pull has brought and checked that blob. */
int unpack_blob_wait(struct unpack *u, const char *digest, struct err *err);

/** Open or read a blob where it is: with the others, or still in the pull's folder. */
int unpack_blob_open(const struct unpack *u, const struct oci_descriptor *descriptor, int *ret_fd,
                     struct err *err);
int unpack_blob_read(const struct unpack *u, const char *digest, char **ret, size_t *ret_len,
                     struct err *err);

/**
 * A layer could not be unpacked: when its blob is not what its digest says, that is why, and err
 * becomes STORAGE_DAMAGED. Reads it once more.
 */
void unpack_blob_blame(const struct unpack *u, const struct oci_descriptor *descriptor,
                       struct err *err);

/** All content is there: put the file system around it, sync disk and map. */
int unpack_finish(struct unpack *u, struct err *err);

#endif
