/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of `berth why` and `berth events`, from the API's objects. docs/explain.md shows them;
 * a test holds it to what is written here.
 */
#ifndef ORCHESTRATOR_CLI_EXPLAIN_TEXT_H
#define ORCHESTRATOR_CLI_EXPLAIN_TEXT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/strbuf.h"

/* Lines of what a test of health said that are shown; the last ones. */
#define EXPLAIN_PROBE_LINES 10

/**
 * Where the services of a STATUS stand, and below each what its VMs add: "web: waiting for db:
 * ...". service: that one alone, and behind it what it waits for, and so on. false: there is none.
 */
bool explain_status(const json_t *status, const char *service, struct strbuf *out);

/** What the last test of a REPLICA that is not well said, a line each: "    | no response". */
void explain_probe(const json_t *replica, struct strbuf *out);

/** "2026-01-31T12:00:00Z  shop/web/1  started  ...". */
void explain_event(const json_t *event, struct strbuf *out);

#endif
