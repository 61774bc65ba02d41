/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only fork and exec of berth on the host. A child gets exactly the descriptors that are
 * listed, at the numbers that are listed, and nothing else; it runs in its own session, so that a
 * signal to the daemon's terminal does not reach it, and with default signal dispositions. Children
 * are watched by pidfd (see base/loop.h), never by SIGCHLD.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/leash.h"

/** Most descriptors one child can be given. */
#define SPAWN_FDS_MAX 64

struct spawn_fd {
        int ours;   /* stays the caller's */
        int theirs; /* its number in the child; 0, 1, 2 are standard streams */
};

/* A place of the host's file system that the child alone sees at another path as well. */
struct spawn_bind {
        const char *source; /* a file or a folder with all that is mounted in it */
        const char *target; /* is there, of the same kind */
        bool read_only;
};

struct spawn {
        const char *const *argv; /* argv[0] is a path, or a name to look up in PATH */
        const char *const *env;  /* NULL: the caller's environment */
        const char *cwd;         /* NULL: the caller's */
        const struct spawn_fd *fds;
        size_t fd_count;                /* 0, 1 and 2 default to /dev/null when not listed */
        const struct spawn_bind *binds; /* in this order, in a mount namespace of its own */
        size_t bind_count;
        bool foreground;           /* true: stay in the caller's session and process group */
        bool die_with_us;          /* killed by the kernel when the caller ends, however it ends */
        const struct leash *leash; /* NULL: none; also in fds */
        int nice;                  /* added to ours */
        uid_t uid;                 /* 0: keep; else drop to uid and gid for good, without groups */
        gid_t gid;
};

/**
 * Start a process. *ret_pid: the child's pid; *ret_pidfd: the caller's, close-on-exec.
 * Whoever started it must reap it with spawn_reap() once the pidfd is readable.
 * ENOENT, EACCES...: the program could not be executed or a bind not be made (the text names it);
 * then no child is left.
 */
int spawn_start(const struct spawn *spec, pid_t *ret_pid, int *ret_pidfd, struct err *err);

/**
 * Collect a child whose pidfd is readable, or wait for it. *ret_status: as from waitpid().
 * ECHILD: not our child (adopted after a restart); its status is not to be had.
 */
int spawn_reap(pid_t pid, int *ret_status, struct err *err);

/**
 * Run to the end and collect standard output (at most max bytes), for short helpers.
 * *ret_out is the caller's. EIO when the exit status is not 0; the text quotes standard error, or
 * standard output when nothing is there.
 */
int spawn_run(const struct spawn *spec, size_t max, char **ret_out, struct err *err);

#endif
