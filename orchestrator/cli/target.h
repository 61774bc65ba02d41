/* SPDX-License-Identifier: Apache-2.0 */
/* Names of things that run: STACK, STACK/SERVICE, STACK/SERVICE/N, or SERVICE while it is unique.
 */
#ifndef ORCHESTRATOR_CLI_TARGET_H
#define ORCHESTRATOR_CLI_TARGET_H

#include "orchestrator/cli/cli.h"

struct target {
        char *stack;
        char *service;    /* NULL: the whole stack */
        unsigned replica; /* 0: not named */
};

/**
 * Split a text of the forms above; a single word becomes stack. EINVAL: another form, or a name
 * that cannot be one.
 */
int target_parse(const char *text, struct target *ret, struct err *err);

/** A service (or replica) is needed: a single word is looked up among all stacks' services. */
int target_service(struct cli *cli, const char *text, struct target *ret, struct err *err);

/** A stack or a service: a single word is a stack if there is one, else a unique service. */
int target_any(struct cli *cli, const char *text, struct target *ret, struct err *err);

/** Free the names. A zeroed one is fine. */
void target_release(struct target *target);

/** Path of the API for a service: "/v1/services/STACK/SERVICE[/N]", encoded. On the heap. */
char *target_path(const struct target *target);

#endif
