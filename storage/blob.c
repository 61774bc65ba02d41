/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/blob.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define WRITE_STEP (16 << 20)

static int open_digest(int folder, const char *digest, int *ret_fd, int64_t *ret_size,
                       struct err *err)
{
        AUTO_CLOSE int fd = -1;
        struct stat st;

        if (!digest_valid(digest))
                return err_set(err, EINVAL, "'%.90s' is not a sha256 digest", digest);
        fd = openat(folder, digest + strlen("sha256:"),
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 && errno == ENOENT)
                return err_set(err, ENOENT, "blob %s is missing", digest);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_errno(err, errno, "blob %s", digest);
        if (!S_ISREG(st.st_mode))
                return err_set(err, EINVAL, "blob %s is not a plain file", digest);
        *ret_size = st.st_size;
        *ret_fd = steal_fd(&fd);
        return 0;
}

int blob_open(int folder, const struct oci_descriptor *descriptor, int *ret_fd, struct err *err)
{
        AUTO_CLOSE int fd = -1;
        int64_t size;
        int r = open_digest(folder, descriptor->digest, &fd, &size, err);

        if (r < 0)
                return r;
        if (size != descriptor->size)
                return err_set(err, EINVAL, "blob %s has %lld bytes, its descriptor says %lld",
                               descriptor->digest, (long long)size, (long long)descriptor->size);
        *ret_fd = steal_fd(&fd);
        return 0;
}

int blob_read(int folder, const char *digest, char **ret, size_t *ret_len, struct err *err)
{
        AUTO_STRBUF struct strbuf content = STRBUF_INIT(OCI_DOCUMENT_MAX);
        char chunk[16384], actual[DIGEST_TEXT_MAX];
        AUTO_CLOSE int fd = -1;
        int64_t size;
        ssize_t n;
        int r = open_digest(folder, digest, &fd, &size, err);

        if (r < 0)
                return r;
        while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, errno, "blob %s: read", digest);
                strbuf_add(&content, chunk, (size_t)n);
                if (strbuf_failed(&content))
                        return err_set(err, E2BIG, "blob %s: a document larger than %u bytes",
                                       digest, OCI_DOCUMENT_MAX);
        }
        digest_text(strbuf_str(&content), content.len, actual);
        if (!streq(actual, digest))
                return err_set(err, EINVAL, "blob %s: its content is %s", digest, actual);
        *ret_len = content.len;
        *ret = strbuf_take(&content);
        return 0;
}

int blob_write(int folder, const void *data, size_t n, struct oci_descriptor *ret, struct err *err)
{
        AUTO_CLOSE int fd = -1;
        int r;

        digest_text(data, n, ret->digest);
        ret->size = (int64_t)n;
        fd = openat(folder, ret->digest + strlen("sha256:"),
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return err_errno(err, errno, "blob %s", ret->digest);
        r = fd_write_all(fd, data, n, err);
        if (r == 0 && fsync(fd) < 0)
                r = err_errno(err, errno, "sync");
        return r < 0 ? err_wrap(err, "blob %s", ret->digest) : 0;
}

void blob_start_writing(int fd, int64_t *started, int64_t end)
{
        if (end - *started < WRITE_STEP)
                return;
        /* Only a beginning: errors come to light at the sync. */
        (void)sync_file_range(fd, *started, end - *started, SYNC_FILE_RANGE_WRITE);
        *started = end;
}

bool blob_present(int folder, const struct oci_descriptor *descriptor)
{
        struct stat st;

        return fstatat(folder, descriptor->digest + strlen("sha256:"), &st, AT_SYMLINK_NOFOLLOW) ==
                       0 &&
               S_ISREG(st.st_mode) && st.st_size == descriptor->size;
}
