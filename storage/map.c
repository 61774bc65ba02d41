/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/map.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/ext4.h"
#include "storage/oci.h"

#define MAGIC   "berthmap"
#define VERSION 1

struct map_header {
        char magic[8];
        uint32_t version, layers;
        char table[DIGEST_TEXT_MAX];
};

static size_t table_size(size_t layers)
{
        return sizeof(struct map_header) + layers * sizeof(struct map_layer);
}

int map_new(int fd, size_t layers, struct map **ret, struct err *err)
{
        AUTO(map) struct map *map = xnew(struct map);

        assert(layers <= OCI_LAYERS_MAX);
        map->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (map->fd < 0 || lseek(map->fd, (off_t)table_size(layers), SEEK_SET) < 0)
                return err_errno(err, errno, "disk map");
        map->len = layers;
        map->layers = xcalloc(layers + 1, sizeof(*map->layers));
        wire_out_init(&map->out, map->fd);
        map->out.written = table_size(layers);
        *ret = STEAL(map);
        return 0;
}

void map_free(struct map *map)
{
        if (!map)
                return;
        wire_out_release(&map->out);
        digest_free(map->hash);
        if (map->fd >= 0)
                (void)close(map->fd); /* synced, or not wanted */
        free(map->layers);
        free(map);
}

void map_begin_layer(struct map *map, size_t i, const char *digest, uint64_t first)
{
        struct map_layer *layer = &map->layers[i];

        memcpy(layer->digest, digest, DIGEST_TEXT_MAX);
        layer->first = first;
        layer->at = map->out.written;
        layer->whole = 1;
        map->hash = digest_new();
}

int map_put(struct map *map, const struct wire_header *header, const void *payload, struct err *err)
{
        digest_update(map->hash, header, sizeof(*header));
        digest_update(map->hash, payload, header->len);
        return wire_out_put(&map->out, header, payload, NULL, err);
}

void map_end_layer(struct map *map, size_t i, uint64_t end)
{
        map->layers[i].blocks = end - map->layers[i].first;
        map->layers[i].len = map->out.written - map->layers[i].at;
        digest_final_text(map->hash, map->layers[i].frames);
        digest_free(map->hash);
        map->hash = NULL;
}

int map_finish(struct map *map, struct err *err)
{
        struct map_header header = {MAGIC, VERSION, (uint32_t)map->len, ""};
        const size_t table = map->len * sizeof(*map->layers);
        int r = wire_out_flush(&map->out, err);

        if (r < 0)
                return r;
        digest_text(map->layers, table, header.table);
        if (pwrite(map->fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
            pwrite(map->fd, map->layers, table, sizeof(header)) != (ssize_t)table ||
            fsync(map->fd) < 0)
                return err_errno(err, errno, "disk map: write");
        return 0;
}

static bool layer_valid(const struct map_layer *layer)
{
        return layer->digest[DIGEST_TEXT_MAX - 1] == '\0' && digest_valid(layer->digest) &&
               layer->first < EXT4_BLOCKS_MAX && layer->blocks < EXT4_BLOCKS_MAX &&
               layer->at <= INT64_MAX && layer->len <= INT64_MAX;
}

int map_open(int fd, struct map **ret, struct err *err)
{
        AUTO(map) struct map *map = xnew(struct map);
        char actual[DIGEST_TEXT_MAX];
        struct map_header header;
        size_t table;

        map->fd = fd;
        if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
            memcmp(header.magic, MAGIC, sizeof(header.magic)) != 0 || header.version != VERSION ||
            header.layers > OCI_LAYERS_MAX)
                return err_set(err, EINVAL, "not a disk map of version %d", VERSION);
        map->len = header.layers;
        map->layers = xcalloc(map->len + 1, sizeof(*map->layers));
        table = map->len * sizeof(*map->layers);
        if (pread(fd, map->layers, table, sizeof(header)) != (ssize_t)table)
                return err_set(err, EINVAL, "half a disk map");
        digest_text(map->layers, table, actual);
        if (memcmp(actual, header.table, sizeof(actual)) != 0)
                return err_set(err, EINVAL, "a damaged disk map");
        for (size_t i = 0; i < map->len; i++)
                if (!layer_valid(&map->layers[i]))
                        return err_set(err, EINVAL, "a damaged disk map");
        *ret = STEAL(map);
        return 0;
}

const struct map_layer *map_find(const struct map *map, const char *digest)
{
        for (size_t i = 0; i < map->len; i++)
                if (map->layers[i].whole && streq(map->layers[i].digest, digest))
                        return &map->layers[i];
        return NULL;
}
