/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs ahead of their time: a service that waits for others has its VM made meanwhile, up to the
 * point where the service is told to run. When its turn comes nothing is left to wait for.
 *
 *   service waits --ahead_tend--> made, silent --STEP_VM_CREATE, ahead_take--> as any instance
 *     it waits no more, or is another service now, or its VM failed: removed
 *
 * The reconciler knows nothing of them: they are no facts, views do not show them, and they tell no
 * events. A daemon that finds one of an earlier daemon ends it.
 */
#ifndef ORCHESTRATOR_AHEAD_H
#define ORCHESTRATOR_AHEAD_H

#include "orchestrator/daemon.h"

/**
 * After each plan: go on with those that are being made, end those that nobody waits for, and begin
 * the next, one at a time and only while nothing that was planned starts. true: there is one to
 * finish, or to begin, before the host has time for other things.
 */
bool ahead_tend(struct daemon *d);

/** That of a replica, as it is wanted now; it is the caller's. NULL: there is none. */
struct instance *ahead_take(struct daemon *d, const struct desired *desired,
                            const struct service *service, unsigned replica);

/** How many are there, and wait only for the service's turn; and how many are being made. */
void ahead_count(const struct daemon *d, unsigned *ret_made, unsigned *ret_making);

/** It is gone: forget it. false: it is not one of these. */
bool ahead_forget(struct daemon *d, const struct instance *instance);

/** End all, without waiting for it: the daemon ends. */
void ahead_close(struct daemon *d);

#endif
