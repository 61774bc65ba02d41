/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "storage/auth.h"
#include "storage/credentials.h"
#include "storage/pull.h"
#include "storage/reference.h"

/* What registries, token servers and files of credentials say (first byte: which). */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_challenge(const char *text)
{
        const struct registry_endpoint endpoint = {.host = (char *)(uintptr_t) "r.test:5000",
                                                   .account = (char *)(uintptr_t) "r.test:5000"};
        struct challenge challenge = {0};
        struct err err = ERR_INIT;

        challenge_add(&challenge, text);
        challenge_add(&challenge, text);
        if (challenge.realm)
                (void)auth_realm_check(challenge.realm, &endpoint, false, &err); /* no crash */
        (void)auth_redirect_allowed(text, &endpoint, true);
        challenge_release(&challenge);
}

static void take_token(const char *text, size_t len)
{
        AUTO_FREE char *token = NULL;
        struct err err = ERR_INIT;
        int64_t seconds;

        if (auth_token_parse(text, len, &token, &seconds, &err) == 0 &&
            (strpbrk(token, "\r\n ") || seconds < 0))
                abort();
}

static void take_credentials(const char *text, size_t len)
{
        struct credentials credentials;
        AUTO_FREE char *helper = NULL;
        struct err err = ERR_INIT;

        (void)credentials_parse(text, len, "fuzz", "r.test:5000", "team/web", &credentials, &helper,
                                &err); /* as above */
        credentials_release(&credentials);
}

static void take_document(const char *text, size_t len, const char *type)
{
        AUTO_JSON json_t *json = NULL;
        const char *kind = NULL;
        struct err err = ERR_INIT;

        if (pull_check_document(text, len, type, "fuzz", &json, &kind, &err) == 0 && !kind)
                abort();
}

static void take_reference(const char *text)
{
        AUTO(reference) struct reference *reference = NULL;
        struct err err = ERR_INIT;

        if (reference_parse(text, &reference, &err) == 0 &&
            (strchr(reference->path, ':') || strchr(reference->host, '/') ||
             (!reference->tag && !reference->digest)))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO_FREE char *text = NULL;

        if (size < 1 || size > OCI_DOCUMENT_MAX)
                return 0;
        text = xcalloc(1, size);
        memcpy(text, data + 1, size - 1);
        switch (data[0] % 6) {
        case 0:
                take_challenge(text);
                break;
        case 1:
                take_token(text, size - 1);
                break;
        case 2:
                take_credentials(text, size - 1);
                break;
        case 3:
                take_document(text, size - 1, NULL);
                break;
        case 4:
                take_document(text, size - 1, OCI_TYPE_INDEX);
                break;
        default:
                take_reference(text);
        }
        return 0;
}
