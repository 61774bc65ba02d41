/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last tests of a service's health, for people: when, with what result, what the test said.
 * Plain data, bounded: PROBE_LOG_MAX tests of at most PROBE_OUTPUT_MAX bytes each; the oldest one
 * goes first. In JSON it is part of the API (`inspect`) and of a VM's state file.
 */
#ifndef ORCHESTRATOR_PROBE_LOG_H
#define ORCHESTRATOR_PROBE_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many as Docker keeps. */
#define PROBE_LOG_MAX 5
/* How much of a test's output is kept. */
#define PROBE_OUTPUT_MAX 4096

struct probe_result {
        int64_t start_ns, end_ns; /* wall clock */
        int code;                 /* exit code; -1: it did not end in time, or could not run */
        char *output;             /* bytes of the guest, a NUL behind them; NULL: none */
        size_t output_len;
        bool truncated; /* it said more */
        char *message;  /* why it failed; NULL: it passed */
};

struct probe_log {
        struct probe_result items[PROBE_LOG_MAX]; /* the oldest first */
        size_t len;
};

/** Add the newest one; its output and message are taken, and cut at the bounds. */
void probe_log_add(struct probe_log *log, struct probe_result *result);

/** Forget all. A zeroed one is fine. */
void probe_log_clear(struct probe_log *log);

/** [{start, end, exit_code, output, truncated, message}], the oldest first. A new reference. */
json_t *probe_log_to_json(const struct probe_log *log);

/** The newest one alone, or NULL. A new reference. */
json_t *probe_log_last_json(const struct probe_log *log);

/** Read that back into an empty log; what makes no sense is left out. json: may be NULL. */
void probe_log_from_json(struct probe_log *log, const json_t *json);

#endif
