/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a replica across its VMs, and what follows from it. The memory is owned
 * and stored by the orchestrator, which reports the start and the end of each run here; whether
 * another run is wanted is decided from the memory and the present spec, so that a changed restart
 * policy or a changed spec takes effect by itself.
 */
#ifndef RECONCILER_REPLICA_H
#define RECONCILER_REPLICA_H

#include "reconciler/facts.h"

/**
 * The replica's service was started (VM_RUNNING). Sets the begin of the run; counts a restart when
 * an earlier run had ended by itself.
 */
void replica_on_started(struct replica_fact *replica, int64_t now_ms);

/**
 * Its VM came to an end. Called once per VM, when it leaves PREPARING, BOOTING or RUNNING for
 * EXITED, FAILED or gone; before or together with the change of the vm_fact.
 *
 *   - EXIT_STOPPED with a run: the failures are forgotten, another run is wanted.
 *   - EXIT_STOPPED without a run (it was still on its way): nothing changes.
 *   - else: failures + 1, after they were cleared when it was the first of another spec (see
 *     replica_on_well(), too). completed tells whether a run exited with 0; the end of a VM
 *     that never came to run leaves it as it was.
 *
 * spec_hash: of the VM, copied. The message of an earlier end is forgotten.
 */
void replica_on_ended(struct replica_fact *replica, enum exit_reason reason, int code,
                      const char *spec_hash, int64_t now_ms);

/* A service that was well for so long has no failures, unless it says otherwise. */
#define RESTART_WINDOW_MS 60000

/**
 * The run that is about to end was well (healthy, or running without a healthcheck) for so long
 * when it ended: enough of it clears the failures before it. service: its present spec, or NULL.
 */
void replica_on_well(struct replica_fact *replica, const struct service *service, int64_t well_ms);

/** Keep the cause of the end that was just reported ("port 8080 is taken"); NULL forgets it. */
void replica_set_message(struct replica_fact *replica, const char *message);

/** Somebody asks again: a failure or its back-off holds no further run back. */
void replica_retry(struct replica_fact *replica);

/** Whether the end says nothing about the service: it is tried again whatever the policy says. */
bool exit_reason_is_infrastructure(enum exit_reason reason);

enum replica_verdict {
        REPLICA_DUE,       /* wants a run now */
        REPLICA_BACKOFF,   /* wants a run at *ret_retry_at_ms */
        REPLICA_COMPLETED, /* exited with 0 and its policy asks for no other run */
        REPLICA_FAILED,    /* failed and its policy asks for no other run */
};

/**
 * What the memory says about a replica that has no VM. replica: NULL when nothing is remembered.
 * spec_hash: the one that is wanted now. seed: see struct reconcile_input. *ret_retry_at_ms: set
 * when REPLICA_BACKOFF, else 0.
 */
enum replica_verdict replica_judge(const struct replica_fact *replica,
                                   const struct service *service, const char *spec_hash,
                                   int64_t now_ms, uint64_t seed, int64_t *ret_retry_at_ms);

/** "exited with code 3", "guest kernel panic": how a run ended. On the heap. */
char *exit_text(enum exit_reason reason, int code);

#endif
