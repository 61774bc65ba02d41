/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .env and env_file: lines of [export] KEY=VALUE, KEY: VALUE, or KEY alone (the environment's value
 * when it has one). Values: unquoted (spaces around are cut, " #" begins a comment, variables are
 * replaced), 'as it is', "with \n escapes and variables"; quoted ones may span lines.
 */
#ifndef SCHEMA_DOTENV_H
#define SCHEMA_DOTENV_H

#include <stdbool.h>

#include "schema/diag.h"
#include "schema/env.h"

#define DOTENV_SIZE_MAX (1024 * 1024)
#define DOTENV_VARS_MAX 10000

/**
 * Read text into env->vars, in order; later lines see earlier ones. raw: no quotes, no variables.
 * file: for the places of findings; path: what they are about ("" for .env).
 * 0: done; -EINVAL: findings were added, the good lines are in.
 */
int dotenv_read(const char *file, const char *path, const char *text, bool raw, struct env *env,
                struct diags *diags);

#endif
