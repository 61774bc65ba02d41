/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting berthd when nobody serves the socket. A lock file keeps two CLIs from starting two; the
 * daemon runs in its own session with its output in STATE/berthd.log, and says on a pipe when it is
 * ready. When it fails, the end of its log is shown.
 */
#ifndef ORCHESTRATOR_CLI_DAEMON_H
#define ORCHESTRATOR_CLI_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/roots.h"

struct cli;

/** Start the daemon unless it serves already; a no-op after the first success of a run. */
int daemon_ensure(struct cli *cli, struct err *err);

/** Whether somebody serves the socket now. */
bool daemon_serving(const struct roots *roots);

/* A daemon of one's own, for `berth ci`. */
struct daemon_start {
        const struct roots *roots;
        const char *images; /* passed as --images; NULL: not passed */
        int owner_fd;       /* passed as --owner-fd: its hang-up ends the instance; -1: none */
};

/**
 * Start berthd and wait until it serves. *ret_pid, *ret_pidfd: of the process (the pidfd is the
 * caller's). The end of its log has been printed to standard error when it fails.
 */
int daemon_start(const struct daemon_start *start, pid_t *ret_pid, int *ret_pidfd, struct err *err);

#endif
