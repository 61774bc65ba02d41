/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <string.h>

#include "tests/tap.h"
#include "vminit/ring.h"

static struct ring ring;

/* The byte that belongs at an offset. */
static uint8_t byte_at(uint64_t offset)
{
        return (uint8_t)(offset * 31 >> 3);
}

static size_t produce(size_t max)
{
        size_t room, done = 0;
        while (done < max) {
                uint8_t *to = ring_space(&ring, &room);
                if (room == 0)
                        break;
                size_t n = room < max - done ? room : max - done;
                for (size_t i = 0; i < n; i++)
                        to[i] = byte_at(ring.head + i);
                ring_fill(&ring, n);
                done += n;
        }
        return done;
}

/* Send up to max bytes; false when one of them was wrong. */
static bool consume(size_t max)
{
        size_t len;
        const uint8_t *p;
        while (max > 0 && (p = ring_unsent(&ring, &len)) && len > 0) {
                size_t n = len < max ? len : max;
                for (size_t i = 0; i < n; i++) {
                        if (p[i] != byte_at(ring.sent + i))
                                return false;
                }
                ring_advance(&ring, n);
                max -= n;
        }
        return true;
}

int main(void)
{
        is_int(produce(RING_SIZE + 5), RING_SIZE, "a ring takes its size and no more");
        ok(consume(1000), "what was put in comes out");
        ring_ack(&ring, 5000);
        is_int(ring.tail, 1000, "what was not sent cannot be acknowledged");
        is_int(produce(RING_SIZE), 1000, "acknowledged room is room");
        ok(consume(RING_SIZE * 2), "all of it comes out, across the seam");
        is_int(ring.sent, RING_SIZE + 1000, "and is counted");
        ring_rewind(&ring, 2000);
        ok(ring.tail == 2000 && ring.sent == 2000, "a new host gets what it asks for");
        ok(consume(RING_SIZE * 2), "again and the same");
        ring_rewind(&ring, 100);
        is_int(ring.sent, 2000, "but nothing that was acknowledged");
        ring_ack(&ring, 1500);
        is_int(ring.tail, 2000, "an old acknowledgement does nothing");
        ring_rewind(&ring, UINT64_MAX);
        ok(ring.tail == ring.head && ring.sent == ring.head,
           "an offset from the future means: all");
        bool right = true;
        for (int i = 1; i < 5000; i++) {
                produce((size_t)(i * 37 % 9000));
                right = right && consume((size_t)(i * 53 % 9500));
                ring_ack(&ring, ring.sent - (ring.sent - ring.tail) / 3);
        }
        ok(right, "a long life changes no byte");
        ok(ring.head > 10 * (uint64_t)RING_SIZE, "and it was long");
        return tap_done();
}
