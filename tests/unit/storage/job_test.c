/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs in real worker processes, on archives that are wrong in one way each. With arguments it is
 * the tool of tests/system/storage.t:
 *   job_test load STORE FILE [REF] | import STORE FILE REF | unpack STORE REF | remove STORE REF
 *   job_test pull STORE REF
 *   job_test scratch STORE PATH | volume STORE REF PATH
 */
#include <dirent.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "storage/volume.h"
#include "tests/tap.h"
#include "tests/unit/storage/driver.h"
#include "tests/unit/storage/mktar.h"

#ifdef __SANITIZE_ADDRESS__ /* its runtime needs calls that the filter refuses */
#        define SANITIZED 1
#else
#        define SANITIZED 0
#endif

static int tool_unpack(struct image_store *store, const char *ref, json_t **ret, struct err *err)
{
        AUTO(image) struct image *image = NULL;
        int r = image_find(store, ref, &image, err);

        return r < 0 ? r : driver_unpack(store, image->digest, ret, err);
}

/* A volume beside the store, seeded with a folder of an image. */
static int tool_volume(struct image_store *store, const char *dir, const char *ref,
                       const char *path, struct err *err)
{
        AUTO_FREE char *volumes = file_join(dir, "volumes");
        AUTO(image) struct image *image = NULL;
        bool created;
        int r = image_find(store, ref, &image, err);

        return r < 0 ? r
                     : volume_ensure(volumes, "v", NULL, DISK_SIZE_DEFAULT, image->rootfs_path,
                                     path, &created, err);
}

static int tool(int argc, char **argv)
{
        AUTO(image_store) struct image_store *store = NULL;
        AUTO_JSON json_t *result = NULL;
        AUTO_FREE char *text = NULL;
        struct err err = ERR_INIT;
        const char *verb = argv[1], *extra = argc > 4 ? argv[4] : NULL;
        int r = image_store_open(argv[2], &store, &err);

        if (r == 0 && streq(verb, "load"))
                r = driver_load(store, argv[3], extra, &result, &err);
        else if (r == 0 && streq(verb, "import"))
                r = driver_import(store, argv[3], extra, NULL, &result, &err);
        else if (r == 0 && streq(verb, "unpack"))
                r = tool_unpack(store, argv[3], &result, &err);
        else if (r == 0 && streq(verb, "pull"))
                r = driver_pull(store, argv[3], &result, &err);
        else if (r == 0 && streq(verb, "remove"))
                r = image_remove(store, argv[3], NULL, 0, &err);
        else if (r == 0 && streq(verb, "scratch"))
                r = scratch_create(argv[3], DISK_SIZE_DEFAULT, &err);
        else if (r == 0 && streq(verb, "volume"))
                r = tool_volume(store, argv[2], argv[3], extra, &err);
        if (r < 0) {
                (void)fprintf(stderr, "%s\n", err.msg);
                return 1;
        }
        text = result ? json_text(result) : NULL;
        (void)printf("%s\n", text ? text : "");
        return 0;
}

static int count_files(const char *dir, const char *sub)
{
        AUTO_FREE char *path = file_join(dir, sub);
        AUTO_DIR DIR *d = opendir(path);
        struct dirent *entry;
        int count = 0;

        while (d && (entry = readdir(d)))
                count += entry->d_name[0] != '.';
        return count;
}

/* The folder, the store in it, and the archive under test. */
struct bench {
        char dir[64];
        char *store_dir;
        struct image_store *store;
        struct strbuf layers[3];
        struct mkimage image;
        struct strbuf tar;
};

static void bench_init(struct bench *b)
{
        struct err err = ERR_INIT;

        memset(b, 0, sizeof(*b));
        (void)snprintf(b->dir, sizeof(b->dir), "/tmp/job_test.XXXXXX");
        if (!mkdtemp(b->dir))
                bug("mkdtemp");
        b->store_dir = file_join(b->dir, "store");
        is_int(image_store_open(b->store_dir, &b->store, &err), 0, "store: %s", err.msg);
        for (size_t i = 0; i < ARRAY_SIZE(b->layers); i++)
                b->layers[i].max = 64u << 20;
        b->tar.max = 64u << 20;
        b->image = (struct mkimage){.layers = b->layers,
                                    .layers_len = 1,
                                    .name = "t:1",
                                    .damage_layer = -1,
                                    .leave_out = -1};
}

