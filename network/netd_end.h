/* SPDX-License-Identifier: Apache-2.0 */
/* How a netd ends: by our hand, or by itself, and then why. */
#ifndef NETWORK_NETD_END_H
#define NETWORK_NETD_END_H

#include <ev.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/** Kill it; it is reaped from the loop when it is gone. pidfd: taken. */
void netd_end_kill(struct ev_loop *loop, pid_t pid, int pidfd);

/** Its last words in DIR/netd.log, if any, as the cause that err is to tell; label goes before. */
void netd_end_words(const char *dir, const char *label, struct err *err);

/** "ended with status 1", where the kernel tells us: it does of our children only. */
void netd_end_describe(pid_t pid, char *ret, size_t size);

#endif
