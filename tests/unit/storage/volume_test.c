/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "storage/volume.h"
#include "tests/tap.h"

static char *fsck(const char *path)
{
        const char *argv[] = {"e2fsck", "-fn", path, NULL};
        const struct spawn spec = {.argv = argv};
        struct err err = ERR_INIT;
        char *out = NULL;

        if (spawn_run(&spec, 65536, &out, &err) < 0)
                return xasprintf("failed: %s", err.msg);
        free(out);
        return xstrdup("clean");
}

static char *debugfs(const char *path, const char *request)
{
        const char *argv[] = {"debugfs", "-R", request, path, NULL};
        const struct spawn spec = {.argv = argv};
        struct err err = ERR_INIT;
        char *out = NULL;

        return spawn_run(&spec, 65536, &out, &err) < 0 ? xstrdup(err.msg) : out;
}

static void test_scratch(const char *dir)
{
        AUTO_FREE char *path = file_join(dir, "scratch.ext4"), *state = NULL, *ls = NULL;
        struct err err = ERR_INIT;
        int64_t best = INT64_MAX;
        struct stat st;

        for (int i = 0; i < 5; i++) {
                int64_t start = clock_mono_ns(), took;

                is_int(scratch_create(path, DISK_SIZE_DEFAULT, &err), 0, "scratch disk: %s",
                       err.msg);
                took = clock_mono_ns() - start;
                best = took < best ? took : best;
        }
        printf("# scratch_create: best of 5: %lld us\n", (long long)best / 1000);
        ok(best < 100 * 1000000, "made in well under 100 ms");
        is_int(stat(path, &st), 0, "it is there");
        is_int(st.st_size, DISK_SIZE_DEFAULT, "of the asked size");
        printf("# scratch disk: %lld KiB on the host\n", (long long)st.st_blocks / 2);
        ok(st.st_blocks * 512 < 2 << 20, "and sparse");
        state = fsck(path);
        is_str(state, "clean", "e2fsck finds nothing");
        ls = debugfs(path, "ls -p /");
        has_str(ls, "/040755/0/0/upper/", "has upper");
        has_str(ls, "/040755/0/0/work/", "has work");
        ok(!strstr(ls, "lost+found"), "no lost+found");
}

static void test_volume(const char *dir)
{
        AUTO_FREE char *volumes = file_join(dir, "volumes"), *state = NULL, *ls = NULL;
        AUTO(volume_info) struct volume_info *info = NULL;
        struct volume_info **list = NULL;
        struct err err = ERR_INIT;
        size_t len = 0, broken = 0;
        bool created = false;

        is_int(volume_ensure(volumes, "shop_data", "shop", INT64_C(1) << 30, NULL, NULL, &created,
                             &err),
               0, "volume: %s", err.msg);
        ok(created, "is created");
        is_int(volume_ensure(volumes, "shop_data", "shop", INT64_C(1) << 30, NULL, NULL, &created,
                             &err),
               0, "again");
        ok(!created, "is there already");
        is_int(volume_find(volumes, "shop_data", &info, &err), 0, "found");
        is_str(info ? info->stack : NULL, "shop", "knows its stack");
        is_int(info ? info->size_bytes : 0, INT64_C(1) << 30, "and its size");
        ok(info && info->used_bytes < 4 << 20, "is sparse: %lld",
           (long long)(info ? info->used_bytes : 0));
        state = fsck(info->path);
        is_str(state, "clean", "e2fsck finds nothing");
        ls = debugfs(info->path, "ls -p /");
        ok(!strstr(ls, "lost+found"), "no lost+found");
        is_int(volume_list(volumes, &list, &len, &broken, &err), 0, "list");
        is_int(len, 1, "of one");
        is_int(broken, 0, "none broken");
        if (len)
                volume_info_free(list[0]);
        free(list);
        is_int(volume_remove(volumes, "shop_data", &err), 0, "removed");
        is_int(volume_remove(volumes, "shop_data", &err), -ENOENT, "once only");
        is_int(volume_find(volumes, "shop_data", &info, &err), -ENOENT, "not found any more");
        is_int(volume_list(volumes, &list, &len, &broken, &err), 0, "list");
        is_int(len + broken, 0, "of none");
        free(list);
        is_int(volume_ensure(volumes, "../x", NULL, INT64_C(1) << 30, NULL, NULL, &created, &err),
               -EINVAL, "no path as a name");
        is_int(volume_ensure(volumes, "x", NULL, 4096, NULL, NULL, &created, &err), -EINVAL,
               "not too small");
        is_int(volume_ensure(volumes, "x", NULL, INT64_C(16) << 20, NULL, NULL, &created, &err), 0,
               "the smallest works: %s", err.msg);
        is_int(volume_ensure(volumes, "y", NULL, INT64_C(1) << 30, "/nonexistent", "/", &created,
                             &err),
               -ENOENT, "no seed");
        is_int(volume_list(volumes, &list, &len, &broken, &err), 0, "list");
        is_int(len + broken, 1, "nothing half-made");
        if (len)
                volume_info_free(list[0]);
        free(list);
}

