/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "orchestrator/cli/session.h"

#define FRAME_HEAD 4

void frame_add(struct strbuf *out, enum exec_frame type, const void *body, size_t len)
{
        const unsigned char head[FRAME_HEAD] = {(unsigned char)type, (unsigned char)(len >> 16),
                                                (unsigned char)(len >> 8), (unsigned char)len};

        assert(len <= EXEC_FRAME_MAX);
        strbuf_add(out, head, sizeof(head));
        strbuf_add(out, body, len);
}

ssize_t frame_parse(const void *data, size_t n, struct frame *ret, struct err *err)
{
        const unsigned char *p = data;
        size_t len;

        if (n < FRAME_HEAD)
                return 0;
        len = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (p[0] > EXEC_FAIL || len > EXEC_FRAME_MAX)
                return err_set(err, EBADMSG, "berthd sent a frame of type %u with %zu bytes", p[0],
                               len);
        if (n - FRAME_HEAD < len)
                return 0;
        *ret = (struct frame){(enum exec_frame)p[0], p + FRAME_HEAD, len};
        return (ssize_t)(FRAME_HEAD + len);
}
