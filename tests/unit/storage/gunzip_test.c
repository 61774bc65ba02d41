/* SPDX-License-Identifier: Apache-2.0 */
/* gzip piece by piece: every way to cut it, streams behind each other, damage. */
#include <string.h>

#include "storage/gunzip.h"
#include "tests/tap.h"

/* printf 'hello, hello, hello\n' | gzip -n */
static const uint8_t hello[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
                                0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8, 0x40, 0xa2,
                                0xb8, 0x00, 0xe7, 0x42, 0x6e, 0x52, 0x14, 0x00, 0x00, 0x00};
static const char text[] = "hello, hello, hello\n";

/* In pieces of step bytes, out in pieces of room; <0, or the bytes that came. */
static int inflate(const uint8_t *data, size_t n, size_t step, size_t room, char *out,
                   struct err *err)
{
        AUTO(gunzip) struct gunzip *g = gunzip_new();
        size_t at = 0, len = 0, got;
        int r = 0;

        while (r == 0) {
                if (gunzip_wants_input(g)) {
                        size_t piece = n - at < step ? n - at : step;

                        if (piece == 0) {
                                r = gunzip_end(g, err);
                                break;
                        }
                        gunzip_feed(g, data + at, piece);
                        at += piece;
                }
                r = gunzip_read(g, out + len, room, &got, err);
                len += got;
        }
        return r < 0 ? r : (int)len;
}

static void test_pieces(void)
{
        char out[256];
        struct err err = ERR_INIT;
        unsigned wrong = 0;

        for (size_t step = 1; step <= sizeof(hello); step++)
                for (size_t room = 1; room < 30; room++)
                        wrong += inflate(hello, sizeof(hello), step, room, out, &err) !=
                                         (int)strlen(text) ||
                                 memcmp(out, text, strlen(text)) != 0;
        is_int(wrong, 0, "in any pieces it is the same: %s", err.msg);
}

static void test_streams(void)
{
        uint8_t both[2 * sizeof(hello) + 3];
        char out[256];
        struct err err = ERR_INIT;

        memcpy(both, hello, sizeof(hello));
        memcpy(both + sizeof(hello), hello, sizeof(hello));
        memset(both + 2 * sizeof(hello), 0, 3);
        for (size_t step = 1; step < sizeof(both); step += 13) {
                is_int(inflate(both, sizeof(both), step, sizeof(out) / 2, out, &err),
                       2 * (int)strlen(text), "two streams, then zeros: %s", err.msg);
                is_int(memcmp(out + strlen(text), text, strlen(text)), 0, "both right");
        }
}

static void test_damage(void)
{
        uint8_t bad[sizeof(hello)];
        char out[4096];
        struct err err = ERR_INIT;
        unsigned taken = 0;

        for (size_t n = 1; n < sizeof(hello); n++)
                taken += inflate(hello, n, 7, 64, out, &err) >= 0;
        is_int(taken, 0, "no cut stream is taken");
        has_str(err.msg, "truncated", "the text says so");
        for (size_t at = sizeof(hello) - 8; at < sizeof(hello); at++) {
                memcpy(bad, hello, sizeof(bad));
                bad[at] ^= 1;
                taken += inflate(bad, sizeof(bad), 7, 64, out, &err) >= 0;
        }
        is_int(taken, 0, "checksum and length are checked");
        has_str(err.msg, "checksum", "the text says so");
        memcpy(bad, hello, sizeof(bad));
        bad[2] = 9;
        ok(inflate(bad, sizeof(bad), 7, 64, out, &err) < 0, "another method: refused");
}

int main(void)
{
        test_pieces();
        test_streams();
        test_damage();
        return tap_done();
}
