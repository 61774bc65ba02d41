/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests as the command line names them: -f FILE (repeatable), else those of BERTH_FILE or
 * COMPOSE_FILE, of the environment or of .env, else the first of the usual names in the present
 * folder or the nearest one above; with -p, --project-directory, --env-file and the environment.
 */
#ifndef ORCHESTRATOR_CLI_SOURCE_H
#define ORCHESTRATOR_CLI_SOURCE_H

#include <jansson.h>

#include "orchestrator/cli/cli.h"
#include "schema/load.h"
#include "schema/places.h"

/* Rows for commands that read manifests. */
#define OPTION_FILE                                                                         \
        {                                                                                   \
                'f', "file", "FILE", "the manifest; repeat it to merge more over the first" \
        }
#define OPTION_PROJECT                                                                  \
        {'p', "project-name", "NAME", "name of the stack instead of the manifest's"},   \
        {                                                                               \
                0, "project-directory", "DIR",                                          \
                        "where relative paths start and .env is, instead of the first " \
                        "manifest's folder"                                             \
        }
#define OPTION_ENV_FILE                                                              \
        {                                                                            \
                0, "env-file", "FILE", "values for ${NAME} instead of those in .env" \
        }
#define OPTION_PROFILE                                                                   \
        {                                                                                \
                0, "profile", "NAME", "services of this profile, too; repeat it; *: all" \
        }
#define OPTION_STRICT                                         \
        {                                                     \
                0, "strict", NULL, "take warnings for errors" \
        }

struct source {
        struct stack *stack;
        struct places *places; /* where its values stand */
        char *name;   /* absolute paths of the files, joined by ",": the owner of the stack */
        char *file;   /* the first file as given, for messages */
        json_t *json; /* canonical */
};

/**
 * Load what the options name (rows OPTION_FILE, OPTION_PROJECT, OPTION_ENV_FILE, OPTION_PROFILE
 * and OPTION_STRICT must be in the table). Findings go to standard error. Returns CLI_OK, or an
 * exit code after printing why.
 */
int source_load(const struct args *args, struct source *ret);

/**
 * The same for what is not to run: an image that unset variables leave without a name is a warning.
 * Findings are collected in *ret_diags and not printed, unless ret_diags is NULL.
 */
int source_look(const struct args *args, struct source *ret, struct diags *ret_diags);

/** The same for one file without options. quiet: findings are collected in *ret_diags instead. */
int source_load_file(const char *path, struct source *ret, struct diags *ret_diags,
                     struct err *err);

/** Free what was read. A zeroed one is fine. */
void source_release(struct source *source);

/** The name of the stack that options mean for delete: read from the manifest. */
int source_stack_name(const struct args *args, char **ret);

#endif
