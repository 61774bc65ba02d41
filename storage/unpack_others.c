/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of other images, whose layers may be ours. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/unpack_internal.h"

#define OTHERS_MAX 256 /* two descriptors each, and a table to look through */

static bool open_other(const struct unpack *u, const char *digest, struct unpack_other *ret)
{
        AUTO_FREE char *disk = NULL;
        AUTO_CLOSE int disk_fd = -1, map_fd = -1;
        struct err ignored;

        if (!digest_valid(digest) || streq(digest, u->request->digest))
                return false;
        digest += strlen("sha256:");
        disk = xasprintf("%s.ext4", digest);
        disk_fd = openat(u->request->disks, disk, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        map_fd = openat(u->request->maps, digest, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (disk_fd < 0 || map_fd < 0 || map_open(steal_fd(&map_fd), &ret->map, &ignored) < 0)
                return false;
        ret->disk = steal_fd(&disk_fd);
        return true;
}

void unpack_others_open(struct unpack *u)
{
        const json_t *list = u->request->others;

        u->others = xcalloc(OTHERS_MAX, sizeof(*u->others));
        for (size_t i = 0; i < json_array_size(list) && u->others_len < OTHERS_MAX; i++) {
                const char *digest = json_string_value(json_array_get(list, i));

                if (digest && open_other(u, digest, &u->others[u->others_len]))
                        u->others_len++;
        }
}

void unpack_others_close(struct unpack *u)
{
        for (size_t i = 0; i < u->others_len; i++) {
                map_free(u->others[i].map);
                (void)close(u->others[i].disk); /* only read */
        }
        free(u->others);
}

struct unpack_other *unpack_other_find(struct unpack *u, const char *digest,
                                       const struct map_layer **ret)
{
        for (size_t i = 0; i < u->others_len; i++) {
                *ret = map_find(u->others[i].map, digest);
                if (*ret)
                        return &u->others[i];
        }
        return NULL;
}
