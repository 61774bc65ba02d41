/* SPDX-License-Identifier: Apache-2.0 */
/* What remains of the layers becomes a file system; content that nobody has any more is given back.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/unpack_internal.h"

/*
 * Of a layer's content so much may be dead, overwritten or removed by later layers, and stay in the
 * disk, so that other images can take the layer from it. With more, its space is worth more.
 */
#define DEAD_PART 8

struct extent {
        uint32_t first, len;
};

static int by_place(const void *a, const void *b)
{
        const struct extent *x = a, *y = b;

        return x->first < y->first ? -1 : x->first > y->first;
}

static struct extent *list_live(const struct tree *tree, size_t *ret_len)
{
        struct extent *live = NULL;
        size_t len = 0;

        for (struct tree_node *n = tree_root(tree); n; n = tree_next(n))
                for (size_t i = 0; i < n->inode->runs_len; i++)
                        *array_push(&live, &len) =
                                (struct extent){n->inode->runs[i].physical, n->inode->runs[i].len};
        if (len)
                qsort(live, len, sizeof(*live), by_place);
        *ret_len = len;
        return live;
}

/* What no live extent covers, from at to end. */
struct gaps {
        const struct extent *live;
        size_t len, i;
        uint64_t at, end;
};

static bool next_gap(struct gaps *gaps, struct extent *ret)
{
        while (gaps->at < gaps->end) {
                const struct extent *live = gaps->i < gaps->len ? &gaps->live[gaps->i] : NULL;
                uint64_t from = gaps->at, stop = gaps->end;

                if (live && live->first < gaps->end) {
                        stop = live->first;
                        gaps->i++;
                        if ((uint64_t)live->first + live->len > gaps->at) /* else a hard link */
                                gaps->at = (uint64_t)live->first + live->len;
                } else {
                        gaps->at = gaps->end;
                }
                if (stop > from) {
                        *ret = (struct extent){(uint32_t)from, (uint32_t)(stop - from)};
                        return true;
                }
        }
        return false;
}

static void give_back(struct unpack *u, struct ext4 *ext4)
{
        size_t len;
        AUTO_FREE struct extent *live = list_live(u->tree, &len);
        struct gaps gaps = {.live = live, .len = len};

        for (size_t i = 0; i < u->map->len; i++) {
                struct map_layer *layer = &u->map->layers[i];
                struct extent gap;
                struct gaps again;
                uint64_t dead = 0;

                gaps.at = layer->first;
                gaps.end = layer->first + layer->blocks;
                again = gaps;
                while (next_gap(&gaps, &gap))
                        dead += gap.len;
                layer->whole = dead * DEAD_PART <= layer->blocks;
                while (next_gap(&again, &gap)) {
                        ext4_release(ext4, gap.first, gap.len);
                        if (!layer->whole) /* where that does not work it takes more space */
                                (void)fallocate(
                                        u->request->out, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                        (off_t)gap.first * EXT4_BLOCK, (off_t)gap.len * EXT4_BLOCK);
                }
        }
}

static void fill_uuid(const char *digest, uint8_t *uuid, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                unsigned byte = 0;

                (void)sscanf(digest + strlen("sha256:") + 2 * i, "%2x", &byte); /* checked hex */
                uuid[i] = (uint8_t)byte;
        }
}

int unpack_finish(struct unpack *u, struct err *err)
{
        AUTO(ext4) struct ext4 *ext4 = NULL;
        struct ext4_params params = {.now_s = 1}; /* equal images make equal disks */
        int r;

        ext4_measure(u->tree, u->place, &params);
        fill_uuid(u->request->digest, params.uuid, sizeof(params.uuid));
        r = ext4_format(u->request->out, &params, &ext4, err);
        if (r == 0)
                r = ext4_put_tree(ext4, u->tree, err);
        if (r < 0)
                return r;
        give_back(u, ext4);
        r = ext4_close(STEAL(ext4), err);
        if (r == 0 && fsync(u->request->out) < 0)
                r = err_errno(err, errno, "root disk: sync");
        return r < 0 ? r : map_finish(u->map, err);
}
