/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash points of volumes and of the image store: every operation of the daemon that changes their
 * folders is killed at each system call that does. What is there then must be the state before or
 * after: a volume is whole or not there, an image has all of its blobs or no name. The operation
 * asked for again must then succeed and leave nothing behind.
 */
#include <dirent.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "storage/publish.h"
#include "storage/volume.h"
#include "tests/crash.h"
#include "tests/tap.h"

#define SIZE     (INT64_C(16) << 20)
#define DUMP_MAX 65536

static char top[] = "/tmp/berth-crash.XXXXXX";
static char *volumes, *images;

/* ---------------------------------------------------------------------------------- volumes */

static int make_volume(struct err *err)
{
        bool created;

        return volume_ensure(volumes, "new", "shop", SIZE, NULL, NULL, &created, err);
}

static int make_shared(struct err *err)
{
        bool created;

        return volume_ensure_shared(volumes, "new", "shop", &created, err);
}

static int remove_volume(struct err *err)
{
        int r = volume_remove(volumes, "old", err);

        return r == -ENOENT ? 0 : r;
}

static int make_scratch(struct err *err)
{
        AUTO_FREE char *path = file_join(volumes, ".scratch.ext4"); /* not a volume's name */

        return scratch_create(path, SIZE, err);
}

/* ----------------------------------------------------------------------------------- images */

static const char config[] =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"x\"]},"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";

/* A manifest of that config, told apart by an annotation. */
static char *manifest_of(const char *what)
{
        char digest[DIGEST_TEXT_MAX];

        digest_text(config, strlen(config), digest);
        return xasprintf("{\"schemaVersion\":2,\"config\":{\"mediaType\":"
                         "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
                         "\"size\":%zu},\"layers\":[],\"annotations\":{\"what\":\"%s\"}}",
                         digest, strlen(config), what);
}

static int put_blob(int staging, const char *content, json_t *blobs, char *ret_digest,
                    struct err *err)
{
        AUTO_CLOSE int fd = -1;
        const char *hex;

        digest_text(content, strlen(content), ret_digest);
        hex = strchr(ret_digest, ':') + 1;
        (void)json_array_append_new(blobs, json_string(ret_digest)); /* OOM only */
        fd = openat(staging, hex, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, content, strlen(content)) != (ssize_t)strlen(content))
                return err_errno(err, errno, "%s", hex);
        return 0;
}

/* What job.c does with what a worker has read. */
static int load(struct image_store *store, const char *ref, const char *what, struct err *err)
{
        AUTO_FREE char *manifest = manifest_of(what), *path = NULL;
        AUTO_JSON json_t *blobs = json_array(), *made = NULL, *result = NULL;
        char digest[DIGEST_TEXT_MAX], config_digest[DIGEST_TEXT_MAX];
        AUTO_CLOSE int lock = -1;
        struct err ignored;
        int r = store_staging_new(store, &path, &lock, err);

        if (r == 0)
                r = put_blob(lock, config, blobs, config_digest, err);
        if (r == 0)
                r = put_blob(lock, manifest, blobs, digest, err);
        made = json_pack("{s:O, s:[{s:s, s:{s:s, s:s, s:I}}]}", "blobs", blobs, "images", "ref",
                         ref, "descriptor", "mediaType",
                         "application/vnd.oci.image.manifest.v1+json", "digest", digest, "size",
                         (json_int_t)strlen(manifest));
        if (r == 0)
                r = publish_images(store, lock, made, &result, err);
        if (path)
                (void)file_remove_tree(path, &ignored); /* as job.c does; the next opening would */
        return r;
}

static int with_store(int (*run)(struct image_store *store, struct err *err), struct err *err)
{
        AUTO(image_store) struct image_store *store = NULL;
        int r = image_store_open(images, &store, err);

        return r == 0 ? run(store, err) : r;
}

static int load_new_in(struct image_store *store, struct err *err)
{
        return load(store, "docker.io/library/new:latest", "new", err);
}

static int load_again_in(struct image_store *store, struct err *err)
{
        return load(store, "docker.io/library/old:latest", "newer", err);
}

static int tag_in(struct image_store *store, struct err *err)
{
        return image_tag(store, "old", "other", err);
}

static int remove_in(struct image_store *store, struct err *err)
{
        int r = image_remove(store, "old", NULL, 0, err);

        return r == -ENOENT ? 0 : r;
}

static int prune_in(struct image_store *store, struct err *err)
{
        int64_t bytes;

        return image_prune(store, true, NULL, 0, &bytes, NULL, err);
}

static int load_new(struct err *err)
{
        return with_store(load_new_in, err);
}

static int load_again(struct err *err)
{
        return with_store(load_again_in, err);
}

static int tag(struct err *err)
{
        return with_store(tag_in, err);
}

static int remove_image(struct err *err)
{
        return with_store(remove_in, err);
}

static int prune(struct err *err)
{
        return with_store(prune_in, err);
}

