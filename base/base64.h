/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648, with padding): bytes that are not text inside of JSON. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/** The text of n bytes, on the heap. */
char *base64_encode(const void *data, size_t n);

/** *ret: on the heap, with a NUL behind. -1: not base64. */
int base64_decode(const char *text, char **ret, size_t *ret_len);

#endif
