/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/store.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"

#define INDEX_MAX      (16u << 20)     /* some 30 000 references */
#define PARTIAL_KEEP_S (7 * 24 * 3600) /* a pull that nobody goes on with */

static const char *hex_of(const char *digest)
{
        assert(digest_valid(digest));
        return digest + strlen("sha256:");
}

char *store_blob_path(const struct image_store *store, const char *digest)
{
        return xasprintf("%s/blobs/sha256/%s", store->dir, hex_of(digest));
}

char *store_rootfs_path(const struct image_store *store, const char *digest)
{
        return xasprintf("%s/rootfs/%s.ext4", store->dir, hex_of(digest));
}

char *image_store_index(const struct image_store *store)
{
        return file_join(store->dir, "index.json");
}

int store_lock(const struct image_store *store, int *ret_fd, struct err *err)
{
        AUTO_FREE char *path = file_join(store->dir, "index.lock");
        AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r;

        if (fd < 0)
                return err_errno(err, errno, "%s", path);
        do {
                r = flock(fd, LOCK_EX);
        } while (r < 0 && errno == EINTR);
        if (r < 0)
                return err_errno(err, errno, "%s: lock", path);
        *ret_fd = steal_fd(&fd);
        return 0;
}

/* Staging folders whose lock nobody holds were left by jobs that did not end by themselves. */
static int sweep_staging(const struct image_store *store, struct err *err)
{
        AUTO_FREE char *tmp = file_join(store->dir, "tmp");
        AUTO_DIR DIR *dir = opendir(tmp);
        struct dirent *entry;

        if (!dir)
                return err_errno(err, errno, "%s", tmp);
        while ((entry = readdir(dir))) {
                AUTO_FREE char *path = NULL;
                AUTO_CLOSE int fd = -1;
                struct err ignored;

                if (entry->d_name[0] == '.')
                        continue;
                path = file_join(tmp, entry->d_name);
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
                        continue;
                (void)file_remove_tree(path, &ignored); /* the next opening tries again */
        }
        return 0;
}

int image_store_open(const char *dir, struct image_store **ret_store, struct err *err)
{
        /* Workers reach into blobs/ by descriptor; nobody else passes DIR itself. */
        static const struct {
                const char *name;
                mode_t mode;
        } folders[] = {{"blobs/sha256", 0755},
                       {"rootfs", 0755},
                       {"maps", 0755},
                       {"tmp", 0700},
                       {"partial", 0700}};
        AUTO(image_store) struct image_store *store = xnew(struct image_store);
        AUTO_CLOSE int lock = -1;
        int r;

        store->dir = xstrdup(dir);
        r = file_mkdir_p(dir, 0700, err);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++) {
                AUTO_FREE char *path = file_join(dir, folders[i].name);

                r = file_mkdir_p(path, folders[i].mode, err);
                if (r == 0 && chmod(path, folders[i].mode) < 0) /* whatever the umask */
                        r = err_errno(err, errno, "%s", path);
        }
        if (r == 0) {
                AUTO_FREE char *path = file_join(dir, "oci-layout");
                static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}\n";

                if (access(path, F_OK) < 0)
                        r = file_write_atomic(path, layout, strlen(layout), 0644, err);
        }
        if (r == 0)
                r = store_lock(store, &lock, err);
        if (r == 0)
                r = sweep_staging(store, err);
        if (r < 0)
                return err_wrap(err, "image store");
        (void)store_partial_sweep(store, PARTIAL_KEEP_S);
        *ret_store = STEAL(store);
        return 0;
}

void image_store_close(struct image_store *store)
{
        if (!store)
                return;
        free(store->dir);
        free(store);
}

int store_index_read(const struct image_store *store, json_t **ret, struct err *err)
{
        AUTO_FREE char *path = image_store_index(store), *text = NULL;
        AUTO_JSON json_t *index = NULL;
        size_t len;
        int r;

        if (access(path, F_OK) < 0 && errno == ENOENT) {
                *ret = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
                                 OCI_TYPE_INDEX, "manifests");
                return 0;
        }
        r = file_read(path, INDEX_MAX, &text, &len, err);
        if (r == 0)
                r = json_parse(text, len, INDEX_MAX, path, &index, err);
        if (r < 0)
                return r;
        if (!json_is_array(json_object_get(index, "manifests")))
                return err_set(err, EINVAL, "%s: not an image index", path);
        *ret = STEAL(index);
        return 0;
}

int store_index_write(const struct image_store *store, const json_t *index, struct err *err)
{
        AUTO_FREE char *path = image_store_index(store);
        AUTO_FREE char *text = json_pretty(index);

        return file_write_atomic(path, text, strlen(text), 0644, err);
}

const char *store_entry_ref(const json_t *entry)
{
        const json_t *notes = json_object_get(entry, "annotations");

        return json_str(notes, OCI_NOTE_NAME, NULL);
}