static void bench_release(struct bench *b)
{
        struct err err = ERR_INIT;

        is_int(count_files(b->store_dir, "tmp"), 0, "tmp is empty");
        image_store_close(b->store);
        for (size_t i = 0; i < ARRAY_SIZE(b->layers); i++)
                strbuf_release(&b->layers[i]);
        strbuf_release(&b->tar);
        free(b->store_dir);
        is_int(file_remove_tree(b->dir, &err), 0, "cleaned up");
}

/* Load what the image was made to be. */
static int bench_load(struct bench *b, const char *ref, struct err *err)
{
        AUTO_FREE char *path = NULL;

        err->code = 0;
        err->msg[0] = '\0';
        path = mktar_write(&b->tar, b->dir, "image.tar");
        return driver_load(b->store, path, ref, NULL, err);
}

static int bench_unpack(struct bench *b, struct err *err)
{
        AUTO(image) struct image *image = NULL;
        int r = image_find(b->store, "t:1", &image, err);

        return r < 0 ? r : driver_unpack(b->store, image->digest, NULL, err);
}

static void refuse_load(struct bench *b, const char *part, const char *what)
{
        struct err err = ERR_INIT;

        ok(bench_load(b, NULL, &err) < 0, "%s: refused", what);
        has_str(err.msg, part, "%s: says why", what);
        is_int(count_files(b->store_dir, "blobs/sha256"), 0, "%s: no blob is left", what);
}

static void test_good(void)
{
        struct err err = ERR_INIT;
        struct bench b;
        AUTO(image) struct image *image = NULL;
        struct image **list = NULL;
        const char *digests[1];
        size_t len = 0;

        bench_init(&b);
        mktar_file(&b.layers[0], "etc/motd", "hello\n");
        mktar_end(&b.layers[0]);
        mkimage_layout(&b.image, &b.tar);
        is_int(bench_load(&b, NULL, &err), 0, "a good image: %s", err.msg);
        is_int(bench_unpack(&b, &err), 0, "unpacks: %s", err.msg);
        is_int(image_find(b.store, "t:1", &image, &err), 0, "is found");
        is_str(image->ref, "docker.io/library/t:1", "by its whole name");
        ok(image->rootfs_path != NULL, "with its disk");
        is_int(image->cmd_len, 1, "and its command");
        is_int(bench_unpack(&b, &err), 0, "unpacking again is done at once");
        is_int(image_list(b.store, &list, &len, &err), 0, "list");
        is_int(len, 1, "of one");
        if (len)
                image_free(list[0]);
        free(list);
        digests[0] = image->digest;
        is_int(image_remove(b.store, "t:1", digests, 1, &err), -EBUSY, "in use: stays");
        is_int(image_remove(b.store, image->digest, NULL, 0, &err), 0, "removed by digest: %s",
               err.msg);
        is_int(count_files(b.store_dir, "blobs/sha256"), 0, "no blob is left");
        is_int(count_files(b.store_dir, "rootfs"), 0, "no disk is left");
        is_int(bench_unpack(&b, &err), -ENOENT, "it is gone");
        has_str(err.msg, "image load", "and the text tells how to get it");
        bench_release(&b);
}

