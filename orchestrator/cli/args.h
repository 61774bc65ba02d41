/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of one command, parsed by its option table: short options in one word ("-it"),
 * values attached or apart ("-fX", "-f X", "--file=X", "--file X"), options and operands mixed,
 * "--" ends the options.
 */
#ifndef ORCHESTRATOR_CLI_ARGS_H
#define ORCHESTRATOR_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct command;

struct option_def {
        char letter;       /* 0: none */
        const char *name;  /* long name without dashes */
        const char *value; /* placeholder of its value; NULL: a flag */
        const char *help;
};

struct arg_option {
        const struct option_def *def;
        const char *value; /* NULL: a flag */
};

struct args {
        const struct command *command;
        struct arg_option *options; /* in order of the command line */
        size_t options_len;
        const char **operands; /* borrowed from argv */
        size_t operands_len;
        bool help; /* -h or --help was there: nothing else was checked */
};

/* Options that every command takes, behind its own. */
extern const struct option_def args_common[];

/**
 * Parse argv (without program and command words; NULL-terminated) by the command's table.
 * EINVAL: unknown option (with a suggestion), missing value, too few or too many operands.
 */
int args_parse(const struct command *command, const char *const *argv, struct args *ret,
               struct err *err);
void args_release(struct args *args);

/** Whether a flag was given. name: must be in the table. */
bool args_flag(const struct args *args, const char *name);

/** The last value of an option, or NULL. */
const char *args_value(const struct args *args, const char *name);

/** All its values in order: a NULL-terminated array on the heap; *ret_len may be NULL. */
const char **args_values(const struct args *args, const char *name, size_t *ret_len);

/** Operand number i, or NULL. */
const char *args_operand(const struct args *args, size_t i);

#endif
