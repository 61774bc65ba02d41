/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every command of `berth` shares: the exit codes, the command table's row, and the context a
 * command runs in. A command is one row of a table in its cmd_*.c and one line in main.c. Data goes
 * to standard output; progress, warnings and errors go to standard error.
 */
#ifndef ORCHESTRATOR_CLI_CLI_H
#define ORCHESTRATOR_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/roots.h"
#include "orchestrator/cli/args.h"

/* Exit codes, the same for all commands; docs/cli.md shows them to users. */
enum cli_exit {
        CLI_OK = 0,
        CLI_FAILED = 1,         /* the operation failed; diff: differences found */
        CLI_USAGE = 64,         /* unknown command or option, missing argument */
        CLI_INVALID = 65,       /* the manifest is invalid */
        CLI_NO_INPUT = 66,      /* a file does not exist */
        CLI_UNAVAILABLE = 69,   /* berthd cannot be reached or started */
        CLI_INTERNAL = 70,      /* a bug */
        CLI_CANT_CREATE = 73,   /* no space, or a folder cannot be made */
        CLI_TEMPORARY = 75,     /* locked, or moved on meanwhile: try again */
        CLI_NO_PERMISSION = 77, /* not allowed */
        CLI_TIMEOUT = 124,      /* --timeout passed */
        CLI_NOT_UP = 125,       /* exec, ci: berth could not get as far as the command */
        CLI_NOT_EXECUTABLE = 126,
        CLI_NOT_FOUND = 127,
        CLI_SIGNAL = 128, /* + number: ended by a signal */
};

enum cli_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_YAML };

/* The context of one run of the program. */
struct cli {
        struct roots roots;
        enum cli_format format; /* -o */
        bool out_tty, err_tty;  /* terminals? */
        bool colour_out, colour_err;
        bool have_daemon; /* its socket answered in this run */
        bool no_start;    /* never start one: who is to end it, or owns it, is somebody else */
};

struct command {
        const char *name;                 /* "apply", "image load" */
        const char *alias;                /* "down"; NULL: none */
        const char *usage;                /* behind the name: "[OPTIONS] STACK" */
        const char *about;                /* one line for the list of commands */
        const char *help;                 /* paragraphs and examples for --help; NULL: none */
        const struct option_def *options; /* ended by an empty row; NULL: none */
        unsigned operands_min, operands_max;
        bool rest; /* operands past the first operands_min are a command line: no options there */
        int (*run)(struct cli *cli, const struct args *args); /* returns the exit code */
};

/* Row of the option table for commands that show lists or objects. */
#define OPTION_OUTPUT                                          \
        {                                                      \
                'o', "output", "FORMAT", "table, json or yaml" \
        }

/** Print "error: ..." and return the exit code that err->code stands for. */
int cli_fail(const struct err *err);

/** The same where bad input means a manifest or an archive, not the command line: 65, not 64. */
int cli_fail_input(const struct err *err);

/** Print "error: ..." and return code. */
int cli_error(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Print "warning: ..." */
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Print "error: ..." with a hint at --help of command (NULL: berth itself); returns CLI_USAGE. */
int cli_usage(const struct command *command, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

/** Where a colour or style may be used: the escape sequence, or "" when not. */
const char *cli_style(bool wanted, const char *sequence);

#define STYLE_RED    "\033[31m"
#define STYLE_GREEN  "\033[32m"
#define STYLE_YELLOW "\033[33m"
#define STYLE_DIM    "\033[2m"
#define STYLE_BOLD   "\033[1m"
#define STYLE_OFF    "\033[0m"

/**
 * Print a value on standard output as -o asks: JSON with an indent, or YAML. Takes nothing.
 * Returns CLI_OK, or an exit code when standard output failed.
 */
int cli_print_value(const struct cli *cli, const json_t *value);

/** Parse --timeout or another duration option; absent: fallback_ms. Prints the error itself. */
int cli_duration(const struct args *args, const char *option, int64_t fallback_ms, int64_t *ret_ms);

/** The nearest of the names to a mistyped word, or NULL when none is near. */
const char *cli_suggest(const char *word, const char *const *names, size_t count);

#endif