static void test_damage(void)
{
        struct bench b;

        bench_init(&b);
        mktar_file(&b.layers[0], "a", "a");
        mktar_end(&b.layers[0]);
        b.image.damage_layer = 0;
        mkimage_layout(&b.image, &b.tar);
        refuse_load(&b, "damaged or forged", "a changed byte");
        strbuf_reset(&b.tar);
        b.image.damage_layer = -1;
        b.image.leave_out = 0;
        mkimage_layout(&b.image, &b.tar);
        refuse_load(&b, "is missing", "a missing layer");
        strbuf_reset(&b.tar);
        b.image.leave_out = -1;
        b.image.size_off = 1;
        mkimage_layout(&b.image, &b.tar);
        refuse_load(&b, "its descriptor says", "a wrong size");
        strbuf_reset(&b.tar);
        b.image.size_off = 0;
        b.image.name = NULL;
        mkimage_layout(&b.image, &b.tar);
        refuse_load(&b, "does not name its image", "no name");
        strbuf_reset(&b.tar);
        b.image.name = "UPPER:1";
        mkimage_layout(&b.image, &b.tar);
        refuse_load(&b, "lower case", "a bad name");
        bench_release(&b);
}

/* Cut the archive everywhere where a block ends, and inside blocks: never half an image. */
static void test_truncated(void)
{
        struct err err = ERR_INIT;
        struct strbuf whole;
        struct bench b;
        int accepted = 0, silent = 0;

        bench_init(&b);
        mktar_file(&b.layers[0], "a", "a");
        mktar_end(&b.layers[0]);
        mkimage_layout(&b.image, &b.tar);
        whole = b.tar;
        for (size_t cut = 1; cut < whole.len - 1024; cut += 299) {
                b.tar = whole;
                b.tar.len = cut;
                accepted += bench_load(&b, NULL, &err) == 0;
                silent += err.msg[0] == '\0';
        }
        b.tar = whole;
        is_int(accepted, 0, "no truncated archive is accepted");
        is_int(silent, 0, "each has a text");
        is_int(count_files(b.store_dir, "blobs/sha256"), 0, "and no blob is left");
        bench_release(&b);
}

static void test_not_archives(void)
{
        static const struct {
                const char *bytes;
                size_t len;
                const char *part;
        } cases[] = {
                {"", 0, "neither an OCI layout"},
                {"hello world, this is no tar", 27, "broken archive"},
                {"BZh91AY&SY", 10, "bzip2"},
                {"\xfd"
                 "7zXZ\0\0",
                 7, "xz"},
                {"\x1f\x8b\x08\0\0\0", 6, "broken archive"},
                {"\x28\xb5\x2f\xfd\0\0", 6, "broken archive"},
        };
        struct bench b;

        bench_init(&b);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char name[32];

                strbuf_reset(&b.tar);
                strbuf_add(&b.tar, cases[i].bytes, cases[i].len);
                (void)snprintf(name, sizeof(name), "bytes %zu", i);
                refuse_load(&b, cases[i].part, name);
        }
        strbuf_reset(&b.tar);
        mktar_file(&b.tar, "../index.json", "{}");
        mktar_end(&b.tar);
        refuse_load(&b, "points out of the archive", "a member ../");
        strbuf_reset(&b.tar);
        mktar_file(&b.tar, "/index.json", "{}");
        mktar_end(&b.tar);
        refuse_load(&b, "points out of the archive", "an absolute member");
        strbuf_reset(&b.tar);
        mktar_add(&b.tar, "index.json", '2', 0777, "/etc/passwd", "", 0);
        mktar_file(&b.tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        mktar_end(&b.tar);
        refuse_load(&b, "neither an OCI layout", "a link to the host as index");
        strbuf_reset(&b.tar);
        mktar_file(&b.tar, "index.json", "{\"manifests\":[]}");
        mktar_end(&b.tar);
        refuse_load(&b, "oci-layout is missing", "no oci-layout");
        strbuf_reset(&b.tar);
        mktar_file(&b.tar, "manifest.json", "[]");
        mktar_end(&b.tar);
        refuse_load(&b, "manifest.json", "an empty docker manifest");
        strbuf_reset(&b.tar);
        mktar_file(&b.tar, "manifest.json",
                   "[{\"Config\":\"../../etc/passwd\",\"RepoTags\":[\"t:1\"],\"Layers\":[]}]");
        mktar_end(&b.tar);
        refuse_load(&b, "is missing in the archive", "a docker manifest that points out");
        bench_release(&b);
}

