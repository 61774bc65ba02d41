/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_LAUNCH_H
#define VMINIT_LAUNCH_H

/*
 * Starts a process in the service's view of the guest.
 *
 *      the service itself   new pid, mount and cgroup namespaces; its root is ROOTFS_ROOT; it is
 * pid 1 there beside it (exec)     joins the namespaces of the service
 *
 * The child reports a failure as one `struct fail` through a pipe that exec closes: end of file
 * without a report means that the program runs. child.c is what happens in the child between clone
 * and exec.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vminit/config.h"
#include "vminit/fail.h"

struct launch {
        const struct config *config;
        const char *const *args; /* NULL ends, as do all of these */
        const char *const *env;
        const char *const *extra_env; /* over env; or NULL */
        const char *user;
        const char *workdir;
        bool make_workdir;
        bool tty; /* stdio[0] is a terminal and becomes the controlling one */
        bool privileged;
        int stdio[3];   /* the child's ends; the caller closes them afterwards */
        int cgroup;     /* directory, or -1 */
        int join;       /* pidfd of the service, or -1: start the service */
        int own_pid_ns; /* vminit's pid namespace, to come back to */
};

/**
 * true: the process is a keeper (reaper.h) and the program a child of it. Not below an init, which
 * buries everything, nor for a probe of ours, which has no children.
 */
bool launch_is_kept(const struct launch *l);

/**
 * Start it. 0: *ret_pid is a child of vminit, *ret_report (non-blocking, the caller's) the pipe.
 * <0: nothing runs.
 */
int launch_start(const struct launch *l, pid_t *ret_pid, int *ret_report, struct fail *f);

/**
 * Read the report. 1: the program runs (or the report pipe is gone). 0: nothing known yet. <0: it
 * did not start, *f is the child's.
 */
int launch_report(int report, struct fail *f);

/**
 * The child's side: never returns.
 */
_Noreturn void launch_child(const struct launch *l, int report);

#endif
