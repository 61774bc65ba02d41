/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "storage/ext4.h"
#include "storage/layer.h"
#include "storage/tree.h"

/*
 * A layer as somebody pushed it: any bytes. It is read twice, so that whiteouts and links of the
 * second meet a tree that is there, and what remains is written to a disk.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(int fd, struct tree *tree)
{
        AUTO(layer) struct layer *layer = NULL;
        char digest[DIGEST_TEXT_MAX], diff_id[DIGEST_TEXT_MAX];
        struct tree_entry entry;
        struct err err = ERR_INIT;
        bool regular;
        int r;

        if (lseek(fd, 0, SEEK_SET) < 0 ||
            layer_open(fd, LAYER_HASH, &image_limits_default, &layer, &err) < 0)
                return;
        tree_begin_layer(tree);
        while ((r = layer_next(layer, &entry, &regular, &err)) == 0) {
                struct tree_inode *inode;
                const void *piece;
                int64_t offset;
                size_t len;

                (void)tree_add(tree, &entry, &inode, &err); /* the next entry may be fine */
                while (regular && (r = layer_data(layer, &piece, &len, &offset, &err)) == 0)
                        ;
                if (r < 0)
                        return;
        }
        if (r == 1)
                (void)layer_finish(layer, digest, diff_id, &err); /* it may be broken behind */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO(tree) struct tree *tree = tree_new();
        AUTO(ext4) struct ext4 *ext4 = NULL;
        AUTO_CLOSE int fd = memfd_create("layer", MFD_CLOEXEC);
        AUTO_CLOSE int out = memfd_create("disk", MFD_CLOEXEC);
        struct ext4_params params = {.now_s = 1};
        struct err err = ERR_INIT;

        if (fd < 0 || out < 0 || size > 1 << 20 || fd_write_all(fd, data, size, &err) < 0)
                return 0;
        apply(fd, tree);
        apply(fd, tree);
        ext4_measure(tree, EXT4_CONTENT_FIRST, &params);
        if (params.blocks > 1 << 20 || ext4_format(out, &params, &ext4, &err) < 0)
                return 0;
        (void)ext4_put_tree(ext4, tree, &err); /* attributes may be too large */
        return 0;
}
