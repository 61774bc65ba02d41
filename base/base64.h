/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 as RFC 4648 has it, with padding, without line breaks. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/** n bytes as text, on the heap. */
char *base64_encode(const void *data, size_t n);

/** The bytes of a text, with a NUL behind them, on the heap; NULL: it is not base64. */
char *base64_decode(const char *text, size_t *ret_len);

#endif
