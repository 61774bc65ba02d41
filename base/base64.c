/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <string.h>

#include "base/auto.h"
#include "base/mem.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t n)
{
        const unsigned char *in = data;
        char *text = xcalloc((n + 2) / 3 * 4 + 1, 1), *out = text;

        for (size_t i = 0; i < n; i += 3) {
                unsigned v = (unsigned)in[i] << 16 | (i + 1 < n ? (unsigned)in[i + 1] << 8 : 0) |
                             (i + 2 < n ? in[i + 2] : 0);

                *out++ = alphabet[v >> 18];
                *out++ = alphabet[v >> 12 & 63];
                *out++ = i + 1 < n ? alphabet[v >> 6 & 63] : '=';
                *out++ = i + 2 < n ? alphabet[v & 63] : '=';
        }
        return text;
}

char *base64_decode(const char *text, size_t *ret_len)
{
        size_t n = strlen(text), digits = n, len = 0;
        AUTO_FREE char *out = xcalloc(n / 4 * 3 + 4, 1);
        unsigned v = 0, bits = 0;

        while (digits && text[digits - 1] == '=')
                digits--;
        if (n % 4 != 0 || n - digits > 2)
                return NULL;
        for (size_t i = 0; i < digits; i++) {
                const char *at = strchr(alphabet, text[i]);

                if (!at || !*at)
                        return NULL;
                v = (v << 6 | (unsigned)(at - alphabet)) & 0xffffff;
                bits += 6;
                if (bits >= 8) {
                        bits -= 8;
                        out[len++] = (char)(v >> bits & 0xff);
                }
        }
        *ret_len = len;
        return STEAL(out);
}
