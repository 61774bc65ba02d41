/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "storage/ext4.h"

#define COUNTED_MAX     10000 /* files of a shared volume that are looked at for its size */
#define RECORD          "volume.json"
#define RECORD_MAX      (64u << 10)
#define DISK            "disk.ext4"
#define FOLDER          "data"
#define ASIDE           ".new-" /* one that is being made or removed; no valid name begins so */
#define NAME_LENGTH     255
#define SIZE_MIN        (INT64_C(16) << 20) /* journal and tables need some of it */
#define SIZE_MAX_BYTES  (INT64_C(16) << 40)
#define BYTES_PER_INODE 32768 /* half as many as mke2fs makes: tables cost mount time */
#define INODES_MAX      (UINT32_C(4) << 20)
#define JOURNAL_BLOCKS  4096 /* 16 MiB: bounds what one mount has to replay */
#define JOURNAL_SMALL   1024 /* the least that ext4 takes */

void volume_info_free(struct volume_info *info)
{
        if (!info)
                return;
        free(info->name);
        free(info->stack);
        free(info->path);
        free(info);
}

/* [a-zA-Z0-9][a-zA-Z0-9_.-]*: Docker's rule; also what makes it one safe path component. */
static int check_name(const char *name, struct err *err)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789_.-";
        size_t len = strspn(name, allowed);

        if (!*name || name[len] || len > NAME_LENGTH || strchr("_.-", name[0]))
                return err_set(err, EINVAL,
                               "'%.100s' cannot name a volume: use letters, digits, _ . and -, "
                               "beginning with a letter or digit",
                               name);
        return 0;
}

static int check_size(int64_t size, struct err *err)
{
        if (size < SIZE_MIN || size >= SIZE_MAX_BYTES)
                return err_set(err, EINVAL, "a disk of %lld bytes: between 16 MiB and 16 TiB fit",
                               (long long)size);
        return 0;
}

static void fill_params(int64_t size, bool journal, struct ext4_params *ret)
{
        int64_t inodes = size / BYTES_PER_INODE;

        memset(ret, 0, sizeof(*ret));
        ret->blocks = (uint64_t)size / EXT4_BLOCK;
        ret->inodes = inodes < INODES_MAX ? (uint32_t)inodes : INODES_MAX;
        ret->writable = true;
        ret->now_s = clock_wall_ms() / 1000;
        if (journal)
                ret->journal_blocks =
                        ret->blocks >= 16 * JOURNAL_BLOCKS ? JOURNAL_BLOCKS : JOURNAL_SMALL;
        random_bytes(ret->uuid, sizeof(ret->uuid));
}

static int create_file(const char *path, int *ret_fd, struct err *err)
{
        *ret_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        return *ret_fd < 0 ? err_errno(err, errno, "%s: create", path) : 0;
}

static int copy_content(struct ext4_source *source, struct ext4 *ext4, const struct tree *tree,
                        struct err *err)
{
        int r = 0;

        for (struct tree_node *n = tree_root(tree); n && r == 0; n = tree_next(n)) {
                struct tree_inode *inode = n->inode;

                if (!S_ISREG(inode->mode) || inode->size == 0 || inode->source_ino == 0)
                        continue;
                r = ext4_source_copy(source, inode, ext4, err);
                inode->source_ino = 0; /* done: other names of it are skipped */
        }
        return r;
}

/* 1: the image has no such folder, nothing was written. */
static int seed(struct ext4 *ext4, const char *rootfs, const char *path, struct err *err)
{
        AUTO(ext4_source) struct ext4_source *source = NULL;
        AUTO(tree) struct tree *tree = NULL;
        int r = ext4_source_open(rootfs, &source, err);

        if (r == 0)
                r = ext4_source_tree(source, path, &tree, err);
        if (r == 0)
                r = ext4_put_tree(ext4, tree, err);
        if (r == 0)
                r = copy_content(source, ext4, tree, err);
        return r < 0 ? err_wrap(err, "copy %s of the image", path) : r;
}

