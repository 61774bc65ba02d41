/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of the command of `berth ci`: where the stack's services are to be found.
 *
 *   BERTH_STACK, BERTH_ROOT      the stack's name; makes berth itself work inside the command
 *   BERTH_<SVC>_HOST _PORT       the first published port of the service
 *   BERTH_<SVC>_URL              "http://HOST:PORT" of the first published TCP port
 *   BERTH_<SVC>_<TARGET>_PORT    the published port for a port of the service
 *   BERTH_<SVC>_<TARGET>_ADDR    "HOST:PORT" of it
 *
 * SVC is the service's name in capitals, every other character as "_".
 */
#ifndef ORCHESTRATOR_CLI_CI_ENV_H
#define ORCHESTRATOR_CLI_CI_ENV_H

#include <jansson.h>

#include "base/err.h"

struct ci_env {
        char **items; /* NAME=value */
        size_t len;
};

/** Set a variable; an inherited or former one of that name is replaced. */
void ci_env_set(struct ci_env *env, const char *name, const char *value);

/**
 * Start from a NULL-terminated environment and add what the status tells.
 * EEXIST: two services have the same name in capitals.
 */
int ci_env_build(struct ci_env *env, const char *const *inherited, const json_t *status,
                 struct err *err);

/** Free all variables. A zeroed one is fine. */
void ci_env_release(struct ci_env *env);

/** "my-app" -> "MY_APP", on the heap. */
char *ci_env_name(const char *service);

#endif
