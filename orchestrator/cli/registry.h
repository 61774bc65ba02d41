/* SPDX-License-Identifier: Apache-2.0 */
/* This user's file of registry credentials: for berthd to look into, and for login to write. */
#ifndef ORCHESTRATOR_CLI_REGISTRY_H
#define ORCHESTRATOR_CLI_REGISTRY_H

#include "base/err.h"

/**
 * $REGISTRY_AUTH_FILE, or config.json below $DOCKER_CONFIG, or ~/.docker/config.json, absolute.
 * NULL: no home. On the heap.
 */
char *registry_login_file(void);

/**
 * Keep credentials for a registry ("docker.io", "host:5000") in file, which becomes 0600, or in the
 * credential helper that the file names. *ret_where: where that was, for people; on the heap.
 */
int registry_login_store(const char *file, const char *registry, const char *username,
                         const char *password, char **ret_where, struct err *err);

/** Forget them. Outcome REGISTRY_UNKNOWN (1): there were none. */
#define REGISTRY_UNKNOWN 1
int registry_login_erase(const char *file, const char *registry, struct err *err);

#endif
