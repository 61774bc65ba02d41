/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a plan, each adding its steps; see reconcile.c for their order. */
#ifndef RECONCILER_STEPS_H
#define RECONCILER_STEPS_H

#include "reconciler/view.h"

/** Find the images that services need a VM of. */
void steps_images(const struct view *view, struct plan *plan);

/** Stop and remove VMs of what is desired no more, dependants first. */
void steps_leaving(const struct view *view, struct plan *plan);

/** Stop and remove VMs of desired services: too many, of another spec, ended. */
void steps_stops(struct view *view, struct plan *plan);

/** Remove and create networks. */
void steps_networks(const struct view *view, struct plan *plan);

/** Whether the network failed and is not tried again before net->retry_at_ms. */
bool net_is_in_backoff(const struct view *view, const struct net *net);

/** Start what is due of one unit; the gate of its dependencies is open. */
void steps_starts(struct unit *unit, struct plan *plan);

/** Its gate will not open: VMs that are kept for another run go. */
void steps_drop_idle(struct unit *unit, struct plan *plan);

/** Whether image and networks are there for a new VM. */
bool unit_is_equipped(const struct unit *unit);

/** Stop the VM of a slot. reason: taken. */
void plan_stop_slot(struct unit *unit, struct slot *slot, struct plan *plan, char *reason);

/** Append a step on that VM. reason: taken. */
void plan_add_vm(struct plan *plan, enum step_kind kind, const struct vm_fact *vm, char *reason);

#endif
