/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines to words as a shell would split them; no shell is run, nothing is expanded. */
#ifndef SCHEMA_WORDS_H
#define SCHEMA_WORDS_H

#include "base/err.h"
#include "schema/manifest.h"

/**
 * Split text at spaces outside of 'quotes', "quotes" and \escapes; the words are added to list.
 * 0: done. 1: an unquoted ; & | < or > stands at *ret_operator, where Compose drops the rest: so
 * does this. -EINVAL: a quote is not closed.
 */
int words_split(const char *text, struct str_list *list, const char **ret_operator,
                struct err *err);

#endif