json_t *store_index_find(const json_t *index, const char *ref)
{
        json_t *entries = json_object_get(index, "manifests");

        for (size_t i = 0; i < json_array_size(entries); i++) {
                json_t *entry = json_array_get(entries, i);

                if (streq(store_entry_ref(entry), ref))
                        return entry;
        }
        return NULL;
}

int store_staging_new(const struct image_store *store, char **ret_path, int *ret_fd,
                      struct err *err)
{
        AUTO_FREE char *path = NULL;
        AUTO_CLOSE int lock = -1, fd = -1;
        char name[17];
        int r;

        r = store_lock(store, &lock, err); /* so that no sweep comes between the two steps */
        if (r == 0)
                r = sweep_staging(store, err); /* of those that were still dying at the opening */
        if (r < 0)
                return r;
        random_hex(name, 16);
        path = xasprintf("%s/tmp/%s", store->dir, name);
        if (mkdir(path, 0700) < 0)
                return err_errno(err, errno, "%s", path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
                return err_errno(err, errno, "%s", path);
        *ret_fd = steal_fd(&fd);
        *ret_path = STEAL(path);
        return 0;
}

/*
 * The worker is gone, but it was not trusted: what it left must be a plain file of one name, and
 * becomes ours and read-only before it gets its place. The worker has synced its content.
 */
static int adopt(int staging, const char *name, const char *to, struct err *err)
{
        AUTO_CLOSE int fd =
                openat(staging, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return err_errno(err, errno, "%s: not made by the worker", name);
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
                return err_set(err, EINVAL, "%s: not a plain file", name);
        if ((st.st_uid != geteuid() && fchown(fd, geteuid(), getegid()) < 0) ||
            fchmod(fd, 0444) < 0)
                return err_errno(err, errno, "%s", to);
        if (renameat(staging, name, AT_FDCWD, to) < 0)
                return err_errno(err, errno, "%s", to);
        return 0;
}

int store_sync(const struct image_store *store, const char *folder, struct err *err)
{
        AUTO_FREE char *path = file_join(store->dir, folder);
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 || fsync(fd) < 0 ? err_errno(err, errno, "%s: sync", path) : 0;
}

/*
 * One that is there already is replaced: that mends a blob which was damaged on the disk. A pull
 * does not bring what the store has.
 */
int store_publish_blob(const struct image_store *store, int staging, const char *digest,
                       struct err *err)
{
        AUTO_FREE char *to = store_blob_path(store, digest);

        if (faccessat(staging, hex_of(digest), F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT &&
            access(to, F_OK) == 0)
                return 0;
        return adopt(staging, hex_of(digest), to, err);
}

int store_publish_rootfs(const struct image_store *store, int staging, const char *digest,
                         struct err *err)
{
        AUTO_FREE char *to = store_rootfs_path(store, digest);
        AUTO_FREE char *map = xasprintf("%s/maps/%s", store->dir, hex_of(digest));
        int r = adopt(staging, "rootfs.map", map, err);

        return r < 0 ? r : adopt(staging, "rootfs.ext4", to, err);
}

int store_publish_refs(const struct image_store *store, const json_t *images, struct err *err)
{
        AUTO_JSON json_t *index = NULL;
        int r = store_index_read(store, &index, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < json_array_size(images); i++) {
                const json_t *image = json_array_get(images, i);
                const char *ref = json_str(image, "ref", NULL);
                struct oci_descriptor descriptor;
                json_t *entry, *old;

                r = oci_descriptor_parse(json_object_get(image, "descriptor"), "image", &descriptor,
                                         err);
                if (r < 0)
                        return r;
                entry = oci_descriptor_json(&descriptor);
                (void)json_object_set_new(
                        entry, "annotations",
                        json_pack("{s:s, s:s, s:s*, s:s*}", OCI_NOTE_NAME, ref, OCI_NOTE_REF, ref,
                                  OCI_NOTE_SOURCE, json_str(image, "source", NULL),
                                  OCI_NOTE_PLATFORM, json_str(image, "platform", NULL))); /* OOM
                                                                                 aborts later */
                old = store_index_find(index, ref);
                if (old) {
                        (void)json_object_clear(old);
                        (void)json_object_update(old, entry);
                        json_decref(entry);
                } else {
                        (void)json_array_append_new(json_object_get(index, "manifests"), entry);
                }
        }
        return store_index_write(store, index, err);
}

int store_read_blob(const struct image_store *store, const char *digest, char **ret,
                    size_t *ret_len, struct err *err)
{
        AUTO_FREE char *path = store_blob_path(store, digest), *text = NULL;
        char actual[DIGEST_TEXT_MAX];
        int r = file_read(path, OCI_DOCUMENT_MAX, &text, ret_len, err);

        if (r < 0)
                return r;
        digest_text(text, *ret_len, actual);
        if (!streq(actual, digest))
                return err_set(err, EINVAL,
                               "%s: its content is damaged; pull or load the image again", digest);
        *ret = STEAL(text);
        return 0;
}
