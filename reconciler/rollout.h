/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replacing VMs that were made from another spec, as deploy.update_config (or, when a failed update
 * is undone, rollback_config) says. Nothing is remembered of a rollout but in the facts:
 *
 *   stop-first   OUTDATED -> STOPPING -> VACANT -> ON_WAY -> STARTING -> READY -> proven
 *   start-first  OUTDATED -> (vm ON_WAY ... READY, outgoing serves) -> proven: outgoing is stopped
 *
 * A replica is proven when it has been well for the monitor time. `parallelism` of them may be
 * between OUTDATED and proven. A replica has failed when its runs of the new spec end, or when it
 * is unhealthy; too many of these halt the rollout (pause), or are answered by STEP_ROLLBACK.
 */
#ifndef RECONCILER_ROLLOUT_H
#define RECONCILER_ROLLOUT_H

#include "reconciler/view.h"

/* An old VM goes on for so long after its successor took over: its last answers are under way. */
#define ROLLOUT_DRAIN_MS 1000

/**
 * Whether the unit's new VMs are made beside the old ones. Not with order stop-first, nor where two
 * VMs of one replica would share what only one can have: a fixed address, or a volume.
 */
bool rollout_surges(const struct unit *unit);

/** Stop old VMs whose successors are proven. */
void rollout_retire(const struct view *view, struct unit *unit, struct plan *plan);

/** Add the steps that replace OUTDATED slots; sets unit->halted, and slot->surge for starts. */
void rollout_replace(const struct view *view, struct unit *unit, struct plan *plan);

/** Whether the slot has been well with the wanted spec for as long as it takes. */
bool rollout_proven(const struct view *view, const struct unit *unit, const struct slot *slot);

/** Whether no more of the unit's replicas are replaced until those that failed are well. */
bool rollout_is_paused(const struct unit *unit);

/** Whether the unit's wanted spec was not well in all replicas yet. */
bool rollout_is_update(const struct unit *unit);

/** Whether a run of the wanted spec has begun before, though another spec's VM is there. */
bool rollout_begun(const struct unit *unit, const struct slot *slot);

/** When the slot has to be looked at again; 0: not by time. */
int64_t rollout_wake_ms(const struct view *view, const struct unit *unit, const struct slot *slot);

#endif
