/* SPDX-License-Identifier: Apache-2.0 */
/* The pictures of progress.c on standard error: a table redrawn in place, or lines; and reports. */
#ifndef ORCHESTRATOR_CLI_DRAW_H
#define ORCHESTRATOR_CLI_DRAW_H

#include <jansson.h>
#include <stdio.h>

struct cli;
struct progress;
struct progress_service;

/** "waiting for db", "failed: exit code 3": a service's phase and why, safe to show. On the heap.
 */
char *service_text(const json_t *service);

/** Draw the table of p->status over the former one. */
void draw_live(struct progress *p);

/**
 * The last lines of what a service wrote, "    | ...", below the heading if there are any; of one
 * that did not boot, those of its boot. lines: a number as text.
 */
void log_print(struct cli *cli, const char *stack, const json_t *service, const char *lines,
               const char *heading, FILE *out);

/** One plain line: "db: healthy after 1.2s". service: its part of the status. */
void draw_change(const struct progress_service *s, const json_t *service);

#endif
