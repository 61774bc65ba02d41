/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of `berth why` and `berth events`: one line a service, a replica, an event, from the
 * API's objects. docs/explain.md shows them; a test holds it to what is written here.
 */
#ifndef ORCHESTRATOR_CLI_EXPLAIN_TEXT_H
#define ORCHESTRATOR_CLI_EXPLAIN_TEXT_H

#include <jansson.h>

#include "base/strbuf.h"

/** "web: waiting: waiting for db: ...", and a line below for each of its replicas. */
void explain_service(const json_t *service, struct strbuf *out);

/** "2026-01-31T12:00:00Z  shop/web/1  started  ...". */
void explain_event(const json_t *event, struct strbuf *out);

#endif