static int put_empty(struct ext4 *ext4, struct err *err)
{
        AUTO(tree) struct tree *tree = tree_new();

        return ext4_put_tree(ext4, tree, err);
}

static int make_disk(const char *path, int64_t size, const char *seed_rootfs, const char *seed_path,
                     bool *ret_seeded, struct err *err)
{
        AUTO(ext4) struct ext4 *ext4 = NULL;
        AUTO_CLOSE int fd = -1;
        struct ext4_params params;
        int r = create_file(path, &fd, err);

        fill_params(size, true, &params);
        if (r == 0)
                r = ext4_format(fd, &params, &ext4, err);
        if (r < 0)
                return r;
        r = seed_rootfs ? seed(ext4, seed_rootfs, seed_path, err) : 1;
        *ret_seeded = r == 0;
        if (r == 1)
                r = put_empty(ext4, err);
        if (r == 0)
                r = ext4_close(STEAL(ext4), err);
        if (r == 0 && fsync(fd) < 0)
                r = err_errno(err, errno, "%s: sync", path);
        return r;
}

/* size: of a disk; 0: a shared folder. */
static int write_record(const char *folder, const char *name, const char *stack, int64_t size,
                        bool seeded, struct err *err)
{
        AUTO_FREE char *path = file_join(folder, RECORD), *text = NULL;
        AUTO_JSON json_t *record = json_object();

        json_set_int(record, "version", 1);
        json_set_str(record, "name", name);
        json_set_str(record, "stack", stack);
        json_set_int(record, "created_ms", clock_wall_ms());
        json_set_str(record, "class", size ? "disk" : "shared");
        json_set_int(record, "size_bytes", size);
        json_set_bool(record, "seeded", seeded);
        text = json_pretty(record);
        return file_write_atomic(path, text, strlen(text), 0600, err);
}

static int sync_folder(const char *path, struct err *err)
{
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 || fsync(fd) < 0 ? err_errno(err, errno, "%s: sync", path) : 0;
}

int volume_check_class(const char *dir, const char *name, bool shared, struct err *err)
{
        AUTO_FREE char *disk = NULL, *folder = NULL;
        int r = check_name(name, err);

        if (r < 0)
                return r;
        disk = xasprintf("%s/%s/" DISK, dir, name);
        folder = xasprintf("%s/%s/" FOLDER, dir, name);
        if (shared && access(disk, F_OK) == 0)
                return err_set(
                        err, EEXIST,
                        "volume %s is a disk of one VM and cannot be shared; let one service "
                        "alone mount it for writing, or begin with a new one: save what it "
                        "holds, `berth volume rm %s`, and apply again",
                        name, name);
        if (!shared && access(folder, F_OK) == 0)
                return err_set(err, EEXIST,
                               "volume %s is a shared folder, not a disk; set its x-berth.class to "
                               "shared, or begin with a new one: save what it holds, `berth volume "
                               "rm %s`, and apply again",
                               name, name);
        return 0;
}

/* An existing volume: of this class, and with its data, in whose place nothing empty is put. */
static int volume_check(const char *dir, const char *name, bool shared, struct err *err)
{
        AUTO_FREE char *data = NULL;
        int r = volume_check_class(dir, name, shared, err);

        if (r < 0)
                return r;
        data = xasprintf("%s/%s/%s", dir, name, shared ? FOLDER : DISK);
        if (access(data, F_OK) < 0)
                return err_set(err, errno,
                               "volume %s has lost its data: %s is missing; put it back, or begin "
                               "with an empty one: `berth volume rm %s`",
                               name, data, name);
        return 0;
}

/* A volume to make: a disk, or a folder that several VMs share. */
struct recipe {
        const char *name, *stack;
        bool shared;
        int64_t size_bytes;                  /* of a disk; else 0 */
        const char *seed_rootfs, *seed_path; /* of a disk; NULL: an empty one */
};

