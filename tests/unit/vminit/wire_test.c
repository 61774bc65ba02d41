/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"
#include "vminit/wire.h"

static uint8_t tx[WIRE_FRAME_MAX * 2];
static uint8_t rx_data[WIRE_FRAME_MAX + 4096];

/* Small and repeatable: the tests must fail the same way twice. */
static unsigned next_random(void)
{
        static unsigned state = 12345;
        state = state * 1103515245u + 12345u;
        return state >> 16;
}

static void push(struct wire_rx *rx, const void *bytes, size_t len)
{
        size_t room;
        uint8_t *to = wire_rx_space(rx, &room);
        ok(room >= len, "room for %zu bytes", len);
        memcpy(to, bytes, len);
        wire_rx_fill(rx, len);
}

static void test_round_trip(void)
{
        struct wire_writer w;
        struct wire_frame f;
        struct wire_tlv tlv;
        uint64_t number = 0;
        char text[16];
        wire_writer_init(&w, tx, sizeof(tx));
        wire_begin(&w, WIRE_CONFIG, 77);
        wire_put_u64(&w, WIRE_C_CLOCK_NS, 0x0123456700abcdefull);
        size_t mark = wire_nest(&w, WIRE_C_DISK);
        wire_put_str(&w, WIRE_I_SERIAL, "root");
        wire_nest_end(&w, mark);
        ok(wire_end(&w), "a frame is written");
        is_int(wire_decode(tx, w.len, &f), w.len, "it decodes to its whole length");
        ok(f.type == WIRE_CONFIG && f.id == 77, "type and id survive");
        struct wire_reader r = wire_read(f.body, f.len);
        ok(wire_next(&r, &tlv) && tlv.tag == WIRE_C_CLOCK_NS && wire_u64(&tlv, &number),
           "first item");
        ok(number == 0x0123456700abcdefull, "number survives");
        ok(!wire_str(&tlv, text, sizeof(text)), "a number with NULs in it is no string");
        ok(wire_next(&r, &tlv) && tlv.tag == WIRE_C_DISK, "nested item");
        struct wire_reader inner = wire_read(tlv.value, tlv.len);
        ok(wire_next(&inner, &tlv) && wire_str(&tlv, text, sizeof(text)), "inner item");
        is_str(text, "root", "string survives");
        ok(!wire_u64(&tlv, &number), "a string of 4 bytes is no number");
        ok(!wire_str(&tlv, text, 4) && text[0] == '\0', "a string that does not fit is refused");
        ok(!wire_next(&inner, &tlv) && !inner.bad && !wire_next(&r, &tlv) && !r.bad,
           "both end well");
}

static void test_writer_limits(void)
{
        struct wire_writer w;
        uint8_t small[32];
        wire_writer_init(&w, small, sizeof(small));
        ok(wire_send_empty(&w, WIRE_PING, 1), "a frame of 13 bytes fits");
        ok(!wire_send_stream(&w, WIRE_ACK, 0, 1, WIRE_T_OFFSET, 5), "the next one does not");
        is_int(w.len, WIRE_HEADER + 1, "and leaves the buffer as it was");
        ok(wire_send_empty(&w, WIRE_PING, 2), "a later one that fits is written");
        ok(!wire_send_magic(&w, wire_attach_magic), "no room for a preamble");
        is_int(w.len, 2 * (WIRE_HEADER + 1), "nothing of it is left");
        static uint8_t zeroes[WIRE_BODY_MAX + 1];
        wire_writer_init(&w, tx, sizeof(tx));
        wire_begin(&w, WIRE_DATA, 1);
        wire_put_raw(&w, zeroes, WIRE_BODY_MAX);
        ok(wire_end(&w), "the longest body is written");
        wire_begin(&w, WIRE_DATA, 1);
        wire_put_raw(&w, zeroes, WIRE_BODY_MAX + 1);
        ok(!wire_end(&w), "one byte more is not");
        wire_begin(&w, WIRE_CONFIG, 1);
        wire_put_bytes(&w, 1, zeroes, WIRE_BODY_MAX + 1);
        ok(!wire_end(&w), "neither is a TLV of that length");
}

