/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs of an image that may still be on its way. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/blob.h"
#include "storage/job.h"
#include "storage/unpack_internal.h"

#define BLAME_CHUNK (256u << 10)

/* Whole lines of what was read become digests; the rest stays. */
static void take_lines(struct unpack *u)
{
        char *start = u->lines, *end = u->lines + u->lines_len, *newline;

        while ((newline = memchr(start, '\n', (size_t)(end - start)))) {
                *newline = '\0';
                if (digest_valid(start))
                        (void)json_object_set_new(u->ready, start, json_true()); /* OOM only */
                start = newline + 1;
        }
        u->lines_len = (size_t)(end - start);
        memmove(u->lines, start, u->lines_len);
}

int unpack_blob_wait(struct unpack *u, const char *digest, struct err *err)
{
        while (u->request->ready >= 0 && !json_object_get(u->ready, digest)) {
                ssize_t n = read(u->request->ready, u->lines + u->lines_len,
                                 sizeof(u->lines) - u->lines_len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return err_set(err, ECANCELED, "its pull ended before it came");
                u->lines_len += (size_t)n;
                take_lines(u);
        }
        return 0;
}

/* It moves from the pull's folder to the others at any time, once: so the first is asked again. */
int unpack_blob_open(const struct unpack *u, const struct oci_descriptor *descriptor, int *ret_fd,
                     struct err *err)
{
        int r = blob_open(u->request->blobs, descriptor, ret_fd, err);

        if (r == -ENOENT && u->request->partial >= 0)
                r = blob_open(u->request->partial, descriptor, ret_fd, err);
        if (r == -ENOENT && u->request->partial >= 0)
                r = blob_open(u->request->blobs, descriptor, ret_fd, err);
        return r;
}

int unpack_blob_read(const struct unpack *u, const char *digest, char **ret, size_t *ret_len,
                     struct err *err)
{
        int r = blob_read(u->request->blobs, digest, ret, ret_len, err);

        if (r == -ENOENT && u->request->partial >= 0)
                r = blob_read(u->request->partial, digest, ret, ret_len, err);
        if (r == -ENOENT && u->request->partial >= 0)
                r = blob_read(u->request->blobs, digest, ret, ret_len, err);
        return r;
}

void unpack_blob_blame(const struct unpack *u, const struct oci_descriptor *descriptor,
                       struct err *err)
{
        AUTO_FREE uint8_t *chunk = xcalloc(1, BLAME_CHUNK);
        struct digest *digest = digest_new();
        char actual[DIGEST_TEXT_MAX];
        AUTO_CLOSE int fd = -1;
        struct err ignored;
        ssize_t n = -1;

        assert(err->code);
        if (unpack_blob_open(u, descriptor, &fd, &ignored) == 0)
                while ((n = read(fd, chunk, BLAME_CHUNK)) > 0)
                        digest_update(digest, chunk, (size_t)n);
        digest_final_text(digest, actual);
        digest_free(digest);
        if (n == 0 && !streq(actual, descriptor->digest))
                (void)err_set(err, STORAGE_DAMAGED,
                              "its content in the store is damaged; pull or load the image again");
}
