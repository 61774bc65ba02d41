/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t n)
{
        const unsigned char *in = data;
        char *out = xcalloc((n + 2) / 3 * 4 + 1, 1);
        char *p = out;

        for (size_t i = 0; i < n; i += 3) {
                size_t left = n - i;
                uint32_t v = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                             (left > 2 ? in[i + 2] : 0);

                *p++ = alphabet[v >> 18];
                *p++ = alphabet[v >> 12 & 63];
                *p++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
                *p++ = left > 2 ? alphabet[v & 63] : '=';
        }
        return out;
}

int base64_decode(const char *text, char **ret, size_t *ret_len)
{
        size_t n = strlen(text), pad = 0, used = 0;
        AUTO_FREE char *out = xcalloc(n / 4 * 3 + 1, 1);

        if (n % 4)
                return -1;
        while (pad < 2 && pad < n && text[n - pad - 1] == '=')
                pad++;
        for (size_t i = 0; i < n; i += 4) {
                uint32_t v = 0;

                for (size_t k = i; k < i + 4; k++) {
                        const char *at = k < n - pad ? strchr(alphabet, text[k]) : alphabet;

                        if (!at)
                                return -1;
                        v = v << 6 | (uint32_t)(at - alphabet);
                }
                out[used++] = (char)(v >> 16);
                out[used++] = (char)(v >> 8 & 255);
                out[used++] = (char)(v & 255);
        }
        used -= pad;
        out[used] = '\0';
        *ret = STEAL(out);
        *ret_len = used;
        return 0;
}
