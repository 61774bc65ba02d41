/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of registries, as docker and podman keep them. The first file that knows the host:
 *
 *   the file that was asked for | $REGISTRY_AUTH_FILE | $XDG_RUNTIME_DIR/containers/auth.json |
 *   ~/.config/containers/auth.json | $DOCKER_CONFIG/config.json or ~/.docker/config.json
 *
 * In a file: credHelpers[host], then credsStore, then auths[host]; in auths the longest key that is
 * the host or a namespace below it ("quay.io/team"). Helpers are run (docker-credential-NAME get).
 */
#ifndef STORAGE_CREDENTIALS_H
#define STORAGE_CREDENTIALS_H

#include "base/err.h"

struct credentials {
        char *username, *password; /* NULL: anonymous */
        char *identity_token;      /* an OAuth refresh token instead of a password */
        char *source;              /* the file or helper they come from; NULL: none */
};

/**
 * Look up host ("docker.io", "localhost:5000") and repository path. file: asked for, or NULL.
 * Nothing found is anonymous. EINVAL: a broken file (named). EIO: a helper failed.
 */
int credentials_find(const char *host, const char *path, const char *file, struct credentials *ret,
                     struct err *err);
void credentials_release(struct credentials *credentials);

/** Parse one file's text; found tells whether it knows the host. For credentials_find and fuzzing.
 */
int credentials_parse(const char *text, size_t len, const char *what, const char *host,
                      const char *path, struct credentials *ret, char **ret_helper,
                      struct err *err);

#endif
