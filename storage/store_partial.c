/* SPDX-License-Identifier: Apache-2.0 */
/* What pulls leave and come back to: half blobs, and what a name meant at its registry. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "storage/blob.h"
#include "storage/store.h"

int store_partial_open(const struct image_store *store, int *ret_fd, struct err *err)
{
        AUTO_FREE char *path = file_join(store->dir, "partial");

        *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return *ret_fd < 0 ? err_errno(err, errno, "%s", path) : 0;
}

static int64_t sweep_one(int folder, const char *name, int64_t older_than_s)
{
        AUTO_CLOSE int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
            time(NULL) - st.st_mtime < older_than_s || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return 0;
        return unlinkat(folder, name, 0) == 0 ? st.st_size : 0;
}

int64_t store_partial_sweep(const struct image_store *store, int64_t older_than_s)
{
        AUTO_FREE char *path = file_join(store->dir, "partial");
        AUTO_DIR DIR *dir = opendir(path);
        struct dirent *entry;
        int64_t bytes = 0;

        while (dir && (entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        bytes += sweep_one(dirfd(dir), entry->d_name, older_than_s);
        return bytes;
}

static bool is_whole(const struct image_store *store, const char *digest)
{
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO_FREE char *text = NULL, *config = NULL, *path = file_join(store->dir, "blobs/sha256");
        AUTO_CLOSE int blobs = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct err ignored;
        size_t len;

        if (blobs < 0 || !store_document_good(store, digest, &text, &len) ||
            oci_manifest_parse(text, len, digest, &manifest, &ignored) < 0 ||
            !store_document_good(store, manifest->config.digest, &config, &len))
                return false;
        for (size_t i = 0; i < manifest->layers_len; i++)
                if (!blob_present(blobs, &manifest->layers[i]))
                        return false;
        return true;
}

char *store_known_source(const struct image_store *store, const char *ref, const char *platform)
{
        AUTO_JSON json_t *index = NULL;
        const char *source, *digest, *chosen;
        const json_t *notes;
        const json_t *entry;
        struct err ignored;

        if (store_index_read(store, &index, &ignored) < 0)
                return NULL;
        entry = store_index_find(index, ref);
        notes = json_object_get(entry, "annotations");
        source = json_str(notes, OCI_NOTE_SOURCE, "");
        chosen = json_str(notes, OCI_NOTE_PLATFORM, "");
        digest = json_str(entry, "digest", "");
        return digest_valid(source) && digest_valid(digest) &&
                               streq(chosen, platform ? platform : "") && is_whole(store, digest)
                       ? xstrdup(source)
                       : NULL;
}

static int64_t folder_bytes(const struct image_store *store, const char *name)
{
        AUTO_FREE char *path = file_join(store->dir, name);
        AUTO_DIR DIR *dir = opendir(path);
        struct dirent *entry;
        int64_t bytes = 0;
        struct stat st;

        while (dir && (entry = readdir(dir)))
                if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISREG(st.st_mode))
                        bytes += st.st_blocks * INT64_C(512);
        return bytes;
}

int64_t store_bytes(const struct image_store *store)
{
        return folder_bytes(store, "blobs/sha256") + folder_bytes(store, "rootfs") +
               folder_bytes(store, "maps");
}
