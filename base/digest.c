/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

struct digest {
        EVP_MD_CTX *ctx;
};

static void hex(const uint8_t *bytes, size_t n, char *ret)
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < n; i++) {
                ret[2 * i] = digits[bytes[i] >> 4];
                ret[2 * i + 1] = digits[bytes[i] & 15];
        }
        ret[2 * n] = '\0';
}

struct digest *digest_new(void)
{
        static EVP_MD *sha256; /* EVP_sha256() would be looked up anew by each digest */
        struct digest *d = xnew(struct digest);

        if (!sha256)
                sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        d->ctx = EVP_MD_CTX_new();
        if (!sha256 || !d->ctx || EVP_DigestInit_ex(d->ctx, sha256, NULL) != 1)
                bug("SHA-256 is not available");
        return d;
}

void digest_free(struct digest *d)
{
        if (!d)
                return;
        EVP_MD_CTX_free(d->ctx);
        free(d);
}

void digest_update(struct digest *d, const void *data, size_t n)
{
        if (EVP_DigestUpdate(d->ctx, data, n) != 1)
                bug("digest update failed");
}

void digest_final_text(struct digest *d, char *ret)
{
        uint8_t bytes[DIGEST_SIZE];

        if (EVP_DigestFinal_ex(d->ctx, bytes, NULL) != 1)
                bug("digest finalisation failed");
        memcpy(ret, "sha256:", 8); /* hex() writes over this NUL */
        hex(bytes, sizeof(bytes), ret + 7);
}

void digest_text(const void *data, size_t n, char *ret)
{
        AUTO(digest) struct digest *d = digest_new();

        digest_update(d, data, n);
        digest_final_text(d, ret);
}

bool digest_valid(const char *text)
{
        return has_prefix(text, "sha256:") && strlen(text) == 71 &&
               strspn(text + 7, "0123456789abcdef") == 64;
}

void random_bytes(void *ret, size_t n)
{
        uint8_t *p = ret;

        while (n) {
                ssize_t got = getrandom(p, n, 0);

                if (got < 0 && errno != EINTR)
                        bug("getrandom failed");
                if (got > 0) {
                        p += got;
                        n -= (size_t)got;
                }
        }
}

void random_hex(char *ret, size_t n)
{
        uint8_t bytes[32];

        assert(n % 2 == 0 && n <= 2 * sizeof(bytes));
        random_bytes(bytes, n / 2);
        hex(bytes, n / 2, ret);
}
