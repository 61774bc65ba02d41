/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/blob.h"
#include "storage/ext4.h"

#define BUFFER (256u << 10)
#define DIRECT (64u << 10) /* larger pieces are not gathered */
#define STEP   (16u << 20) /* of one copy */

void content_init(struct content *content, int fd, uint64_t first)
{
        *content = (struct content){.fd = fd,
                                    .next = first,
                                    .buffer = xcalloc(1, BUFFER),
                                    .started = (int64_t)first * EXT4_BLOCK};
}

void content_release(struct content *content)
{
        free(content->buffer);
        content->buffer = NULL;
}

static int write_at(struct content *content, const uint8_t *data, size_t n, uint64_t at,
                    struct err *err)
{
        while (n) {
                ssize_t done = pwrite(content->fd, data, n, (off_t)at);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return err_errno(err, errno, "root disk: write");
                data += done;
                at += (uint64_t)done;
                n -= (size_t)done;
        }
        blob_start_writing(content->fd, &content->started, (int64_t)at);
        return 0;
}

int content_flush(struct content *content, struct err *err)
{
        size_t n = content->buffered;

        content->buffered = 0;
        return write_at(content, content->buffer, n, content->next * EXT4_BLOCK - n, err);
}

int content_add(struct content *content, const void *data, size_t blocks, struct err *err)
{
        size_t n = blocks * EXT4_BLOCK;
        int r = 0;

        if (n >= DIRECT || content->buffered + n > BUFFER)
                r = content_flush(content, err);
        if (r == 0 && n >= DIRECT) {
                r = write_at(content, data, n, content->next * EXT4_BLOCK, err);
        } else if (r == 0) {
                memcpy(content->buffer + content->buffered, data, n);
                content->buffered += n;
        }
        content->next += blocks;
        return r;
}

int content_copy(struct content *content, int from, uint64_t first, uint64_t blocks,
                 struct err *err)
{
        off_t in = (off_t)(first * EXT4_BLOCK), out = (off_t)(content->next * EXT4_BLOCK);
        uint64_t left = blocks * EXT4_BLOCK;
        int r = content_flush(content, err);

        while (r == 0 && left) {
                ssize_t n =
                        copy_file_range(from, &in, content->fd, &out, left < STEP ? left : STEP, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, errno, "root disk: copy");
                if (n == 0)
                        return err_set(err, EIO, "root disk: copy: the other ends early");
                left -= (uint64_t)n;
                blob_start_writing(content->fd, &content->started, out);
        }
        content->next += blocks;
        return r;
}
