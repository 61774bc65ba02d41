/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was observed, as plain data. The orchestrator builds it from drivers and its store; the
 * reconciler reads it and nothing else. Times are milliseconds of one clock that never steps back
 * within a run (tests use a virtual one).
 */
#ifndef RECONCILER_FACTS_H
#define RECONCILER_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/manifest.h"

/*
 * Life of one VM, which runs one replica:
 *
 *   PREPARING -> BOOTING -> RUNNING -> EXITED      (service ended, VM still there)
 *        \___________\__________\________\____ STOPPING -> gone (no fact left)
 *         FAILED: never came to RUNNING, or the VM died; resources are released by VM_REMOVE
 */
enum vm_state { VM_PREPARING, VM_BOOTING, VM_RUNNING, VM_EXITED, VM_STOPPING, VM_FAILED };

enum health_state { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

/* Why a replica's last run ended. */
enum exit_reason {
        EXIT_NONE,
        EXIT_CODE,    /* the service exited: exit_code */
        EXIT_SIGNAL,  /* killed by a signal: exit_code = 128 + n */
        EXIT_OOM,     /* the guest's memory limit */
        EXIT_START,   /* the program could not be started: exit_code 126 or 127 */
        EXIT_HEALTH,  /* ended for being unhealthy, as x-berth.on_unhealthy asks */
        EXIT_PANIC,   /* guest kernel panic */
        EXIT_VMM,     /* QEMU died or was killed */
        EXIT_BOOT,    /* the guest never said hello */
        EXIT_PREPARE, /* image, disk, network or port could not be had: message says */
        EXIT_STOPPED, /* berth stopped it because that was wanted */
};

/* One VM that exists now. */
struct vm_fact {
        char *id;
        char *stack, *service;
        unsigned replica; /* from 1 */
        char *spec_hash;  /* of the service spec it was made from: see spec_hash() */
        enum vm_state state;
        enum health_state health;
        int64_t since_ms; /* of state */
        int64_t health_since_ms;
        enum exit_reason exit_reason; /* EXITED and FAILED */
        int exit_code;
        bool reusable;             /* EXITED: its guest is at hand and can run the service again */
        bool degraded;             /* RUNNING, and a published port is not to be had: message */
        int64_t degraded_retry_ms; /* when the port is tried again; 0: it is being tried */
        bool ending;               /* RUNNING: VM_END was begun */
        char *message; /* cause of EXITED/FAILED or last probe failure, for people; may be NULL */
};

/* What is remembered of a replica across its VMs. */
struct replica_fact {
        char *stack, *service;
        unsigned replica;
        unsigned failures;     /* ends in a row since the last run that lasted; for back-off */
        unsigned own_failures; /* of these, the service's own: what on-failure:N counts */
        unsigned restarts;     /* all, for display */
        int64_t started_ms;    /* when the present run began; 0: none runs */
        int64_t last_end_ms;   /* when its last run ended; 0: never ran */
        enum exit_reason last_exit;
        int last_exit_code;
        char *last_message;   /* cause of that end, for people; may be NULL */
        char *last_spec_hash; /* of the run that ended */
        bool completed;       /* that run exited 0; whether another is wanted says the policy */
};

struct network_fact {
        char *stack, *network;
        char *spec_hash;
        bool up;           /* false: coming up, its driver is at it, unless failed_ms tells */
        bool removing;     /* NETWORK_REMOVE is under way */
        unsigned guests;   /* VMs of other stacks that are attached: it is shared */
        unsigned failures; /* attempts in a row to bring it up */
        int64_t failed_ms; /* when the last one failed, and none is under way; 0: one is */
        char *message;     /* why it is not up; may be NULL */
};

enum image_state { IMAGE_UNKNOWN, IMAGE_READY, IMAGE_MISSING, IMAGE_BUSY };

struct image_fact {
        char *ref;
        enum image_state state;
        char *digest;  /* READY: of the manifest */
        char *message; /* MISSING: why, and what to do */
};

struct facts {
        struct vm_fact *vms;
        size_t vms_len;
        struct replica_fact *replicas;
        size_t replicas_len;
        struct network_fact *networks;
        size_t networks_len;
        struct image_fact *images;
        size_t images_len;
};

/** Free what facts holds (for copies that own their strings, as tests and observe.c make them). */
void facts_release(struct facts *facts);

/** Stable names for display and JSON: "running", "healthy", "exit-code"... */
const char *vm_state_name(enum vm_state state);
const char *health_state_name(enum health_state state);
const char *exit_reason_name(enum exit_reason reason);

#endif
