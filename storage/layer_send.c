/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/layer_send.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "storage/ext4.h"
#include "storage/layer.h"
#include "storage/wire.h"

#define PIECE_BLOCKS ((WIRE_PAYLOAD_MAX - sizeof(struct wire_run)) / EXT4_BLOCK)

/* Content on its way: whole blocks go as they come, a block in pieces is gathered first. */
struct sender {
        struct wire_out out;
        struct layer *layer;
        uint64_t gathering; /* that block */
        bool gathered;
        uint8_t block[EXT4_BLOCK];
};

static int send_run(struct sender *s, uint64_t block, const uint8_t *data, size_t count,
                    struct err *err)
{
        int r = 0;

        while (r == 0 && count) {
                size_t n = count < PIECE_BLOCKS ? count : PIECE_BLOCKS;
                const struct wire_run run = {(uint32_t)block, (uint32_t)n};
                const struct wire_header header = {.kind = WIRE_DATA,
                                                   .len = (uint32_t)(sizeof(run) + n * EXT4_BLOCK),
                                                   .consumed = (uint64_t)layer_consumed(s->layer)};

                r = wire_out_put(&s->out, &header, &run, data, err);
                block += n;
                data += n * EXT4_BLOCK;
                count -= n;
        }
        return r;
}

/* Blocks of zeros are left out. */
static int send_blocks(struct sender *s, uint64_t block, const uint8_t *data, size_t count,
                       struct err *err)
{
        size_t run = 0;
        int r = 0;

        for (size_t i = 0; r == 0 && i < count; i++) {
                if (!ext4_is_zero(data + i * EXT4_BLOCK, EXT4_BLOCK)) {
                        run++;
                        continue;
                }
                r = send_run(s, block + i - run, data + (i - run) * EXT4_BLOCK, run, err);
                run = 0;
        }
        return r < 0 ? r
                     : send_run(s, block + count - run, data + (count - run) * EXT4_BLOCK, run,
                                err);
}

static int send_gathered(struct sender *s, struct err *err)
{
        if (!s->gathered)
                return 0;
        s->gathered = false;
        return send_blocks(s, s->gathering, s->block, 1, err);
}

static int send_piece(struct sender *s, const uint8_t *data, size_t len, uint64_t offset,
                      struct err *err)
{
        while (len) {
                uint64_t block = offset / EXT4_BLOCK;
                size_t at = offset % EXT4_BLOCK, n = EXT4_BLOCK - at;
                int r = 0;

                if (n > len)
                        n = len;
                if (s->gathered && s->gathering != block)
                        r = send_gathered(s, err);
                if (n == EXT4_BLOCK) {
                        n = len / EXT4_BLOCK * EXT4_BLOCK;
                        r = r < 0 ? r : send_blocks(s, block, data, n / EXT4_BLOCK, err);
                } else {
                        if (!s->gathered)
                                memset(s->block, 0, EXT4_BLOCK);
                        s->gathered = true;
                        s->gathering = block;
                        memcpy(s->block + at, data, n);
                }
                if (r < 0)
                        return r;
                data += n;
                len -= n;
                offset += n;
        }
        return 0;
}

static int send_content(struct sender *s, uint64_t size, struct err *err)
{
        const void *data;
        int64_t offset;
        size_t len;
        uint64_t end = 0;
        int r;

        while ((r = layer_data(s->layer, &data, &len, &offset, err)) == 0) {
                if (offset < 0 || (uint64_t)offset < end || (uint64_t)offset > size ||
                    len > size - (uint64_t)offset)
                        return err_set(err, EINVAL, "content passes the size of its file");
                end = (uint64_t)offset + len;
                r = send_piece(s, data, len, (uint64_t)offset, err);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : send_gathered(s, err);
}

static int send_entries(struct sender *s, struct err *err)
{
        struct tree_entry entry;
        bool regular;
        int r;

        while ((r = layer_next(s->layer, &entry, &regular, err)) == 0) {
                r = wire_out_entry(&s->out, &entry, regular, (uint64_t)layer_consumed(s->layer),
                                   err);
                if (r == 0 && regular && entry.size > (int64_t)TREE_SIZE_MAX)
                        r = err_set(err, E2BIG, "larger than %llu bytes",
                                    (unsigned long long)TREE_SIZE_MAX);
                if (r == 0 && regular)
                        r = send_content(s, (uint64_t)entry.size, err);
                if (r < 0)
                        return err_wrap(err, "%.200s", entry.path);
        }
        return r < 0 ? r : 0;
}

static int send_end(struct sender *s, struct err *err)
{
        char digests[2][DIGEST_TEXT_MAX];
        struct wire_header header = {.kind = WIRE_END, .len = sizeof(digests)};
        int r = layer_finish(s->layer, digests[0], digests[1], err);

        header.consumed = (uint64_t)layer_consumed(s->layer);
        return r < 0 ? r : wire_out_put(&s->out, &header, digests, NULL, err);
}

void layer_send(int blob, int out, const struct image_limits *limits)
{
        struct sender s = {0};
        struct err err = ERR_INIT;
        int r;

        wire_out_init(&s.out, out);
        r = layer_open(blob, LAYER_HASH, limits, &s.layer, &err);
        if (r == 0)
                r = send_entries(&s, &err);
        if (r == 0)
                r = send_end(&s, &err);
        if (r < 0) {
                const struct wire_header header = {.kind = WIRE_FAIL,
                                                   .len = sizeof(struct wire_fail)};
                struct wire_fail fail = {.code = err.code};

                (void)snprintf(fail.text, sizeof(fail.text), "%s", err.msg); /* as large */
                (void)wire_out_put(&s.out, &header, &fail, NULL, &err);      /* nobody listens */
        }
        r = wire_out_flush(&s.out, &err);
        layer_free(s.layer);
        wire_out_release(&s.out);
        _exit(r < 0);
}
