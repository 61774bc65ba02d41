/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/utf8.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/strbuf.h"

#define REPLACEMENT "\xef\xbf\xbd"

/* Length that a first byte announces, and the least code point that needs it. */
static size_t announced(unsigned char c, uint32_t *ret_bits, uint32_t *ret_least)
{
        if (c < 0x80) {
                *ret_bits = c;
                *ret_least = 0;
                return 1;
        }
        if (c >= 0xc2 && c < 0xe0) {
                *ret_bits = c & 0x1fu;
                *ret_least = 0x80;
                return 2;
        }
        if (c >= 0xe0 && c < 0xf0) {
                *ret_bits = c & 0x0fu;
                *ret_least = 0x800;
                return 3;
        }
        if (c >= 0xf0 && c < 0xf5) {
                *ret_bits = c & 0x07u;
                *ret_least = 0x10000;
                return 4;
        }
        return 0;
}

size_t utf8_sequence(const char *bytes, size_t n)
{
        uint32_t point, least;
        size_t len = n ? announced((unsigned char)bytes[0], &point, &least) : 0;

        if (len == 0 || len > n)
                return 0;
        for (size_t i = 1; i < len; i++) {
                unsigned char c = (unsigned char)bytes[i];

                if ((c & 0xc0) != 0x80)
                        return 0;
                point = point << 6 | (c & 0x3fu);
        }
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
                return 0;
        return len;
}

json_t *utf8_json(const char *bytes, size_t n)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(n * (sizeof(REPLACEMENT) - 1));
        size_t i = 0, len;

        while (i < n && (len = utf8_sequence(bytes + i, n - i)) > 0)
                i += len;
        if (i == n)
                return json_stringn_nocheck(bytes, n);
        for (i = 0; i < n; i += len) {
                len = utf8_sequence(bytes + i, n - i);
                if (len > 0)
                        strbuf_add(&text, bytes + i, len);
                else
                        strbuf_adds(&text, REPLACEMENT);
                len += len == 0;
        }
        return json_stringn_nocheck(text.data, text.len);
}
