/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a network in its folder: paths, and the description in netd.json. */
#ifndef NETWORK_NETD_FILE_H
#define NETWORK_NETD_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define NETD_SOCKET "netd.sock" /* control socket */
#define NETD_JSON   "netd.json" /* who serves it */
#define NETD_LOG    "netd.log"  /* its standard error: empty unless something broke */

#define NETD_FILE_VERSION 1

/** Write DIR/netd.json for the calling process; spec as text: "10.1.2.0/24". */
int netd_file_write(const char *dir, const char *stack, const char *name, const char *subnet,
                    struct err *err);

/**
 * A pidfd of the netd that DIR/netd.json describes, checked by pid and start time. ESRCH, ENOENT:
 * there is none; other errors: the file is unreadable. ret_pid may be NULL.
 */
int netd_file_open(const char *dir, pid_t *ret_pid, int *ret_pidfd, struct err *err);

/** A pidfd of a process that is named by pid and start time. ESRCH when it is gone. */
int netd_process_open(pid_t pid, uint64_t start_time, int *ret_pidfd, struct err *err);

/** Remove socket, description and log; what is not there is fine. */
void netd_file_remove(const char *dir);

#endif
