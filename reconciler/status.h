/* SPDX-License-Identifier: Apache-2.0 */
/* Where a service stands, and the gate of its dependencies; see view.h. */
#ifndef RECONCILER_STATUS_H
#define RECONCILER_STATUS_H

#include "reconciler/view.h"

/* The first dependency that keeps a unit from starting. */
struct gate {
        const struct depends *closed_by; /* NULL: open */
        const struct unit *on;           /* NULL: it does not exist */
        bool in_vain;                    /* it will not open by itself */
        bool cycle;
};

/** Look at a unit's dependencies; their statuses were made before. */
struct gate gate_check(const struct view *view, const struct unit *unit);

/** Fill unit->status, after the steps about the unit were planned. */
void status_make(const struct view *view, struct unit *unit, const struct gate *gate);

#endif