/* What the folder of a new volume holds. */
static int fill_folder(const char *folder, const struct recipe *recipe, struct err *err)
{
        AUTO_FREE char *data = file_join(folder, recipe->shared ? FOLDER : DISK);
        bool seeded = false;
        int r = recipe->shared ? file_mkdir_p(data, 0755, err)
                               : make_disk(data, recipe->size_bytes, recipe->seed_rootfs,
                                           recipe->seed_path, &seeded, err);

        if (r < 0)
                return r;
        return write_record(folder, recipe->name, recipe->stack, recipe->size_bytes, seeded, err);
}

static int ensure(const char *dir, const struct recipe *recipe, bool *ret_created, struct err *err)
{
        AUTO_FREE char *path = NULL, *aside = NULL;
        struct err ignored;
        int r = check_name(recipe->name, err);

        if (r < 0)
                return r;
        path = file_join(dir, recipe->name);
        *ret_created = false;
        if (access(path, F_OK) == 0)
                return volume_check(dir, recipe->name, recipe->shared, err);
        aside = xasprintf("%s/" ASIDE "%s", dir, recipe->name);
        r = file_remove_tree(aside, err); /* of a daemon that died here */
        if (r == 0)
                r = file_mkdir_p(aside, 0700, err);
        if (r == 0)
                r = fill_folder(aside, recipe, err);
        if (r == 0 && rename(aside, path) < 0)
                r = err_errno(err, errno, "%s", path);
        if (r < 0) {
                (void)file_remove_tree(aside, &ignored); /* the error that matters is set */
                return err_wrap(err, "volume %s", recipe->name);
        }
        *ret_created = true;
        return sync_folder(dir, err);
}

int volume_ensure(const char *dir, const char *name, const char *stack, int64_t size_bytes,
                  const char *seed_rootfs, const char *seed_path, bool *ret_created,
                  struct err *err)
{
        const struct recipe recipe = {.name = name,
                                      .stack = stack,
                                      .size_bytes = size_bytes,
                                      .seed_rootfs = seed_rootfs,
                                      .seed_path = seed_path};
        int r = check_size(size_bytes, err);

        return r < 0 ? r : ensure(dir, &recipe, ret_created, err);
}

int volume_ensure_shared(const char *dir, const char *name, const char *stack, bool *ret_created,
                         struct err *err)
{
        const struct recipe recipe = {.name = name, .stack = stack, .shared = true};

        return ensure(dir, &recipe, ret_created, err);
}

/* What the files of a folder take; of a folder with very many, what the first of them take. The
 * guests that write to it choose its shape, so links are not followed and the walk is bounded. */
static int64_t folder_bytes(char *path)
{
        char *paths[] = {path, NULL};
        FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
        const FTSENT *entry;
        int64_t bytes = 0;

        for (int n = 0; walk && n < COUNTED_MAX && (entry = fts_read(walk)); n++)
                if (entry->fts_info != FTS_DP && entry->fts_info != FTS_NS)
                        bytes += entry->fts_statp->st_blocks * 512;
        if (walk)
                (void)fts_close(walk); /* nothing was written */
        return bytes;
}

int volume_find(const char *dir, const char *name, struct volume_info **ret, struct err *err)
{
        AUTO(volume_info) struct volume_info *info = xnew(struct volume_info);
        AUTO_FREE char *folder = NULL, *path = NULL, *text = NULL;
        AUTO_JSON json_t *record = NULL;
        struct stat st;
        size_t len;
        int r = check_name(name, err);

        if (r < 0)
                return r;
        folder = file_join(dir, name);
        if (access(folder, F_OK) < 0)
                return err_set(err, ENOENT, "no such volume: %s", name);
        path = file_join(folder, RECORD);
        r = file_read(path, RECORD_MAX, &text, &len, err);
        if (r == 0)
                r = json_parse(text, len, RECORD_MAX, path, &record, err);
        if (r < 0)
                return err_wrap(err, "volume %s", name);
        info->name = xstrdup(name);
        info->stack = xstrdup(json_str(record, "stack", NULL));
        info->shared = streq(json_str(record, "class", "disk"), "shared");
        info->path = file_join(folder, info->shared ? FOLDER : DISK);
        info->created_ms = json_int(record, "created_ms", 0);
        if (stat(info->path, &st) < 0)
                return err_errno(err, errno, "volume %s: %s", name, info->path);
        info->size_bytes = info->shared ? 0 : st.st_size;
        info->used_bytes = info->shared ? folder_bytes(info->path) : st.st_blocks * 512;
        *ret = STEAL(info);
        return 0;
}

