/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_CGROUP_H
#define VMINIT_CGROUP_H

/*
 * The service's cgroup (v2): /cgroup/service holds the service and everything executed beside it;
 * vminit itself stays in the root group, so that no limit of the service hits it.
 */

#include <stdint.h>

#include "vminit/config.h"
#include "vminit/fail.h"
#include "vminit/wire.h"

/**
 * Mount cgroup2 and create the group.
 */
int cgroup_boot(struct fail *f);

/**
 * Replace the service's cgroup, which must be empty, by a new one: its counters begin at 0.
 */
int cgroup_renew(struct fail *f);

/**
 * Give the group the configured limits. A limit the kernel cannot enforce
 * fails.
 */
int cgroup_setup(const struct config *c, struct fail *f);

/**
 * A directory descriptor of the group for clone3; the caller's. -1 without cgroups.
 */
int cgroup_open(void);

/**
 * SIGKILL every process in the group.
 */
void cgroup_kill(void);

/**
 * How many processes of the group the kernel killed for memory so far.
 */
uint64_t cgroup_oom_kills(void);

/**
 * A descriptor of memory.events that becomes EPOLLPRI-ready when the count above changes; the
 * caller's, or -1.
 */
int cgroup_open_events(void);

/**
 * Put the group's figures, the guest's memory and vminit's own into an open STATS_REPLY frame.
 */
void cgroup_put_stats(struct wire_writer *w);

#endif
