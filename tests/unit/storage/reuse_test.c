/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers that another image's disk has are taken from there, and the disk is the same as one that
 * was made of the blobs alone.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "storage/map.h"
#include "tests/tap.h"
#include "tests/unit/storage/driver.h"
#include "tests/unit/storage/mktar.h"

#define BIG (1u << 20)

struct bench {
        char dir[64];
        char *store_dir;
        struct image_store *store;
        struct strbuf base, one, two;
};

/* A file that does not compress and has no holes. */
static void add_big(struct strbuf *layer, const char *name, unsigned seed)
{
        AUTO_FREE uint8_t *data = xcalloc(1, BIG);

        for (size_t i = 0; i < BIG; i++) {
                seed = seed * 1664525u + 1013904223u;
                data[i] = (uint8_t)(seed >> 24 | 1);
        }
        mktar_add(layer, name, '0', 0644, "", data, BIG);
}

static void bench_init(struct bench *b)
{
        struct err err = ERR_INIT;

        memset(b, 0, sizeof(*b));
        (void)snprintf(b->dir, sizeof(b->dir), "/tmp/reuse_test.XXXXXX");
        if (!mkdtemp(b->dir))
                bug("mkdtemp");
        b->store_dir = file_join(b->dir, "store");
        is_int(image_store_open(b->store_dir, &b->store, &err), 0, "store: %s", err.msg);
        b->base.max = b->one.max = b->two.max = 64u << 20;
        mktar_add(&b->base, "etc", '5', 0755, "", NULL, 0);
        mktar_file(&b->base, "etc/small", "small");
        add_big(&b->base, "big", 1);
        mktar_add(&b->base, "link", '1', 0644, "big", NULL, 0);
        mktar_end(&b->base);
}

static void bench_release(struct bench *b)
{
        struct err err = ERR_INIT;

        image_store_close(b->store);
        strbuf_release(&b->base);
        strbuf_release(&b->one);
        strbuf_release(&b->two);
        free(b->store_dir);
        is_int(file_remove_tree(b->dir, &err), 0, "cleaned up");
}

/* Load base + top as an image of that name. */
static void load(struct bench *b, const char *name, const struct strbuf *top)
{
        struct strbuf layers[2] = {b->base, *top};
        const struct mkimage image = {.layers = layers,
                                      .layers_len = 2,
                                      .name = name,
                                      .damage_layer = -1,
                                      .leave_out = -1};
        AUTO_STRBUF struct strbuf tar = MKTAR_INIT;
        AUTO_FREE char *path = NULL;
        struct err err = ERR_INIT;

        mkimage_layout(&image, &tar);
        path = mktar_write(&tar, b->dir, "image.tar");
        is_int(driver_load(b->store, path, NULL, NULL, &err), 0, "%s: loads: %s", name, err.msg);
}

/* Unpack; ret: the digest of the disk's bytes, "" when it fails. */
static void unpack(struct bench *b, const char *name, char *ret, struct err *err)
{
        AUTO(image) struct image *image = NULL;
        AUTO_FREE char *text = NULL, *path = NULL;
        size_t len;
        int r = image_find(b->store, name, &image, err);

        *ret = '\0';
        if (r == 0)
                r = driver_unpack(b->store, image->digest, NULL, err);
        if (r < 0)
                return;
        path = xasprintf("%s/rootfs/%s.ext4", b->store_dir, image->digest + strlen("sha256:"));
        if (file_read(path, 1u << 30, &text, &len, err) == 0)
                digest_text(text, len, ret);
}

static char *base_blob(const struct bench *b)
{
        char digest[DIGEST_TEXT_MAX];

        digest_text(b->base.data, b->base.len, digest);
        return xasprintf("%s/blobs/sha256/%s", b->store_dir, digest + strlen("sha256:"));
}

/* Forget all disks and maps, so that the next is made of blobs alone. */
static void forget_disks(const struct bench *b)
{
        AUTO_FREE char *disks = file_join(b->store_dir, "rootfs");
        AUTO_FREE char *maps = file_join(b->store_dir, "maps");
        struct err err = ERR_INIT;

        ok(file_remove_tree(disks, &err) == 0 && file_remove_tree(maps, &err) == 0 &&
                   mkdir(disks, 0755) == 0 && mkdir(maps, 0755) == 0,
           "no disks");
}

static void test_taken(void)
{
        AUTO_FREE char *blob = NULL, *aside = NULL;
        char first[DIGEST_TEXT_MAX], reused[DIGEST_TEXT_MAX], alone[DIGEST_TEXT_MAX];
        struct err err = ERR_INIT;
        struct bench b;

        bench_init(&b);
        mktar_file(&b.one, "etc/one", "one");
        mktar_end(&b.one);
        mktar_file(&b.two, "etc/two", "two");
        mktar_file(&b.two, "etc/.wh.small", "");
        mktar_end(&b.two);
        load(&b, "t:1", &b.one);
        unpack(&b, "t:1", first, &err);
        ok(first[0], "one image unpacks: %s", err.msg);
        load(&b, "t:2", &b.two);
        blob = base_blob(&b);
        aside = xasprintf("%s.aside", blob);
        is_int(rename(blob, aside), 0, "the blob of its first layer is gone");
        unpack(&b, "t:2", reused, &err);
        ok(reused[0], "the layer comes from the other disk: %s", err.msg);
        forget_disks(&b);
        unpack(&b, "t:2", alone, &err);
        is_str(alone, "", "without the other disk there is no such layer");
        is_int(rename(aside, blob), 0, "the blob is back");
        unpack(&b, "t:2", alone, &err);
        is_str(alone, reused, "made of blobs alone the disk is the same");
        bench_release(&b);
}

