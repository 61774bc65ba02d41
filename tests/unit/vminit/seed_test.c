/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"
#include "vminit/seed.h"

static char dir[] = "/tmp/berth-seed-XXXXXX";

static const char *at(const char *name)
{
        static char paths[4][256];
        static int i;
        i = (i + 1) % 4;
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, name);
        return paths[i];
}

static void put(const char *name, const char *text, mode_t mode)
{
        int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write %s", name);
        (void)fchmod(fd, mode);
        close(fd);
}

static int seed(struct fail *f)
{
        int from = open(at("image"), O_PATH | O_DIRECTORY | O_CLOEXEC);
        int to = open(at("volume"), O_PATH | O_DIRECTORY | O_CLOEXEC);
        int rc = seed_folder(from, to, f);
        close(from);
        close(to);
        return rc;
}

static bool has(const char *name, const char *text)
{
        char buf[64] = "";
        int fd = open(at(name), O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
        if (fd >= 0)
                close(fd);
        return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static void test_copy(void)
{
        struct stat st;
        struct fail f = {0};
        char link[64] = "";
        ok(seed(&f) == 0, "an empty volume is filled %s", f.text);
        ok(has("volume/a", "first"), "with files");
        ok(stat(at("volume/a"), &st) == 0 && (st.st_mode & 07777) == 0640, "and their modes");
        ok(has("volume/sub/deep/b", "second"), "in folders");
        ok(stat(at("volume/sub"), &st) == 0 && (st.st_mode & 07777) == 01755, "with theirs");
        ok(readlink(at("volume/link"), link, sizeof(link) - 1) == 8 && !strcmp(link, "/nowhere"),
           "links stay links");
        ok(lstat(at("volume/fifo"), &st) == 0 && S_ISFIFO(st.st_mode), "pipes stay pipes");
        ok(stat(at("volume"), &st) == 0 && (st.st_mode & 07777) == 0711,
           "the volume is like the folder");
        ok(stat(at("volume/lost+found/x"), &st) == 0 && stat(at("volume/lost+found/y"), &st) != 0,
           "lost+found is nobody's content");
}

static void test_again(void)
{
        struct fail f = {0};
        put("image/a", "newer", 0600);
        put("image/c", "third", 0600);
        ok(seed(&f) == 0, "a volume that is in use is left alone");
        ok(has("volume/a", "first") && access(at("volume/c"), F_OK) != 0,
           "with all it has and has not");
}

static void test_deep(void)
{
        struct fail f = {0};
        char path[256] = "image";
        for (int i = 0; i < 70; i++) {
                size_t len = strlen(path);
                (void)snprintf(path + len, sizeof(path) - len, "/d");
                (void)mkdir(at(path), 0700);
        }
        (void)mkdir(at("deep"), 0700);
        int from = open(at("image"), O_PATH | O_DIRECTORY | O_CLOEXEC);
        int to = open(at("deep"), O_PATH | O_DIRECTORY | O_CLOEXEC);
        ok(seed_folder(from, to, &f) < 0, "70 folders deep is too deep");
        has_str(f.text, "nest deeper than 64", "and says so");
        close(from);
        close(to);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

int main(void)
{
        if (!mkdtemp(dir))
                return 1;
        (void)umask(022);
        (void)mkdir(at("image"), 0755);
        (void)mkdir(at("image/sub"), 0755);
        (void)mkdir(at("image/sub/deep"), 0755);
        (void)mkdir(at("image/lost+found"), 0755);
        put("image/lost+found/y", "no", 0600);
        put("image/a", "first", 0640);
        put("image/sub/deep/b", "second", 0600);
        (void)!symlink("/nowhere", at("image/link"));
        (void)mkfifo(at("image/fifo"), 0600);
        (void)chmod(at("image/sub"), 01755);
        (void)chmod(at("image"), 0711);
        (void)mkdir(at("volume"), 0755);
        (void)mkdir(at("volume/lost+found"), 0755);
        put("volume/lost+found/x", "yes", 0600);
        test_copy();
        test_again();
        test_deep();
        (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        return tap_done();
}
