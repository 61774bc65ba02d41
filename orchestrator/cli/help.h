/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts, made from the command tables. */
#ifndef ORCHESTRATOR_CLI_HELP_H
#define ORCHESTRATOR_CLI_HELP_H

#include <stdio.h>

#include "orchestrator/cli/cli.h"

/* A group of commands in the list of `berth --help`. */
struct command_group {
        const char *title;
        const struct command *const *commands; /* NULL-terminated */
};

/** The overview: what berth is, all commands by group, the options, the next step. */
void help_program(const struct command_group *groups, size_t count, FILE *out);

/** Everything about one command. */
void help_command(const struct command *command, FILE *out);

#endif
