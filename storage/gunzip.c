/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/gunzip.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>

#include "base/mem.h"

#define MAGIC_FIRST 0x1f

struct gunzip {
        struct inflate_state state;
        bool began; /* within a stream, its trailer included */
        bool full;  /* the last output had no room to spare: there may be more of it */
};

struct gunzip *gunzip_new(void)
{
        struct gunzip *g = xnew(struct gunzip);

        isal_inflate_init(&g->state);
        g->state.crc_flag = ISAL_GZIP;
        return g;
}

void gunzip_free(struct gunzip *g)
{
        free(g);
}

void gunzip_feed(struct gunzip *g, const void *data, size_t n)
{
        g->state.next_in = (uint8_t *)(uintptr_t)data; /* only read */
        g->state.avail_in = (uint32_t)n;
}

bool gunzip_wants_input(const struct gunzip *g)
{
        return g->state.avail_in == 0 && !g->full;
}

int gunzip_end(const struct gunzip *g, struct err *err)
{
        return g->began ? err_set(err, EINVAL, "broken archive: truncated gzip input") : 0;
}

static const char *reason(int code)
{
        switch (code) {
        case ISAL_INVALID_WRAPPER:
        case ISAL_UNSUPPORTED_METHOD:
                return "a bad gzip header";
        case ISAL_INCORRECT_CHECKSUM:
                return "a wrong gzip checksum";
        default:
                return "bad deflate data";
        }
}

int gunzip_read(struct gunzip *g, void *out, size_t n, size_t *ret_n, struct err *err)
{
        struct inflate_state *state = &g->state;
        int code;

        *ret_n = 0;
        g->full = false;
        if (!g->began && state->avail_in) {
                if (*state->next_in != MAGIC_FIRST)
                        return 1;
                isal_inflate_reset(state);
                state->crc_flag = ISAL_GZIP;
                g->began = true;
        }
        if (!g->began)
                return 0;
        state->next_out = out;
        state->avail_out = (uint32_t)n;
        code = isal_inflate(state);
        if (code != ISAL_DECOMP_OK && code != ISAL_END_INPUT && code != ISAL_OUT_OVERFLOW)
                return err_set(err, EINVAL, "broken archive: %s", reason(code));
        *ret_n = n - state->avail_out;
        g->full = state->avail_out == 0;
        g->began = state->block_state != ISAL_BLOCK_FINISH;
        return 0;
}