static void test_shared(const char *dir)
{
        AUTO_FREE char *volumes = file_join(dir, "shared"), *big = NULL, *inner = NULL;
        AUTO_FREE char *link = NULL;
        AUTO(volume_info) struct volume_info *info = NULL;
        AUTO(volume_info) struct volume_info *again = NULL;
        struct err err = ERR_INIT;
        bool created = false;
        struct stat st;

        is_int(volume_ensure_shared(volumes, "shop_up", "shop", &created, &err), 0, "shared: %s",
               err.msg);
        ok(created, "is created");
        is_int(volume_ensure_shared(volumes, "shop_up", "shop", &created, &err), 0, "again");
        ok(!created, "is there already");
        if (volume_find(volumes, "shop_up", &info, &err) < 0) {
                ok(false, "found: %s", err.msg);
                return;
        }
        ok(info->shared && stat(info->path, &st) == 0 && S_ISDIR(st.st_mode), "is a folder");
        is_str(info->stack, "shop", "knows its stack");
        is_int(info->size_bytes, 0, "has no size of its own");
        inner = file_join(info->path, "folder");
        big = file_join(inner, "file");
        link = file_join(info->path, "link");
        ok(mkdir(inner, 0755) == 0 && symlink("/", link) == 0 &&
                   file_write_atomic(big, "some text", 9, 0644, &err) == 0,
           "a folder with a file, and a link to outside");
        is_int(volume_find(volumes, "shop_up", &again, &err), 0, "found again");
        ok(again && again->used_bytes > info->used_bytes && again->used_bytes < 1 << 20,
           "what is in it counts, and nothing else");
        is_int(volume_check_class(volumes, "shop_up", true, &err), 0, "its class");
        is_int(volume_ensure(volumes, "shop_up", "shop", INT64_C(1) << 30, NULL, NULL, &created,
                             &err),
               -EEXIST, "it becomes no disk");
        has_str(err.msg, "shared folder, not a disk", "the reason");
        is_int(volume_ensure(volumes, "disk", "shop", INT64_C(1) << 30, NULL, NULL, &created, &err),
               0, "a disk beside it");
        ok(volume_ensure_shared(volumes, "disk", "shop", &created, &err) < 0,
           "becomes no shared folder");
        is_int(volume_ensure_shared(volumes, "../x", NULL, &created, &err), -EINVAL,
               "no path as a name");
        is_int(volume_remove(volumes, "shop_up", &err), 0, "removed with what is in it");
        ok(stat(info->path, &st) < 0, "gone");
}

int main(void)
{
        char dir[] = "/tmp/volume_test.XXXXXX";
        struct err err = ERR_INIT;

        if (!mkdtemp(dir))
                return 1;
        test_scratch(dir);
        test_volume(dir);
        test_shared(dir);
        is_int(file_remove_tree(dir, &err), 0, "nothing is left");
        return tap_done();
}
