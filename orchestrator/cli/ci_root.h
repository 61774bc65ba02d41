/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance of berth for one run of `berth ci`: a temporary root with its own berthd, which holds
 * the read end of a pipe of ours. When we end, however that happens, the daemon sees the hang-up,
 * takes everything down, removes the root and ends. The byte 'k' on the pipe gives the instance up
 * to the user instead (--keep).
 */
#ifndef ORCHESTRATOR_CLI_CI_ROOT_H
#define ORCHESTRATOR_CLI_CI_ROOT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/roots.h"
#include "orchestrator/cli/cli.h"

struct ci_root {
        struct cli cli; /* like the caller's, with the roots of this instance */
        int owner_fd;   /* write end; -1: given away or closed */
        pid_t pid;      /* of berthd */
        int pidfd;      /* -1: none was started */
};

/** Make the root and start its daemon. outer: for images, formats and terminals. */
int ci_root_start(const struct cli *outer, struct ci_root *ret, struct err *err);

/**
 * Take everything down and wait until the root is gone. signal_fd: readable means not to wait any
 * longer, the daemon goes on by itself.
 */
void ci_root_stop(struct ci_root *root, int signal_fd);

/** Leave it running and tell how to reach and remove it. */
void ci_root_keep(struct ci_root *root);

#endif
