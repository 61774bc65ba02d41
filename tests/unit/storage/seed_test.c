/* SPDX-License-Identifier: Apache-2.0 */
/* A new volume gets what the image has at its path: owners, modes, links, attributes, holes. */
#include <sys/stat.h>

#include "base/spawn.h"
#include "storage/volume.h"
#include "tests/tap.h"
#include "tests/unit/storage/driver.h"
#include "tests/unit/storage/mktar.h"

static char *run(const char *const *argv)
{
        const struct spawn spec = {.argv = argv};
        struct err err = ERR_INIT;
        char *out = NULL;

        return spawn_run(&spec, 1 << 20, &out, &err) < 0 ? xasprintf("failed: %s", err.msg) : out;
}

static char *debugfs(const char *path, const char *request)
{
        const char *argv[] = {"debugfs", "-R", request, path, NULL};

        return run(argv);
}

static char *make_image(const char *dir, struct image_store *store)
{
        AUTO_STRBUF struct strbuf tar = MKTAR_INIT;
        AUTO_FREE char *path = NULL, *big = xcalloc(1, 3000000);
        AUTO(image) struct image *image = NULL;
        struct err err = ERR_INIT;

        memset(big, 'b', 3000000);
        memset(big + 1000000, 0, 1000000);
        mktar_add(&tar, "data", '5', 02770, "", "", 0);
        mktar_file(&tar, "data/one", "first\n");
        mktar_add(&tar, "data/two", '1', 0, "data/one", "", 0);
        mktar_add(&tar, "data/sub", '5', 0700, "", "", 0);
        mktar_add(&tar, "data/sub/big", '0', 0640, "", big, 3000000);
        mktar_add(&tar, "data/link", '2', 0777, "sub/big", "", 0);
        mktar_add(&tar, "data/fifo", '6', 0600, "", "", 0);
        mktar_add(&tar, "srv", '2', 0777, "/data/sub", "", 0);
        mktar_file(&tar, "file", "x");
        mktar_end(&tar);
        path = mktar_write(&tar, dir, "root.tar");
        is_int(driver_import(store, path, "seed", NULL, NULL, &err), 0, "import: %s", err.msg);
        is_int(image_find(store, "seed", &image, &err), 0, "find");
        is_int(driver_unpack(store, image->digest, NULL, &err), 0, "unpack: %s", err.msg);
        image_free(STEAL(image));
        is_int(image_find(store, "seed", &image, &err), 0, "find again");
        return xstrdup(image->rootfs_path);
}

static void test_seed(const char *volumes, const char *rootfs)
{
        AUTO(volume_info) struct volume_info *info = NULL;
        AUTO_FREE char *ls = NULL, *cat = NULL, *size = NULL, *sub = NULL, *root = NULL;
        struct err err = ERR_INIT;
        bool created = false;

        is_int(volume_ensure(volumes, "v", "s", INT64_C(1) << 30, rootfs, "/data", &created, &err),
               0, "seeded: %s", err.msg);
        ok(created, "created");
        is_int(volume_find(volumes, "v", &info, &err), 0, "found");
        {
                const char *argv[] = {"e2fsck", "-fn", info->path, NULL};
                AUTO_FREE char *fsck = run(argv);

                ok(!strstr(fsck, "failed"), "e2fsck finds nothing: %s", fsck);
        }
        ls = debugfs(info->path, "ls -p /");
        has_str(ls, "/042770/0/0/./", "its root has the folder's mode");
        has_str(ls, "/100644/0/0/one/6/", "a file");
        has_str(ls, "/100644/0/0/two/6/", "and its other name");
        has_str(ls, "/040700/0/0/sub/", "a folder");
        has_str(ls, "/120777/0/0/link/", "a link");
        has_str(ls, "/010600/0/0/fifo/", "a fifo");
        ok(!strstr(ls, "lost+found"), "no lost+found");
        cat = debugfs(info->path, "cat /two");
        is_str(cat, "first\n", "the content");
        size = debugfs(info->path, "stat /sub/big");
        has_str(size, "Size: 3000000", "a large file");
        has_str(size, "Blockcount: 3920", "without its hole"); /* 245 + 245 blocks, in sectors */
        root = debugfs(info->path, "stat /one");
        has_str(root, "Links: 2", "two names of one file");
        is_int(volume_ensure(volumes, "w", "s", INT64_C(1) << 30, rootfs, "/srv", &created, &err),
               0, "through a link: %s", err.msg);
        volume_info_free(STEAL(info));
        is_int(volume_find(volumes, "w", &info, &err), 0, "found");
        sub = debugfs(info->path, "ls -p /");
        has_str(sub, "/big/3000000/", "the folder it points to");
}

static void test_no_seed(const char *volumes, const char *rootfs)
{
        static const char *const paths[] = {"/nowhere", "/file", "/data/one/x"};
        struct err err = ERR_INIT;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                AUTO(volume_info) struct volume_info *info = NULL;
                AUTO_FREE char *name = xasprintf("e%zu", i), *ls = NULL;
                bool created = false;

                is_int(volume_ensure(volumes, name, NULL, INT64_C(1) << 30, rootfs, paths[i],
                                     &created, &err),
                       0, "%s: an empty volume: %s", paths[i], err.msg);
                is_int(volume_find(volumes, name, &info, &err), 0, "found");
                ls = debugfs(info->path, "ls -p /");
                has_str(ls, "/040755/0/0/./", "root owned, 0755");
        }
}

int main(int argc, char **argv)
{
        AUTO(image_store) struct image_store *store = NULL;
        AUTO_FREE char *rootfs = NULL, *volumes = NULL, *dir = NULL;
        char top[] = "/tmp/seed_test.XXXXXX";
        struct err err = ERR_INIT;

        DRIVER_MAIN(argc, argv);
        if (!mkdtemp(top))
                return 1;
        dir = file_join(top, "store");
        volumes = file_join(top, "volumes");
        is_int(image_store_open(dir, &store, &err), 0, "store: %s", err.msg);
        rootfs = make_image(top, store);
        test_seed(volumes, rootfs);
        test_no_seed(volumes, rootfs);
        is_int(file_remove_tree(top, &err), 0, "nothing is left");
        return tap_done();
}
