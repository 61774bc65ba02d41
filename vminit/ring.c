/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/ring.h"

#include <assert.h>

static size_t at(uint64_t offset)
{
        return (size_t)(offset & (RING_SIZE - 1));
}

static size_t min(size_t a, size_t b)
{
        return a < b ? a : b;
}

uint8_t *ring_space(struct ring *r, size_t *ret_room)
{
        *ret_room = min(RING_SIZE - (size_t)(r->head - r->tail), RING_SIZE - at(r->head));
        return r->data + at(r->head);
}

void ring_fill(struct ring *r, size_t len)
{
        assert(len <= RING_SIZE - (size_t)(r->head - r->tail));
        r->head += len;
}

const uint8_t *ring_unsent(const struct ring *r, size_t *ret_len)
{
        *ret_len = min((size_t)(r->head - r->sent), RING_SIZE - at(r->sent));
        return r->data + at(r->sent);
}

void ring_advance(struct ring *r, size_t len)
{
        assert(len <= r->head - r->sent);
        r->sent += len;
}

void ring_ack(struct ring *r, uint64_t offset)
{
        if (offset > r->sent)
                offset = r->sent;
        if (offset > r->tail)
                r->tail = offset;
}

void ring_rewind(struct ring *r, uint64_t offset)
{
        if (offset > r->head)
                offset = r->head;
        if (offset > r->tail)
                r->tail = offset;
        r->sent = r->tail;
}