static int by_name(const void *a, const void *b)
{
        return strcmp((*(struct volume_info *const *)a)->name,
                      (*(struct volume_info *const *)b)->name);
}

int volume_list(const char *dir, struct volume_info ***ret, size_t *ret_len, size_t *ret_broken,
                struct err *err)
{
        AUTO_DIR DIR *d = opendir(dir);
        struct volume_info **list = NULL;
        size_t len = 0, broken = 0;
        struct dirent *entry;

        if (!d && errno != ENOENT)
                return err_errno(err, errno, "%s", dir);
        while (d && (entry = readdir(d))) {
                struct volume_info *info;
                struct err ignored;

                if (entry->d_name[0] == '.')
                        continue;
                if (volume_find(dir, entry->d_name, &info, &ignored) == 0)
                        *array_push(&list, &len) = info;
                else
                        broken++;
        }
        if (len)
                qsort(list, len, sizeof(struct volume_info *), by_name);
        *ret = list;
        *ret_len = len;
        if (ret_broken)
                *ret_broken = broken;
        return 0;
}

void volume_sweep(const char *dir)
{
        AUTO_DIR DIR *d = opendir(dir);
        const struct dirent *entry;

        while (d && (entry = readdir(d))) {
                AUTO_FREE char *path = file_join(dir, entry->d_name);
                struct err ignored;

                if (has_prefix(entry->d_name, ASIDE))
                        (void)file_remove_tree(path, &ignored); /* the next sweep tries again */
        }
}

/* Renamed first: a removal that is cut short must not leave half a volume that looks whole. */
int volume_remove(const char *dir, const char *name, struct err *err)
{
        AUTO_FREE char *path = NULL, *aside = NULL;
        int r = check_name(name, err);

        if (r < 0)
                return r;
        path = file_join(dir, name);
        aside = xasprintf("%s/" ASIDE "%s", dir, name);
        r = file_remove_tree(aside, err);
        if (r < 0)
                return r;
        if (rename(path, aside) < 0)
                return errno == ENOENT ? err_set(err, ENOENT, "no such volume: %s", name)
                                       : err_errno(err, errno, "%s", path);
        r = file_remove_tree(aside, err);
        return r < 0 ? r : sync_folder(dir, err);
}

/* What the guest mounts over an image: overlayfs wants both folders on one file system. */
static int put_overlay_folders(struct ext4 *ext4, struct err *err)
{
        static const char *const folders[] = {"upper", "work"};
        AUTO(tree) struct tree *tree = tree_new();

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                const struct tree_entry entry = {.path = folders[i], .mode = S_IFDIR | 0755};
                struct tree_inode *inode;
                int r = tree_add(tree, &entry, &inode, err);

                if (r < 0)
                        return r;
        }
        return ext4_put_tree(ext4, tree, err);
}

int scratch_create(const char *path, int64_t size_bytes, struct err *err)
{
        AUTO(ext4) struct ext4 *ext4 = NULL;
        AUTO_CLOSE int fd = -1;
        struct ext4_params params;
        int r = check_size(size_bytes, err);

        if (r < 0)
                return r;
        if (unlink(path) < 0 && errno != ENOENT)
                return err_errno(err, errno, "%s: replace", path);
        fill_params(size_bytes, false, &params); /* no journal: it does not outlive its VM */
        r = create_file(path, &fd, err);
        if (r == 0)
                r = ext4_format(fd, &params, &ext4, err);
        if (r == 0)
                r = put_overlay_folders(ext4, err);
        if (r == 0)
                r = ext4_close(STEAL(ext4), err);
        return r < 0 ? err_wrap(err, "scratch disk %s", path) : 0;
}
