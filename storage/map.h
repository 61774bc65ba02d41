/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies where in a disk, by layer: so that another image with the same layer takes its content
 * from there. Written beside the disk by the same process, from what each layer's own reader said.
 *
 *   header, digest of the table | table: struct map_layer | frames of each (wire.h): ENTRY, RUN
 *
 * A layer's content is one piece of the disk, [first, first + blocks); the RUNs of its files fill
 * it from its beginning, one behind the other.
 */
#ifndef STORAGE_MAP_H
#define STORAGE_MAP_H

#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"
#include "storage/wire.h"

struct map_layer {
        char digest[DIGEST_TEXT_MAX]; /* of the blob */
        uint64_t first, blocks;       /* in the disk */
        uint64_t at, len;             /* of its frames in the map */
        char frames[DIGEST_TEXT_MAX];
        uint64_t whole; /* 0: of its content some was given back to the host */
};

struct map {
        int fd;
        struct map_layer *layers;
        size_t len;
        struct wire_out out; /* of one that is being written */
        struct digest *hash; /* of the present layer's frames */
};

/** Begin a map of so many layers in the empty file fd (borrowed). */
int map_new(int fd, size_t layers, struct map **ret, struct err *err);
void map_free(struct map *map);
AUTO_TYPE(map)

/** Layer i begins; its frames follow by map_put(). */
void map_begin_layer(struct map *map, size_t i, const char *digest, uint64_t first);
void map_end_layer(struct map *map, size_t i, uint64_t end);

/** A frame of the present layer. */
int map_put(struct map *map, const struct wire_header *header, const void *payload,
            struct err *err);

/** Write the layers' table; the file is whole and synced afterwards. */
int map_finish(struct map *map, struct err *err);

/** Read the table of a map file (taken). EINVAL: not a map, or of another version. */
int map_open(int fd, struct map **ret, struct err *err);

/** The layer of that blob, if all of its content is still there; NULL: none. */
const struct map_layer *map_find(const struct map *map, const char *digest);

#endif
