/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader of a layer says when the layer has taken it over: frames, and a map of them. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "storage/ext4.h"
#include "storage/map.h"
#include "storage/tree.h"
#include "storage/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_frames(int fd)
{
        AUTO(tree) struct tree *tree = tree_new();
        struct tree_xattr xattrs[WIRE_XATTRS_MAX];
        struct tree_inode *file = NULL;
        struct err err = ERR_INIT;
        struct wire_frame frame;
        struct tree_entry entry;
        struct wire_in in;
        bool regular;

        wire_in_init(&in, fd, UINT64_MAX);
        tree_begin_layer(tree);
        while (wire_in_next(&in, &frame, &err) == 0) {
                struct wire_run run;

                if (frame.header.kind == WIRE_ENTRY &&
                    wire_entry_parse(&frame, &entry, xattrs, &regular, &err) == 0)
                        (void)tree_add(tree, &entry, &file, &err); /* the next may be fine */
                if (frame.header.kind != WIRE_RUN || frame.header.len != sizeof(run) || !file)
                        continue;
                memcpy(&run, frame.payload, sizeof(run));
                if (run.len && run.len < EXT4_RUN_MAX && run.block < 1u << 30)
                        tree_inode_add_run(file, &(struct tree_run){run.block, 65, run.len},
                                           EXT4_RUN_MAX);
        }
        wire_in_release(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO_CLOSE int fd = memfd_create("frames", MFD_CLOEXEC), map_fd = -1;
        AUTO(map) struct map *map = NULL;
        struct err err = ERR_INIT;

        if (fd < 0 || size > 1 << 20 || fd_write_all(fd, data, size, &err) < 0 ||
            lseek(fd, 0, SEEK_SET) < 0)
                return 0;
        read_frames(fd);
        map_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (map_fd >= 0 && map_open(steal_fd(&map_fd), &map, &err) == 0)
                (void)map_find(map, "sha256:"); /* none */
        return 0;
}
