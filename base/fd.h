/* SPDX-License-Identifier: Apache-2.0 */
/* File descriptors: whole reads and writes, unix sockets, passing descriptors, pidfds. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/** Most descriptors one message may carry. */
#define FD_PASS_MAX 8

/** Write all n bytes (blocking or not, retries EINTR). <0: err set, an unknown part was written. */
int fd_write_all(int fd, const void *data, size_t n, struct err *err);

/** Set O_NONBLOCK. */
int fd_set_nonblock(int fd, struct err *err);

/**
 * Listening stream socket at path (an old socket file there is removed), mode 0600, non-blocking.
 * path: shorter than 108 bytes. The descriptor is the caller's.
 */
int fd_listen_unix(const char *path, int *ret_fd, struct err *err);

/** Connected stream socket to path; ECONNREFUSED or ENOENT when nobody serves it. */
int fd_connect_unix(const char *path, int *ret_fd, struct err *err);

/**
 * Send n bytes with up to FD_PASS_MAX descriptors over a unix socket (SCM_RIGHTS), in one sendmsg.
 * The descriptors stay the caller's.
 */
int fd_send(int sock, const void *data, size_t n, const int *fds, size_t fd_count, struct err *err);

/**
 * Receive up to n bytes and up to FD_PASS_MAX descriptors (close-on-exec, the caller's).
 * ret_fds: FD_PASS_MAX slots; unused ones become -1. Returns the byte count, 0 at end of stream,
 * -EAGAIN (err not set) when a non-blocking socket has nothing.
 */
ssize_t fd_recv(int sock, void *data, size_t n, int *ret_fds, struct err *err);

/** A pidfd of a live process. ESRCH when there is none. */
int fd_pidfd_open(pid_t pid, int *ret_fd, struct err *err);

/** Send signo to the process behind a pidfd; ESRCH when it is gone. */
int fd_pidfd_signal(int pidfd, int signo, struct err *err);

/**
 * Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat): together with the
 * pid it names a process for good, though pids are used again. ESRCH when there is none.
 */
int fd_proc_start_time(pid_t pid, uint64_t *ret_ticks, struct err *err);

#endif
