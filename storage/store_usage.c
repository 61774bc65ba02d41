/* SPDX-License-Identifier: Apache-2.0 */
/* What the store takes on disk, and what a prune of all that is not in use would give back. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "storage/store.h"

/* keep: digests that a prune would leave; NULL: it leaves nothing. */
static void add_folder(const struct image_store *store, const char *folder, const json_t *keep,
                       struct store_class *ret)
{
        AUTO_FREE char *path = file_join(store->dir, folder);
        AUTO_DIR DIR *dir = opendir(path);
        struct dirent *entry;
        struct stat st;

        while (dir && (entry = readdir(dir))) {
                char digest[DIGEST_TEXT_MAX];
                int64_t bytes;

                if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    !S_ISREG(st.st_mode))
                        continue;
                (void)snprintf(digest, sizeof(digest), "sha256:%.64s", entry->d_name); /* fits */
                bytes = st.st_blocks * INT64_C(512);
                ret->count++;
                ret->bytes += bytes;
                if (!keep || !json_object_get(keep, digest))
                        ret->reclaimable_bytes += bytes;
        }
}

int image_store_usage(struct image_store *store, const char *const *in_use, size_t in_use_len,
                      struct image_usage *ret, struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        AUTO_JSON json_t *blobs = json_object();
        AUTO_JSON json_t *disks = json_object();
        AUTO_JSON json_t *users = NULL;
        AUTO_CLOSE int lock = -1;
        const char *digest;
        json_t *owner;
        int r = store_lock(store, &lock, err);

        if (r == 0)
                r = store_index_read(store, &index, err);
        if (r < 0)
                return r;
        users = store_users(store);
        json_object_foreach(users, digest, owner)
                store_mark_image(store, blobs, disks, digest);
        for (size_t i = 0; i < in_use_len; i++)
                store_mark_image(store, blobs, disks, in_use[i]);
        *ret = (struct image_usage){
                .images = (int64_t)json_array_size(json_object_get(index, "manifests"))};
        add_folder(store, "blobs/sha256", blobs, &ret->blobs);
        add_folder(store, "rootfs", disks, &ret->disks);
        add_folder(store, "maps", disks, &ret->disks);
        add_folder(store, "partial", NULL, &ret->partial);
        return 0;
}
