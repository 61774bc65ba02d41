/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's programs that keep credentials (docker-credential-NAME), asked to keep and to forget. */
#ifndef ORCHESTRATOR_CLI_CREDENTIAL_HELPER_H
#define ORCHESTRATOR_CLI_CREDENTIAL_HELPER_H

#include <jansson.h>

#include "base/err.h"

/** The helper that a config.json names for a registry; NULL: none. Borrowed from config. */
const char *credential_helper_of(const json_t *config, const char *registry);

/** server: as files name the registry. */
int credential_helper_store(const char *helper, const char *server, const char *username,
                            const char *password, struct err *err);
int credential_helper_erase(const char *helper, const char *server, struct err *err);

#endif
