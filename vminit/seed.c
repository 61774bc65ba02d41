/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/seed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 64 /* of folders; an image that nests deeper is refused rather than followed */

/* readdir() allocates; this does not. */
struct entries {
        int fd;
        long at, end;
        _Alignas(8) char buf[2048];
};

/* As the kernel writes it for getdents64. */
struct entry {
        uint64_t ino;
        int64_t off;
        uint16_t reclen;
        uint8_t type;
        char name[];
};

/* The next name apart from . and .. and lost+found; NULL: no more, or an error. */
static const char *next_entry(struct entries *e)
{
        for (;;) {
                if (e->at >= e->end) {
                        e->at = 0;
                        e->end = syscall(SYS_getdents64, e->fd, e->buf, sizeof(e->buf));
                        if (e->end <= 0)
                                return NULL;
                }
                const struct entry *entry = (const struct entry *)(const void *)(e->buf + e->at);
                e->at += entry->reclen;
                if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0 &&
                    strcmp(entry->name, "lost+found") != 0)
                        return entry->name;
        }
}

static bool is_empty(int fd)
{
        struct entries e = {.fd = fd};
        return next_entry(&e) == NULL;
}

static int copy_attributes(int dir, const char *name, const struct stat *st, struct fail *f)
{
        const struct timespec times[2] = {st->st_atim, st->st_mtim};
        /* A share may not be able to store owners: its host decides then, as with bind mounts. */
        if (fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) && errno != EPERM)
                return fail_set(f, errno, "set the owner of %s", name);
        if (!S_ISLNK(st->st_mode) && fchmodat(dir, name, st->st_mode & 07777, 0))
                return fail_set(f, errno, "set the mode of %s", name);
        (void)utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW); /* cosmetic */
        return 0;
}

static int copy_file(int from, int to, const char *name, struct fail *f)
{
        int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        ssize_t n = -1;
        if (in >= 0 && out >= 0) {
                while ((n = sendfile(out, in, NULL, 1 << 20)) > 0) {
                }
        }
        int code = errno;
        bool there = in >= 0 && out < 0 && code == EEXIST; /* another VM does the same now */
        if (in >= 0)
                close(in);
        if (there)
                return 0;
        if (out >= 0 && close(out) && n == 0) {
                code = errno;
                n = -1;
        }
        return n < 0 ? fail_set(f, code, "copy %s", name) : 0;
}

static int copy_link(int from, int to, const char *name, struct fail *f)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);
        if (n < 0)
                return fail_set(f, errno, "read link %s", name);
        target[n] = '\0';
        return symlinkat(target, to, name) && errno != EEXIST
                       ? fail_set(f, errno, "symlink %s", name)
                       : 0;
}

static int copy_folder(int from, int to, unsigned depth, struct fail *f);

/* NOLINTBEGIN(misc-no-recursion): DEPTH_MAX */
static int copy_below(int from, int to, const char *name, unsigned depth, struct fail *f)
{
        if (depth >= DEPTH_MAX)
                return fail_set(f, ELOOP, "folders nest deeper than %d at %s", DEPTH_MAX, name);
        if (mkdirat(to, name, 0700) && errno != EEXIST)
                return fail_set(f, errno, "mkdir %s", name);
        int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        int rc = in < 0 || out < 0 ? fail_set(f, errno, "open %s", name)
                                   : copy_folder(in, out, depth + 1, f);
        if (in >= 0)
                close(in);
        if (out >= 0)
                close(out);
        return rc;
}

static int copy_entry(int from, int to, const char *name, unsigned depth, struct fail *f)
{
        struct stat st;
        if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW))
                return fail_set(f, errno, "stat %s", name);
        int rc;
        if (S_ISDIR(st.st_mode))
                rc = copy_below(from, to, name, depth, f);
        else if (S_ISREG(st.st_mode))
                rc = copy_file(from, to, name, f);
        else if (S_ISLNK(st.st_mode))
                rc = copy_link(from, to, name, f);
        else
                rc = mknodat(to, name, st.st_mode, st.st_rdev) && errno != EEXIST
                             ? fail_set(f, errno, "mknod %s", name)
                             : 0;
        return rc ? rc : copy_attributes(to, name, &st, f);
}

/* Recursion is bounded by DEPTH_MAX; a level takes about 2.5 KiB of stack. */
static int copy_folder(int from, int to, unsigned depth, struct fail *f)
{
        struct entries e = {.fd = from};
        const char *name;
        while ((name = next_entry(&e))) {
                int rc = copy_entry(from, to, name, depth, f);
                if (rc)
                        return rc;
        }
        return e.end < 0 ? fail_set(f, errno, "read a folder of the image") : 0;
}

/* NOLINTEND(misc-no-recursion) */

int seed_folder(int from, int to, struct fail *f)
{
        struct stat st;
        int in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int out = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc = 0;
        if (in < 0 || out < 0 || fstat(in, &st))
                rc = fail_set(f, errno, "open a volume for its first use");
        else if (is_empty(out)) {
                (void)lseek(out, 0, SEEK_SET);
                rc = copy_folder(in, out, 0, f);
                if (rc == 0)
                        rc = copy_attributes(out, ".", &st, f);
        }
        if (in >= 0)
                close(in);
        if (out >= 0)
                close(out);
        return rc;
}