static void test_bad_frames(void)
{
        static const struct {
                const char *what;
                uint8_t bytes[14];
        } bad[] = {
                {"length", {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0x0a}},
                {"flags", {0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0x0a}},
                {"id", {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80, 0x0a}},
                {"trailer", {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x0b}},
        };
        struct wire_frame f;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                is_int(wire_decode(bad[i].bytes, 13, &f), -1, "bad %s is refused", bad[i].what);
        uint8_t good[13] = {0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x0a};
        for (size_t n = 0; n < sizeof(good); n++)
                ok(wire_decode(good, n, &f) == 0, "%zu bytes are not enough", n);
        is_int(wire_decode(good, 13, &f), 13, "13 are");
}

static void test_bad_tlvs(void)
{
        static const uint8_t bad[][12] = {
                {1, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4},
                {1, 0, 1, 0, 4, 0, 0, 0, 1, 2, 3, 4},
                {1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4},
                {1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4},
        };
        for (size_t i = 0; i < 4; i++) {
                struct wire_reader r = wire_read(bad[i], sizeof(bad[i]));
                struct wire_tlv tlv;
                while (wire_next(&r, &tlv)) {
                }
                ok(r.bad, "malformed TLV %zu is noticed", i);
        }
}

/* A dead host left any prefix of a frame behind: the next connection is found whole. */
static void test_torn(void)
{
        struct wire_writer w;
        struct wire_rx rx;
        struct wire_frame f;
        static uint8_t frame[256];
        int missed = 0, early = 0, late = 0;
        wire_writer_init(&w, frame, sizeof(frame));
        static const uint8_t body[100] = {0xb3, 0xe2};
        (void)wire_send_data(&w, 9, 0, body, sizeof(body));
        for (size_t cut = 0; cut <= w.len; cut++) {
                struct wire_writer next;
                wire_rx_init(&rx, rx_data, sizeof(rx_data), wire_attach_magic, true);
                wire_writer_init(&next, tx, sizeof(tx));
                (void)wire_send_magic(&next, wire_attach_magic);
                (void)wire_send_empty(&next, WIRE_ATTACH, 1);
                wire_put_raw(&next, frame, cut);
                (void)wire_send_magic(&next, wire_attach_magic);
                (void)wire_send_empty(&next, WIRE_ATTACH, 2);
                (void)wire_send_empty(&next, WIRE_PING, 3);
                int attached = 0, pings = 0, torn = 0;
                /* A byte at a time: worst case for whatever looks ahead. */
                for (size_t i = 0; i < next.len; i++) {
                        size_t room;
                        *wire_rx_space(&rx, &room) = tx[i];
                        wire_rx_fill(&rx, 1);
                        for (int rc; (rc = wire_rx_next(&rx, &f)) != 0;) {
                                attached += rc > 0 && f.fresh && f.type == WIRE_ATTACH;
                                pings += rc > 0 && !f.fresh && f.type == WIRE_PING;
                                torn += rc > 0 && f.type == WIRE_DATA && cut < w.len;
                        }
                }
                missed += attached != 2;
                late += pings != 1;
                early += torn;
        }
        is_int(missed, 0, "a new connection is found after every prefix of a frame");
        is_int(late, 0, "and the frames behind it");
        is_int(early, 0, "and no torn frame is taken for one");
}

static void test_host_side_does_not_rescan(void)
{
        struct wire_writer w;
        struct wire_rx rx;
        struct wire_frame f;
        uint8_t nonce[WIRE_MAGIC_LEN] = "0123456789abcdef";
        wire_rx_init(&rx, rx_data, sizeof(rx_data), nonce, false);
        wire_writer_init(&w, tx, sizeof(tx));
        wire_put_raw(&w, "leftovers of another connection", 31);
        (void)wire_send_magic(&w, nonce);
        (void)wire_send_empty(&w, WIRE_HELLO, 0);
        (void)wire_send_data(&w, 1, 1, nonce, sizeof(nonce));
        (void)wire_send_empty(&w, WIRE_PONG, 0);
        push(&rx, tx, w.len);
        ok(wire_rx_next(&rx, &f) == 1 && f.type == WIRE_HELLO && f.fresh,
           "greeting after the nonce");
        ok(wire_rx_next(&rx, &f) == 1 && f.type == WIRE_DATA && !f.fresh,
           "the nonce as data is data");
        ok(wire_rx_next(&rx, &f) == 1 && f.type == WIRE_PONG, "and the stream goes on");
        ok(wire_rx_next(&rx, &f) == 0, "to its end");
}

