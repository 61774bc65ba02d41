/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan = reconcile(desired, facts, now): the one decision of berth. Pure, total, deterministic: no
 * I/O, no clock, no log, no globals. It is called once per turn of the loop whenever something may
 * have changed; the executor runs the steps it returns and records what came of them as facts, so a
 * step that is already under way must be visible in the facts (state PREPARING, STOPPING, BUSY...),
 * or it is planned again.
 */
#ifndef RECONCILER_RECONCILE_H
#define RECONCILER_RECONCILE_H

#include "base/digest.h"
#include "reconciler/facts.h"
#include "schema/manifest.h"

enum step_kind {
        STEP_IMAGE_RESOLVE,  /* find the image of ref (state UNKNOWN) */
        STEP_NETWORK_CREATE, /* stack, network */
        STEP_NETWORK_REMOVE, /* stack, network */
        STEP_VM_CREATE,      /* stack, service, replica: prepare and boot */
        STEP_VM_RESTART,     /* vm_id, EXITED: run the service again in it */
        STEP_VM_END,         /* vm_id, unhealthy: end its service as a failure, the VM stays */
        STEP_VM_STOP,        /* vm_id: graceful stop, then removal; reason says why */
        STEP_VM_REMOVE,      /* vm_id: release what an EXITED or FAILED one still holds */
        STEP_ROLLBACK,       /* stack, service: its update failed, want its last good spec again */
        STEP_STACK_DELETE,   /* stack: all that it was wished for once has ended */
};

struct step {
        enum step_kind kind;
        char *stack, *service, *network, *vm_id, *image;
        unsigned replica;
        char *reason; /* for events and people: "not running", "environment changed", "scaled down"
                       */
};

enum service_phase {
        PHASE_WAITING,   /* for dependencies, image, network */
        PHASE_STARTING,  /* VMs on the way, or not yet healthy */
        PHASE_RUNNING,   /* all replicas running, without a healthcheck */
        PHASE_HEALTHY,   /* all replicas running and healthy */
        PHASE_UNHEALTHY, /* a replica is unhealthy */
        PHASE_COMPLETED, /* one-shot: exited 0 */
        PHASE_BACKOFF,   /* ended, next try at retry_at_ms */
        PHASE_FAILED,    /* ended and its policy asks for no other run, or it cannot start */
        PHASE_STOPPING,
        PHASE_STOPPED, /* its wish says so, and nothing of it is left */
};

/* Where a service stands and why, in plain words; the data behind ps, why and apply's progress. */
struct service_status {
        char *stack, *service;
        enum service_phase phase;
        char *why; /* "waiting for db: starting since 3s"; NULL when there is nothing to explain */
        char *waits_for;     /* WAITING for a service: its name; else NULL */
        int64_t retry_at_ms; /* BACKOFF; else 0 */
        unsigned
                failures; /* in a row, the most of a replica that is not ready: 3 is a crash loop */
        bool settled;     /* nothing more will happen by itself: as wanted, or finally failed */
        bool ok;          /* settled in the wanted state: running/healthy/completed */
        bool complete;    /* every replica is well with the wanted spec: note it as good */
};

struct plan {
        struct step *steps;
        size_t steps_len;
        struct service_status *services;
        size_t services_len;
        int64_t wake_at_ms; /* decide again then (back-off end, stable-run reset); 0: only on events
                             */
};

/*
 * What commands asked of a service beside its manifest (`berth stop`, `berth restart`), and what
 * `berth apply` found out about its image. Wishes are part of a revision.
 */
struct service_wish {
        bool stopped;           /* no VM, though the service stays declared */
        unsigned generation;    /* counted up to have its VMs replaced: mixed into the hash */
        char *image;            /* NAME@DIGEST that the last apply meant: what its VMs are made
                                   from, whatever the name means now; NULL: not known yet */
        char *cause;            /* of the present generation: "image changed"; NULL: none to tell */
        char *good;             /* spec hash that was last well in all replicas; NULL: none yet */
        unsigned good_revision; /* where that spec stands; 0 with good NULL */
        bool undoing;           /* its spec was brought back after an update that failed */
        bool once;              /* the stack goes when this, and all else in it, has ended */
};

struct stack_wishes {
        struct service_wish *services; /* in the order of the stack's services */
        size_t services_len;
};

struct reconcile_input {
        /* Desired; sorted by name. STACK_SHARED, if there is such a one, has the networks that are
         * there whether somebody uses them or not. */
        const struct stack *const *stacks;
        size_t stacks_len;
        /*
         * Last known specs of what is wanted no more (deleted stacks, previous revisions), as long
         * as VMs of them are left: they give the order of stopping, dependants first. May be empty,
         * then these VMs are stopped all at once.
         */
        const struct stack *const *leaving;
        size_t leaving_len;
        /* Beside each of stacks; NULL: nothing is wished. */
        const struct stack_wishes *const *wishes;
        /* Beside each of stacks, from stack_hashes_new(); NULL: hashed anew in each call. */
        const struct stack_hashes *const *hashes;
        const struct facts *facts;
        int64_t now_ms;
        uint64_t seed; /* of the jitter of delays, the same in each call; 0: no jitter */
};

/** Decide. Never fails. *ret_plan: released with plan_release(). */
void reconcile(const struct reconcile_input *input, struct plan *ret_plan);

/** Free the steps and texts. A zeroed one is fine. */
void plan_release(struct plan *plan);

/** Names for display and JSON. */
const char *step_kind_name(enum step_kind kind);
const char *service_phase_name(enum service_phase phase);

/** Stable text of a plan, one step a line, for people and scenario tests. On the heap. */
char *plan_text(const struct plan *plan);

/**
 * Delay before try number failures + 1 (failures >= 1): first_ms doubling to max_ms; 200 ms and
 * 60 s unless they are above 0. key: 0: no jitter; else it is up to a tenth shorter or longer.
 */
int64_t backoff_delay_ms(int64_t first_ms, int64_t max_ms, unsigned failures, uint64_t key);

/** The key of a replica's (or a network's, replica 0) jitter; 0 when seed is. */
uint64_t backoff_key(uint64_t seed, const char *stack, const char *name, unsigned replica);

/**
 * Hash of all that a VM is made from: the service's canonical spec without the fields that change
 * in place (see diff.h), with the contents of its configs and secrets, the real names of its
 * volumes, and the specs of the services it depends on with `restart: true` (it is replaced
 * together with them). ret: DIGEST_TEXT_MAX bytes.
 */
void spec_hash(const struct stack *stack, const struct service *service, char *ret);

/**
 * The spec hashes of a stack, in the order of its services: made once per accepted revision.
 * wishes: NULL, or of the same revision; a generation other than 0 is mixed in.
 */
struct stack_hashes {
        char (*services)[DIGEST_TEXT_MAX];
        size_t services_len;
};

/** Hash each service of the stack with what is wished for it. free: NULL is fine. */
struct stack_hashes *stack_hashes_new(const struct stack *stack, const struct stack_wishes *wishes);
void stack_hashes_free(struct stack_hashes *hashes);
AUTO_TYPE(stack_hashes)

/** The same for a network. */
void network_hash(const struct network *network, char *ret);

#endif
