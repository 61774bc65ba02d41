/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 as a stream, and its OCI text form "sha256:<64 hex>". The OpenSSL door. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

#define DIGEST_SIZE     32                       /* bytes */
#define DIGEST_TEXT_MAX (sizeof("sha256:") + 64) /* with the NUL */

struct digest;

/** A new running hash. */
struct digest *digest_new(void);
void digest_free(struct digest *d);
AUTO_TYPE(digest)

/** Feed n bytes. */
void digest_update(struct digest *d, const void *data, size_t n);

/** Finish; ret: DIGEST_TEXT_MAX bytes. The hash can only be freed afterwards. */
void digest_final_text(struct digest *d, char *ret);

/** Hash of one buffer as text; ret: DIGEST_TEXT_MAX bytes. */
void digest_text(const void *data, size_t n, char *ret);

/** Whether text is "sha256:" and 64 lower-case hex digits: safe as a file name part. */
bool digest_valid(const char *text);

/** n random bytes from the kernel (never fails: blocks at most early in boot). */
void random_bytes(void *ret, size_t n);

/** Random lower-case hex of n digits and a NUL; ret: n + 1 bytes, n even and at most 64. */
void random_hex(char *ret, size_t n);

#endif