static void test_clean_length(void)
{
        uint8_t bytes[100] = {0};
        is_int(wire_clean_length(bytes, 0), 0, "nothing is clean");
        is_int(wire_clean_length(bytes, sizeof(bytes)), sizeof(bytes), "zeroes are clean");
        memcpy(bytes + 30, wire_attach_magic, WIRE_MAGIC_LEN);
        is_int(wire_clean_length(bytes, sizeof(bytes)), 38, "the magic is cut in two");
        is_int(wire_clean_length(bytes, 45), 45, "a part of it is no magic");
        is_int(wire_clean_length(bytes + 38, 62), 62, "the second half is clean");
        int low = 0;
        for (int i = 0; i < WIRE_MAGIC_LEN - 1; i++)
                low += wire_attach_magic[i] < 0x80;
        ok(low == 0 && wire_attach_magic[WIRE_MAGIC_LEN - 1] == 0,
           "the magic has the promised form");
        ok(!memchr(wire_attach_magic, WIRE_TRAILER, WIRE_MAGIC_LEN), "and no trailer in it");
}

/* Whatever comes in, whatever way it is cut: no frame beyond its bounds, and no endless loop. */
static void test_noise(void)
{
        struct wire_rx rx;
        struct wire_frame f = {0};
        int wild = 0;
        wire_rx_init(&rx, rx_data, sizeof(rx_data), wire_attach_magic, true);
        for (int round = 0; round < 3000; round++) {
                size_t room;
                uint8_t *to = wire_rx_space(&rx, &room);
                size_t n = 1 + next_random() % 200;
                for (size_t i = 0; i < n; i++)
                        to[i] = next_random() % 3 ? 0 : (uint8_t)next_random();
                if (round % 7 == 0) {
                        memcpy(to, wire_attach_magic, WIRE_MAGIC_LEN);
                        n = n < WIRE_MAGIC_LEN ? WIRE_MAGIC_LEN : n;
                }
                wire_rx_fill(&rx, n);
                while (wire_rx_next(&rx, &f) != 0) {
                        wild += f.body &&
                                (f.body < rx_data || f.body + f.len > rx_data + sizeof(rx_data));
                        f.body = NULL;
                }
        }
        is_int(wild, 0, "frames out of noise stay inside the buffer");
}

static void test_slots(void)
{
        struct wire_slots some, waiting;

        ok(wire_slots_of(3, 2, 0, &waiting), "a machine that waits");
        is_int(waiting.mask, 0x3e, "has the first five slots");
        for (size_t disks = 0; disks <= WIRE_SLOTS; disks++)
                for (size_t cards = 0; cards <= WIRE_SLOTS; cards++)
                        for (size_t shares = 0; shares <= WIRE_SLOTS; shares++) {
                                size_t n = disks + cards + shares;
                                bool fits = wire_slots_of(disks, cards, shares, &some);
                                unsigned mask = 0;

                                if (n >= WIRE_SLOTS || !fits) {
                                        ok(n >= WIRE_SLOTS && !fits, "%zu devices do not fit", n);
                                        continue;
                                }
                                for (size_t i = 0; i < disks; i++)
                                        mask |= 1u << some.disks[i];
                                for (size_t i = 0; i < cards; i++)
                                        mask |= 1u << some.interfaces[i];
                                for (size_t i = 0; i < shares; i++)
                                        mask |= 1u << some.shares[i];
                                ok(mask == some.mask && !(mask & 1) && mask < 1u << WIRE_SLOTS &&
                                           (size_t)__builtin_popcount(mask) == n,
                                   "%zu disks, %zu cards, %zu shares: a slot each", disks, cards,
                                   shares);
                                ok((disks < 3 || some.disks[2] == waiting.disks[2]) &&
                                           (cards < 2 ||
                                            some.interfaces[1] == waiting.interfaces[1]) &&
                                           (n == 7 || !(mask & 1u << WIRE_SLOT_BALLOON)),
                                   "as a machine that waits has them, and the balloon its own");
                        }
}

int main(void)
{
        test_slots();
        test_round_trip();
        test_writer_limits();
        test_bad_frames();
        test_bad_tlvs();
        test_torn();
        test_host_side_does_not_rescan();
        test_clean_length();
        test_noise();
        return tap_done();
}