/* Layers that must not unpack: the image loads, its disk is never made. */
static void test_hostile_layers(void)
{
        static const struct {
                const char *name;
                char type;
                const char *link;
                const char *part; /* NULL: fine */
        } cases[] = {
                {"../evil", '0', "", "'..' in the path"},
                {"a/../../evil", '0', "", "'..' in the path"},
                {"evil", '1', "../../etc/passwd", "'..' in the path"},
                {"evil", '1', "/etc/passwd", "which is not in the image"},
                {"evil", '1', "etc", "hard link to the directory"},
                {".", '2', "/tmp", "root must be a directory"},
                {"etc/.wh.", '0', "", "whiteout without a name"},
                {"etc/motd/below", '0', "", "not a directory"},
                {"loop/x", '0', "", "symbolic links on the way"},
                {"out/x", '0', "", NULL},       /* out -> ../../../tmp: stays inside */
                {"/absolute/x", '0', "", NULL}, /* relative to the root */
                {"ok", '1', "/etc/motd", NULL},
        };
        struct bench b;

        bench_init(&b);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct err err = ERR_INIT;
                int r;

                strbuf_reset(&b.tar);
                strbuf_reset(&b.layers[0]);
                mktar_add(&b.layers[0], "etc", '5', 0755, "", "", 0);
                mktar_file(&b.layers[0], "etc/motd", "x");
                mktar_add(&b.layers[0], "loop", '2', 0777, "loop", "", 0);
                mktar_add(&b.layers[0], "out", '2', 0777, "../../../tmp/job_test_evil", "", 0);
                mktar_add(&b.layers[0], cases[i].name, cases[i].type, 0644, cases[i].link, "evil",
                          cases[i].type == '0' ? 4 : 0);
                mktar_end(&b.layers[0]);
                mkimage_layout(&b.image, &b.tar);
                is_int(bench_load(&b, NULL, &err), 0, "%s: loads: %s", cases[i].name, err.msg);
                r = bench_unpack(&b, &err);
                if (!cases[i].part) {
                        is_int(r, 0, "%s: unpacks: %s", cases[i].name, err.msg);
                        continue;
                }
                ok(r < 0, "%s -> %s: refused", cases[i].name, cases[i].link);
                has_str(err.msg, cases[i].part, "%s: says why", cases[i].name);
                has_str(err.msg, "layer sha256:", "%s: names the layer", cases[i].name);
        }
        ok(access("/tmp/job_test_evil", F_OK) < 0, "nothing outside");
        is_int(count_files(b.store_dir, "rootfs"), 3, "disks of the good ones only");
        bench_release(&b);
}

static void test_diff_id(void)
{
        struct err err = ERR_INIT;
        struct bench b;

        bench_init(&b);
        mktar_file(&b.layers[0], "a", "a");
        mktar_end(&b.layers[0]);
        b.image.diff_id = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
        mkimage_layout(&b.image, &b.tar);
        is_int(bench_load(&b, NULL, &err), 0, "a wrong diff_id loads");
        ok(bench_unpack(&b, &err) < 0, "but does not unpack");
        has_str(err.msg, "but the config says", "and says why");
        is_int(count_files(b.store_dir, "rootfs"), 0, "no disk is left");
        bench_release(&b);
}

/* A blob that rotted on the disk is noticed, and loading the archive again mends it. */
static void test_rot(void)
{
        AUTO_FREE char *blob = NULL;
        struct err err = ERR_INIT;
        char digest[DIGEST_TEXT_MAX];
        struct bench b;

        bench_init(&b);
        mktar_file(&b.layers[0], "a", "a");
        mktar_end(&b.layers[0]);
        mkimage_layout(&b.image, &b.tar);
        is_int(bench_load(&b, NULL, &err), 0, "loads");
        digest_text(strbuf_str(&b.layers[0]), b.layers[0].len, digest);
        blob = xasprintf("%s/blobs/sha256/%s", b.store_dir, digest + strlen("sha256:"));
        b.layers[0].data[600] ^= 1;
        is_int(file_write_atomic(blob, b.layers[0].data, b.layers[0].len, 0444, &err), 0,
               "one byte changes");
        ok(bench_unpack(&b, &err) < 0, "does not unpack");
        has_str(err.msg, "load the image again", "the text tells the way out");
        is_int(count_files(b.store_dir, "rootfs"), 0, "no disk is left");
        is_int(bench_load(&b, NULL, &err), 0, "loads again");
        is_int(bench_unpack(&b, &err), 0, "and unpacks: %s", err.msg);
        bench_release(&b);
}

