/* SPDX-License-Identifier: Apache-2.0 */
/* `berth explain`: what the field tables of schema/ say about a key. */
#ifndef ORCHESTRATOR_CLI_EXPLAIN_H
#define ORCHESTRATOR_CLI_EXPLAIN_H

#include "base/err.h"
#include "base/strbuf.h"

/* Longest text of one explanation. */
#define EXPLAIN_MAX (256 * 1024)

/**
 * Append the explanation of a key: "services.healthcheck.interval", with the names of services and
 * the like left out, written as "*", or any name in their place; or of a last part alone, wherever
 * it occurs ("interval"). NULL: the top level.
 * ENOENT: no such key, with a suggestion.
 */
int explain(const char *key, struct strbuf *out, struct err *err);

#endif