/* Each byte of a map's beginning, and its length, may be wrong: the blobs are there. */
static void test_damaged_map(void)
{
        char good[DIGEST_TEXT_MAX], got[DIGEST_TEXT_MAX];
        AUTO_FREE char *text = NULL, *map = NULL;
        AUTO(image) struct image *image = NULL;
        struct err err = ERR_INIT;
        unsigned same = 0, tries = 0;
        struct bench b;
        size_t len;

        bench_init(&b);
        mktar_file(&b.one, "one", "one");
        mktar_end(&b.one);
        mktar_file(&b.two, "two", "two");
        mktar_end(&b.two);
        load(&b, "t:1", &b.one);
        load(&b, "t:2", &b.two);
        unpack(&b, "t:2", good, &err);
        unpack(&b, "t:1", got, &err);
        ok(good[0] && got[0], "two images unpack");
        is_int(image_find(b.store, "t:1", &image, &err), 0, "found");
        map = xasprintf("%s/maps/%s", b.store_dir, image->digest + strlen("sha256:"));
        is_int(file_read(map, 1u << 20, &text, &len, &err), 0, "its map: %s", err.msg);
        for (size_t at = 0; at < len; at += 7) {
                AUTO(image) struct image *second = NULL;
                AUTO_FREE char *copy = xmemdup(text, len), *disk = NULL, *other = NULL;

                copy[at] ^= 0x55;
                if (image_find(b.store, "t:2", &second, &err) < 0)
                        break;
                disk = xasprintf("%s/rootfs/%s.ext4", b.store_dir,
                                 second->digest + strlen("sha256:"));
                other = xasprintf("%s/maps/%s", b.store_dir, second->digest + strlen("sha256:"));
                if (file_write_atomic(map, copy, at % 2 ? at : len, 0444, &err) < 0 ||
                    unlink(disk) < 0 || unlink(other) < 0)
                        break;
                unpack(&b, "t:2", got, &err);
                tries++;
                same += streq(got, good);
        }
        ok(tries > 50 && same == tries, "%u of %u damaged maps do no harm: %s", same, tries,
           err.msg);
        bench_release(&b);
}

static int64_t blocks_of(const struct bench *b, const char *name)
{
        AUTO(image) struct image *image = NULL;
        struct err err = ERR_INIT;
        struct stat st;

        if (image_find(b->store, name, &image, &err) < 0 || !image->rootfs_path ||
            stat(image->rootfs_path, &st) < 0)
                return -1;
        return st.st_blocks;
}

/* What later layers overwrite is given back, and nobody takes it from there any more. */
static void test_dead(void)
{
        AUTO_FREE char *blob = NULL, *aside = NULL;
        char got[DIGEST_TEXT_MAX];
        struct err err = ERR_INIT;
        struct bench b;

        bench_init(&b);
        add_big(&b.one, "big", 2);
        mktar_file(&b.one, ".wh.link", "");
        mktar_end(&b.one);
        mktar_file(&b.two, "two", "two");
        mktar_end(&b.two);
        load(&b, "t:1", &b.one);
        unpack(&b, "t:1", got, &err);
        ok(got[0], "unpacks: %s", err.msg);
        ok(blocks_of(&b, "t:1") > 0 && blocks_of(&b, "t:1") < (int64_t)(BIG / 512 * 3 / 2),
           "the disk holds one of the two: %lld sectors", (long long)blocks_of(&b, "t:1"));
        load(&b, "t:2", &b.two);
        blob = base_blob(&b);
        aside = xasprintf("%s.aside", blob);
        is_int(rename(blob, aside), 0, "without the blob");
        unpack(&b, "t:2", got, &err);
        is_str(got, "", "its content is nowhere");
        is_int(rename(aside, blob), 0, "with it");
        unpack(&b, "t:2", got, &err);
        ok(got[0], "it unpacks: %s", err.msg);
        ok(image_remove(b.store, "t:1", NULL, 0, &err) == 0 &&
                   image_remove(b.store, "t:2", NULL, 0, &err) == 0,
           "both are removed");
        bench_release(&b);
}

static void test_swept(void)
{
        AUTO_FREE char *maps = NULL;
        AUTO_DIR DIR *dir = NULL;
        char got[DIGEST_TEXT_MAX];
        struct err err = ERR_INIT;
        struct dirent *entry;
        struct bench b;
        int count = 0;

        bench_init(&b);
        mktar_end(&b.one);
        load(&b, "t:1", &b.one);
        unpack(&b, "t:1", got, &err);
        is_int(image_remove(b.store, "t:1", NULL, 0, &err), 0, "removed");
        maps = file_join(b.store_dir, "maps");
        dir = opendir(maps);
        while (dir && (entry = readdir(dir)))
                count += entry->d_name[0] != '.';
        is_int(count, 0, "its map went too");
        bench_release(&b);
}

int main(int argc, char **argv)
{
        DRIVER_MAIN(argc, argv);
        test_taken();
        test_damaged_map();
        test_dead();
        test_swept();
        return tap_done();
}