static void test_import(void)
{
        struct err err = ERR_INIT;
        AUTO_JSON json_t *changes =
                json_pack("{s:[s,s], s:[s]}", "Cmd", "/bin/x", "y", "Env", "A=b");
        AUTO_JSON json_t *bad = json_pack("{s:s}", "Cnd", "x");
        AUTO_JSON json_t *first = NULL, *second = NULL;
        AUTO(image) struct image *image = NULL;
        AUTO_FREE char *path = NULL, *a = NULL, *z = NULL;
        struct bench b;

        bench_init(&b);
        mktar_file(&b.tar, "./bin/x", "#!");
        mktar_end(&b.tar);
        path = mktar_write(&b.tar, b.dir, "root.tar");
        is_int(driver_import(b.store, path, "made", changes, &first, &err), 0, "import: %s",
               err.msg);
        is_int(driver_import(b.store, path, "made", changes, &second, &err), 0, "again");
        a = json_text(first);
        z = json_text(second);
        is_str(a, z, "gives the same image");
        is_int(image_find(b.store, "made", &image, &err), 0, "found");
        is_int(image ? image->cmd_len : 0, 2, "with its command");
        is_int(image ? image->env_len : 0, 1, "and environment");
        is_int(driver_unpack(b.store, image->digest, NULL, &err), 0, "unpacks: %s", err.msg);
        is_int(driver_import(b.store, path, "bad", bad, NULL, &err), -EINVAL, "unknown change");
        has_str(err.msg, "'Cnd'", "is named");
        is_int(driver_import(b.store, path, "BAD NAME", NULL, NULL, &err), -EINVAL, "a bad name");
        bench_release(&b);
}

static void test_worker_failures(void)
{
        struct err err = ERR_INIT;
        struct driver d = {.loop = ev_default_loop(0), .err = ERR_INIT};
        const struct storage_job_events events = {
                .on_progress = driver_on_progress, .on_done = driver_on_done, .ctx = &d};
        struct storage_job_request request = {.kind = JOB_LOAD, .archive_fd = -1};
        struct storage_job *job;
        int pipefd[2];
        struct bench b;

        bench_init(&b);
        is_int(pipe2(pipefd, O_CLOEXEC), 0, "a pipe as the archive");
        request.archive_fd = pipefd[0];
        ok(storage_job_start(d.loop, b.store, "/nonexistent/worker", &request, &events, &job,
                             &err) < 0,
           "no worker: %s", err.msg);
        is_int(count_files(b.store_dir, "tmp"), 0, "and nothing is left");
        is_int(storage_job_start(d.loop, b.store, "/bin/false", &request, &events, &job, &err), 0,
               "a worker that only fails");
        while (!d.done)
                ev_run(d.loop, 0);
        has_str(d.err.msg, "ended early", "is reported");
        is_int(storage_job_start(d.loop, b.store, "/proc/self/exe", &request, &events, &job, &err),
               0, "one that waits for the pipe");
        d.done = false;
        storage_job_cancel(job);
        ev_run(d.loop, 0); /* ends when the killed worker is reaped and freed */
        ok(!d.done, "no callback after a cancel");
        is_int(count_files(b.store_dir, "tmp"), 0, "its folder is gone");
        (void)close(pipefd[0]);
        (void)close(pipefd[1]);
        bench_release(&b);
}

static void on_first_progress(void *ctx, const char *stage, int64_t done, int64_t total)
{
        driver_on_progress(ctx, stage, done, total);
        ev_break(((struct driver *)ctx)->loop, EVBREAK_ALL);
}

