/* SPDX-License-Identifier: Apache-2.0 */
/* What registries ask for before they answer: challenges, and which token servers are believed. */
#ifndef STORAGE_AUTH_H
#define STORAGE_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/registry_config.h"

#define AUTH_ANSWER_MAX (256u << 10) /* bytes of a token server's answer; real ones have 4 KiB */
#define AUTH_TOKEN_MAX  (64u << 10)

/* All challenges of an answer, merged: Bearer is preferred where both are offered. */
struct challenge {
        bool basic, bearer;
        char *realm, *service, *scope, *error; /* of Bearer; NULL: absent */
};

/** Take one WWW-Authenticate value in; call it for each header. Nonsense is skipped. */
void challenge_add(struct challenge *challenge, const char *value);
void challenge_release(struct challenge *challenge);

/**
 * Whether credentials may go to a Bearer realm: https (or http where the registry itself is spoken
 * to in http), and no address of this machine, of a link or of a private network, unless the
 * registry's host is that very one. EACCES: no, and why.
 */
int auth_realm_check(const char *realm, const struct registry_endpoint *endpoint, bool http,
                     struct err *err);

/** Whether a redirect may lead to url (http: how the registry is spoken to). */
bool auth_redirect_allowed(const char *url, const struct registry_endpoint *endpoint, bool http);

/**
 * The token of a token server's answer, and for how many seconds it is good (60 when it does not
 * say). EPROTO: no token in it. *ret: the caller's.
 */
int auth_token_parse(const char *text, size_t len, char **ret, int64_t *ret_seconds,
                     struct err *err);

#endif
