/* SPDX-License-Identifier: Apache-2.0 */
/* The present state of a service in plain words. */
#ifndef RECONCILER_WHY_H
#define RECONCILER_WHY_H

#include "reconciler/status.h"

/**
 * Why the unit is in its phase, on the heap; NULL when there is nothing to explain. slot: the one
 * that decided the phase, NULL when there is none. unit->status, blocker and root_cause are set.
 */
char *why_text(const struct view *view, const struct unit *unit, const struct slot *slot,
               const struct gate *gate);

#endif
