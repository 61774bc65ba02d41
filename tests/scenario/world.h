/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world for the reconciler's tests: desired stacks, facts, a virtual clock, and what an executor
 * would make of a plan. Facts change as the orchestrator changes them: the start and the end of a
 * run are noted in the replica's memory.
 */
#ifndef TESTS_SCENARIO_WORLD_H
#define TESTS_SCENARIO_WORLD_H

#include "reconciler/reconcile.h"
#include "reconciler/replica.h"

struct wish_entry {
        char *stack, *service;
        struct service_wish wish;
};

/* Hashes of a stack, made when asked for, thrown away by each edit. */
struct hash_entry {
        const struct stack *stack;
        struct stack_wishes *wishes;
        struct stack_hashes *hashes;
};

struct world {
        struct stack **stacks;
        size_t stacks_len;
        struct wish_entry *wishes; /* of all revisions: kept by name */
        size_t wishes_len;
        struct hash_entry *hashed;
        size_t hashed_len;
        struct stack **leaving; /* earlier revisions and dropped stacks */
        size_t leaving_len;
        struct facts facts;
        int64_t now_ms;
        uint64_t seed;    /* of the jitter; 0: none */
        unsigned last_vm; /* VMs are called vm-1, vm-2... */
};

/* The clock's begin: far from 0, which means "never" in facts. */
#define WORLD_BEGIN_MS 1000000

void world_init(struct world *world);
void world_release(struct world *world);

/** A new, empty revision of a stack; the earlier one leaves. */
struct stack *world_stack(struct world *world, const char *name);

/** The stack is wanted no more. keep: the reconciler still gets its last revision. */
void world_drop(struct world *world, const char *name, bool keep);

/** The desired stack, or NULL. */
struct stack *world_find_stack(const struct world *world, const char *name);

/**
 * Parts of a stack from words: "web", "image=web:2", "replicas=3", "restart=on-failure:2",
 * "net=front,back", "volume=data", "update=order:start-first,action:rollback,monitor:5s,ratio:0.5,
 * parallelism:2,delay:1s" (and "rollback="), "env=A:1", "label=A:1", "health", "oneshot",
 * "delays=first:1s,max:10s,window:5s", "unhealthy=restart",
 * "secret=NAME", "config=NAME", "depends=db:healthy,migrate:completed?" (condition started when not
 * given; ? not required; ! replaced together). An image is NAME:1 unless given. Returns NULL, or
 * what is wrong.
 */
const char *world_service(struct stack *stack, char **words, size_t len);

/** A declared network: name and optional "internal", "external", "name=X". */
void world_network(struct stack *stack, char **words, size_t len);

/** A config or secret with its content: "NAME:TEXT". */
void world_source(struct stack *stack, bool secret, const char *text);

/** The wish for a service, made when missing; it may be changed until the next plan. */
struct service_wish *world_wish(struct world *world, const char *stack, const char *service);

/** The hash that a service's VMs have by its present spec and wish. On the heap. */
char *world_hash(struct world *world, const char *stack, const char *service);

/** The reconciler's decision now. */
void world_plan(struct world *world, struct plan *ret_plan);

/** Facts that say that the step has begun, or for VM_CREATE that its VM is PREPARING. */
void world_begin(struct world *world, const struct step *step);

/** The VM's fact, or NULL. By id, or the last one of a replica. */
struct vm_fact *world_find_vm(struct world *world, const char *id);
struct vm_fact *world_replica_vm(struct world *world, const char *stack, const char *service,
                                 unsigned replica);

/** The memory of a replica, made when missing. */
struct replica_fact *world_memory(struct world *world, const char *stack, const char *service,
                                  unsigned replica);

/** The fact of an image or network, made when missing. */
struct image_fact *world_image(struct world *world, const char *ref);
struct network_fact *world_net(struct world *world, const char *stack, const char *network);
void world_net_gone(struct world *world, const struct network_fact *network);

/** A new VM fact in PREPARING. hash: NULL: of the present spec. */
struct vm_fact *world_vm(struct world *world, const char *stack, const char *service,
                         unsigned replica, const char *hash);

/** Changes of a VM: it runs; it ended (state EXITED or FAILED); it is gone. */
void world_vm_runs(struct world *world, struct vm_fact *vm);
void world_vm_ends(struct world *world, struct vm_fact *vm, enum vm_state state,
                   enum exit_reason reason, int code, const char *message);
void world_vm_gone(struct world *world, struct vm_fact *vm);

#endif
