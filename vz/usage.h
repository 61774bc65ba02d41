/* SPDX-License-Identifier: Apache-2.0 */
/* What a QEMU process costs its host, from /proc. */
#ifndef VZ_USAGE_H
#define VZ_USAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct vm_usage {
        int64_t cpu_usec;       /* of all its threads, in user and kernel mode, since it started */
        int64_t private_bytes;  /* memory that would be free without it */
        int64_t template_bytes; /* of its template, used and not changed: there once for all clones
                                 */
        int64_t shared_bytes;   /* programs and libraries that other processes use, too */
};

/**
 * Read it. pid: of a process of this user. ESRCH: it is gone.
 *
 * A page of the template that the guest has written is anonymous memory of this process; one that
 * it only uses belongs to the template's file, also when no other clone uses it now. The kernel's
 * own sums (smaps_rollup) call that private, so the mappings are added up here.
 */
int vm_usage(pid_t pid, struct vm_usage *ret, struct err *err);

#endif
