/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following a stack until it is as wanted: the STATUS stream of the API, shown on standard error as
 * a table that is redrawn in place (terminal) or as one line per change (pipe). Used by apply, ci,
 * wait and delete, which differ in what they wait for.
 */
#ifndef ORCHESTRATOR_CLI_PROGRESS_H
#define ORCHESTRATOR_CLI_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "orchestrator/cli/cli.h"

/*
 * A service that was restarted this often while we watch, and whose fellows have all settled, is
 * not waited for any longer: the fifth back-off already lasts three seconds.
 */
#define PROGRESS_RESTARTS_MAX 5
/* Nor is one that failed this often in a row, before or while we watch: a crash loop. */
#define PROGRESS_FAILURES_MAX 3

/* A service without a healthcheck counts as running when it has run for this long: many a program
 * that cannot work says so in its first second. */
#define PROGRESS_RUNNING_MS 1000

enum progress_end {
        PROGRESS_OK,      /* as wanted */
        PROGRESS_FAILED,  /* settled otherwise, or crash-looping */
        PROGRESS_GONE,    /* the stack does not exist any more */
        PROGRESS_TIMEOUT, /* the deadline passed */
        PROGRESS_WOKEN,   /* wake_fd became readable */
};

struct progress_service {
        char *name;
        char *phase;
        int64_t begun_ms;   /* first seen in a phase other than waiting */
        int64_t took_ms;    /* when it settled; -1: not yet */
        int64_t running_ms; /* came to phase running before our eyes; 0: not so */
        int64_t restarts_at_first;
        unsigned backoffs; /* how often it came to phase backoff */
};

struct progress {
        struct cli *cli;
        const char *stack;
        int64_t revision;    /* older statuses are passed over; 0: any */
        bool quiet;          /* show nothing */
        int64_t deadline_ms; /* of clock_mono_ms(); 0: none */
        bool wake;
        int wake_fd;
        /* What is waited for; NULL: settled and ok. Returns a progress_end, or -1 to go on. */
        int (*judge)(const struct progress *progress, const json_t *status);
        const void *judge_arg;

        /* State; read status after progress_follow(). */
        json_t *status; /* the last one; NULL: none came */
        struct progress_service *services;
        size_t services_len;
        int64_t started_ms;
        unsigned lines_drawn;
        bool dirty;
};

/** Follow until the judgement, the deadline or the end. Reconnects when berthd is restarted. */
int progress_follow(struct progress *progress, enum progress_end *ret_end, struct err *err);

/** Free what is held; draws nothing. A zeroed one is fine. */
/** Whether berthd took the revision that is waited for back, because its update failed. */
bool progress_undone(const struct progress *progress, const json_t *status);

/** Free what it holds; safe on a zeroed one. */
void progress_release(struct progress *progress);

/** All REPLICA of a status in one new array. */
json_t *status_replicas(const json_t *status);

/** For each service that is not ok: why, and the end of its log, on standard error. */
void progress_report(struct cli *cli, const char *stack, const json_t *status);

/** "1.2s", "45s", "3m05s"; ret: 32 bytes. */
void elapsed_text(int64_t ms, char *ret);

#endif