static char *worker_status(void)
{
        AUTO_FREE char *children = NULL, *path = NULL;
        struct err err = ERR_INIT;
        char *status = NULL;

        if (file_read("/proc/thread-self/children", 4096, &children, NULL, &err) < 0)
                return NULL;
        children[strcspn(children, " ")] = '\0';
        path = xasprintf("/proc/%s/status", children);
        return file_read(path, 65536, &status, NULL, &err) < 0 ? NULL : status;
}

/* While it waits for more of an archive, look at the worker from outside. */
static void test_sandbox(void)
{
        AUTO_STRBUF struct strbuf tar = MKTAR_INIT;
        AUTO_FREE char *status = NULL;
        struct err err = ERR_INIT;
        struct driver d = {.loop = ev_default_loop(0), .err = ERR_INIT};
        const struct storage_job_events events = {
                .on_progress = on_first_progress, .on_done = driver_on_done, .ctx = &d};
        struct storage_job_request request = {.kind = JOB_LOAD};
        struct storage_job *job;
        int pipefd[2];
        struct bench b;

        bench_init(&b);
        is_int(pipe2(pipefd, O_CLOEXEC), 0, "a pipe");
        request.archive_fd = pipefd[0];
        mktar_file(&tar, "x", "x");
        ok(write(pipefd[1], tar.data, tar.len) == (ssize_t)tar.len, "the beginning of an archive");
        is_int(storage_job_start(d.loop, b.store, "/proc/self/exe", &request, &events, &job, &err),
               0, "a worker: %s", err.msg);
        ev_run(d.loop, 0);
        status = worker_status();
        ok(!d.done && status, "is at work");
        has_str(status, "NoNewPrivs:\t1", "it cannot gain privileges");
        if (!SANITIZED)
                has_str(status, "Seccomp:\t2", "its system calls are filtered");
        if (geteuid() == 0) {
                has_str(status, "Uid:\t65534\t65534\t65534\t65534", "it is nobody");
                has_str(status, "Groups:\t \n", "in no group");
                has_str(status, "CapEff:\t0000000000000000", "without capabilities");
        }
        storage_job_cancel(job);
        ev_run(d.loop, 0);
        (void)close(pipefd[0]);
        (void)close(pipefd[1]);
        bench_release(&b);
}

/* What a killed daemon left goes; what another one is making stays. */
static void test_sweep(void)
{
        AUTO(image_store) struct image_store *again = NULL;
        AUTO_FREE char *stale = NULL, *file = NULL, *busy = NULL;
        AUTO_CLOSE int fd = -1;
        struct err err = ERR_INIT;
        struct bench b;

        bench_init(&b);
        stale = xasprintf("%s/tmp/stale", b.store_dir);
        file = xasprintf("%s/rootfs.ext4", stale);
        busy = xasprintf("%s/tmp/busy", b.store_dir);
        is_int(file_mkdir_p(stale, 0700, &err), 0, "a folder without a lock");
        is_int(file_write_atomic(file, "x", 1, 0600, &err), 0, "with a file");
        is_int(file_mkdir_p(busy, 0700, &err), 0, "one with");
        fd = open(busy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        is_int(flock(fd, LOCK_EX), 0, "a lock");
        is_int(image_store_open(b.store_dir, &again, &err), 0, "opening the store");
        ok(access(stale, F_OK) < 0, "removes the first");
        ok(access(busy, F_OK) == 0, "leaves the second");
        (void)close(steal_fd(&fd)); /* a folder: the lock goes */
        mkimage_layout(&b.image, &b.tar);
        is_int(bench_load(&b, NULL, &err), 0, "a job: %s", err.msg);
        ok(access(busy, F_OK) < 0, "once it is free, a job removes it");
        bench_release(&b);
}

int main(int argc, char **argv)
{
        DRIVER_MAIN(argc, argv);
        if (argc > 3)
                return tool(argc, argv);
        test_good();
        test_damage();
        test_truncated();
        test_not_archives();
        test_hostile_layers();
        test_diff_id();
        test_rot();
        test_import();
        test_worker_failures();
        test_sandbox();
        test_sweep();
        return tap_done();
}