static const struct {
        const char *name;
        int (*run)(struct err *err);
} operations[] = {
        {"make a volume", make_volume},
        {"make a shared volume", make_shared},
        {"remove a volume", remove_volume},
        {"make a scratch disk", make_scratch},
        {"load an image", load_new},
        {"load another one of a name", load_again},
        {"tag an image", tag},
        {"remove an image", remove_image},
        {"prune images", prune},
};

/* ------------------------------------------------------------------------------- what is there */

static void dump_volumes(struct strbuf *sb)
{
        struct volume_info **list = NULL;
        size_t n = 0, broken = 0;

        if (volume_list(volumes, &list, &n, &broken, NULL) < 0 || broken)
                strbuf_addf(sb, "%zu broken volumes\n", broken);
        for (size_t i = 0; i < n; i++) {
                strbuf_addf(sb, "volume %s of %s%s%s\n", list[i]->name, list[i]->stack,
                            list[i]->shared ? ", shared" : "",
                            access(list[i]->path, F_OK) == 0 ? "" : ", without content");
                volume_info_free(list[i]);
        }
        free(list);
}

static void dump_images(struct strbuf *sb)
{
        AUTO(image_store) struct image_store *store = NULL;
        struct image **list = NULL;
        struct err err = ERR_INIT;
        size_t n = 0;

        if (image_store_open(images, &store, &err) < 0 || image_list(store, &list, &n, &err) < 0)
                strbuf_addf(sb, "images: %s\n", err.msg);
        for (size_t i = 0; i < n; i++) {
                struct image *found = NULL;

                /* its manifest and config are read: they are whole */
                if (image_find(store, list[i]->ref, &found, &err) < 0)
                        strbuf_addf(sb, "broken image %s: %s\n", list[i]->ref, err.msg);
                else
                        strbuf_addf(sb, "image %s %s\n", found->ref, found->digest);
                image_free(found);
                image_free(list[i]);
        }
        free(list);
}

static char *dump(void)
{
        struct strbuf sb = STRBUF_INIT(DUMP_MAX);

        dump_volumes(&sb);
        dump_images(&sb);
        return strbuf_take(&sb);
}

/* Files of operations that did not end. */
static unsigned leftovers(const char *path)
{
        AUTO_DIR DIR *dir = opendir(path);
        const struct dirent *de;
        unsigned n = 0;

        while (dir && (de = readdir(dir)))
                n += de->d_name[0] == '.' && strlen(de->d_name) > 2 &&
                     !streq(de->d_name, ".scratch.ext4");
        return n;
}

static void fresh(void)
{
        struct err err = ERR_INIT;
        AUTO(image_store) struct image_store *store = NULL;
        bool created;

        if (file_remove_tree(volumes, &err) < 0 || file_remove_tree(images, &err) < 0 ||
            file_mkdir_p(volumes, 0700, &err) < 0 ||
            volume_ensure(volumes, "old", "shop", SIZE, NULL, NULL, &created, &err) < 0 ||
            image_store_open(images, &store, &err) < 0 ||
            load(store, "docker.io/library/old:latest", "old", &err) < 0)
                printf("# %s\n", err.msg);
}

static int run_operation(void *ctx)
{
        struct err err = ERR_INIT;
        const size_t *op = ctx;

        return operations[*op].run(&err) < 0 ? 1 : 0;
}

static unsigned test_operation(size_t op)
{
        AUTO_FREE char *before = NULL, *after = NULL;
        unsigned point, wrong = 0, done = 0;
        struct err err = ERR_INIT;

        fresh();
        before = dump();
        ok(crash_run(run_operation, &op, CRASH_NEVER) == 0, "%s: works when left alone",
           operations[op].name);
        after = dump();
        for (point = 1; point < CRASH_MAX; point++) {
                AUTO_FREE char *state = NULL, *again = NULL;

                fresh();
                if (crash_run(run_operation, &op, point) >= 0)
                        break;
                state = dump();
                done += streq(state, after);
                err = (struct err)ERR_INIT;
                (void)operations[op].run(&err); /* the state tells */
                volume_sweep(volumes);
                again = dump();
                if ((streq(state, before) || streq(state, after)) && streq(again, after) &&
                    leftovers(volumes) == 0)
                        continue;
                wrong++;
                printf("# killed at change %u: %s# once more (%s): %s# leftovers: %u\n", point,
                       state, err.msg, again, leftovers(volumes));
        }
        point--;
        ok(wrong == 0 && point > 0,
           "%s: killed at %u changes, always the state before or after (%u times)",
           operations[op].name, point, done);
        return point;
}

int main(void)
{
        struct err err = ERR_INIT;
        unsigned points = 0;

        if (!mkdtemp(top))
                return 1;
        volumes = file_join(top, "volumes");
        images = file_join(top, "images");
        for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
                points += test_operation(i);
        tap_note("crash points: %u of %zu operations on volumes and images", points,
                 ARRAY_SIZE(operations));
        (void)file_remove_tree(top, &err);
        free(volumes);
        free(images);
        return tap_done();
}
