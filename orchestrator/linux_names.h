/* SPDX-License-Identifier: Apache-2.0 */
/* What manifests call by name and Linux by number: signals, resource limits, capabilities. */
#ifndef ORCHESTRATOR_LINUX_NAMES_H
#define ORCHESTRATOR_LINUX_NAMES_H

#include <stdint.h>

#include "base/err.h"

/* The set of all capabilities. */
#define CAPABILITIES_ALL ((UINT64_C(1) << 41) - 1)

/** Number of "SIGTERM", "TERM", "RTMIN+3" or "15"; 0: there is no such signal. */
int linux_signal(const char *name);

/** RLIMIT_X of "nofile"; -1: there is no such limit. */
int linux_limit(const char *name);

/** The set of "NET_ADMIN", "CAP_NET_ADMIN" or "ALL", a bit each. EINVAL: no capability. */
int linux_capabilities(const char *name, uint64_t *ret, struct err *err);

#endif
