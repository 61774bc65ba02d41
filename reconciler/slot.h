/* SPDX-License-Identifier: Apache-2.0 */
/* The replicas of one unit joined with their VMs and memories; see view.h. */
#ifndef RECONCILER_SLOT_H
#define RECONCILER_SLOT_H

#include "reconciler/view.h"

/** Fill unit->slots and unit->excess from the facts. */
void slots_fill(const struct view *view, struct unit *unit);

/** Whether the slot's replica has to get a VM, now or after its back-off. */
bool slot_wants_vm(const struct slot *slot);

/**
 * Whether the slot is on its way to the wanted spec, so that a rolling replacement waits for it:
 * not READY yet, and not failed either.
 */
bool slot_in_flight(const struct slot *slot);

/** Why VMs of another spec are replaced. */
const char *unit_change_text(const struct unit *unit);

/** Whether the unit satisfies a condition that another service puts on it. */
bool unit_satisfies(const struct unit *unit, enum depends_condition condition);

#endif
