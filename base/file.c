/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/strbuf.h"

/* Descriptors nftw() may hold open: deeper trees are walked slower, not wrongly. */
#define WALK_FDS 16

int file_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *err)
{
        AUTO_STRBUF struct strbuf content = STRBUF_INIT(max);
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        char chunk[16384];
        ssize_t n;

        if (fd < 0)
                return err_errno(err, errno, "%s", path);
        while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, errno, "%s: read", path);
                strbuf_add(&content, chunk, (size_t)n);
                if (strbuf_failed(&content))
                        return err_set(err, EFBIG, "%s: larger than %zu bytes", path, max);
        }
        if (ret_len)
                *ret_len = content.len;
        *ret = strbuf_take(&content);
        return 0;
}

static int sync_parent(const char *path, struct err *err)
{
        AUTO_FREE char *dir = xstrdup(path);
        AUTO_CLOSE int fd = -1;
        char *slash = strrchr(dir, '/');

        if (slash)
                slash[slash == dir ? 1 : 0] = '\0';
        fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
                return err_errno(err, errno, "%s: sync folder", path);
        return 0;
}

int file_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct err *err)
{
        AUTO_FREE char *temp = xasprintf("%s.new-%d", path, (int)getpid());
        AUTO_CLOSE int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        int r;

        if (fd < 0)
                return err_errno(err, errno, "%s: create", temp);
        r = fd_write_all(fd, data, n, err);
        if (r == 0 && fsync(fd) < 0)
                r = err_errno(err, errno, "sync");
        if (r == 0 && rename(temp, path) < 0)
                r = err_errno(err, errno, "rename");
        if (r < 0) {
                (void)unlink(temp); /* best effort: the error that matters is set */
                return err_wrap(err, "%s", path);
        }
        return sync_parent(path, err);
}

int file_mkdir_p(const char *path, mode_t mode, struct err *err)
{
        AUTO_FREE char *copy = xstrdup(path);

        for (char *p = copy + 1; *p; p++) {
                if (*p != '/')
                        continue;
                *p = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        return err_errno(err, errno, "%s: create folder", copy);
                *p = '/';
        }
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
                return err_errno(err, errno, "%s: create folder", copy);
        return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

int file_remove_tree(const char *path, struct err *err)
{
        if (nftw(path, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
                return err_errno(err, errno, "%s: remove", path);
        return 0;
}

char *file_join(const char *dir, const char *name)
{
        return xasprintf("%s/%s", dir, name);
}
