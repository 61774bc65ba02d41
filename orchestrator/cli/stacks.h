/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about one stack that several commands make. */
#ifndef ORCHESTRATOR_CLI_STACKS_H
#define ORCHESTRATOR_CLI_STACKS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/source.h"

/** PUT the manifest. ports: "manifest" or "auto". *ret: the answer, a new reference. */
int stack_put(struct cli *cli, const struct source *source, const char *ports, json_t **ret,
              struct err *err);

/** The present STATUS. -ENOENT: no such stack. */
int stack_status(struct cli *cli, const char *stack, json_t **ret, struct err *err);

/**
 * Print what applying would change, as -o asks. 0: nothing, 1: changes, STACK_REFUSED: the daemon
 * would not take them, standard error says why.
 */
#define STACK_REFUSED 2
int stack_diff_print(struct cli *cli, const struct source *source, FILE *out, struct err *err);

/** What made a revision, as history tells it, safe to show; on the heap, NULL: it is not there. */
int stack_note(struct cli *cli, const char *stack, int64_t revision, char **ret, struct err *err);

/** DELETE it; it goes down by itself then. */
int stack_delete(struct cli *cli, const char *stack, bool volumes, struct err *err);

/** POST a change (body as in api/wire.h). *ret: the answer, a new reference. */
int stack_change(struct cli *cli, const char *stack, const json_t *body, json_t **ret,
                 struct err *err);

#endif
