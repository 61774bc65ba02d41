/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All networks of all stacks: their subnets and addresses (leased in the store, so that a replica
 * keeps its address), their netd processes, and what each netd must know. That is derived as a
 * whole from the list of endpoints once a turn and sent only when it changed.
 *
 *   RUN/net/<12 hex of stack and name>/   netd.sock, netd.json, network.json (ours, for adoption)
 */
#ifndef ORCHESTRATOR_NETWORKS_H
#define ORCHESTRATOR_NETWORKS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "orchestrator/store.h"
#include "schema/manifest.h"

/* Subnets are taken from here when the manifest names none: 4096 networks of /24. */
#define NETWORKS_BITS 24

struct networks;

struct network_entry {
        char *stack, *name;
        char hash[DIGEST_TEXT_MAX]; /* of the spec it was made from */
        uint32_t subnet, gateway;
        unsigned bits;
        bool up;
        bool egress;        /* VMs on it may go out, unless their service says no */
        char *egress_error; /* why they cannot now; NULL: they can, or it is not known yet */
        unsigned failures;  /* attempts in a row to bring it up */
        int64_t failed_ms;  /* when the last one failed, on the clock of facts; 0: it did not */
        char *message;      /* why it is not up; NULL while it starts */
        /* When its netd is told again what it did not take: names; ports, of which some could not
           be bound. On the clock of facts; 0: it took all, or is being asked. */
        int64_t zone_retry_ms, ports_retry_ms;
        int pid; /* of netd; 0 unknown */
};

struct networks_env {
        struct ev_loop *loop;
        struct store *store;
        const char *run_dir;          /* copied */
        const char *netd;             /* program; copied */
        int64_t (*now_ms)(void *ctx); /* the clock of facts */
        void (*on_change)(void *ctx); /* something to decide about */
        void (*on_event)(void *ctx, const char *stack, const char *type, const char *message);
        void (*on_link_gone)(void *ctx); /* a VM's tap may be gone: see vm_tap_lost() */
        void *ctx;
};

struct taps;

/** Where waiting taps come from; outlives networks, or is NULL: there are none. */
void networks_set_taps(struct networks *networks, struct taps *taps);

/** Read the leases, and adopt the netds that run. */
int networks_new(const struct networks_env *env, struct networks **ret, struct err *err);

/** Let go; netds stay. */
void networks_free(struct networks *networks);

/** Start the network's netd. Failure is noted in its entry; the next call tries again. */
void networks_create(struct networks *networks, const char *stack, const struct network *spec);

/** Somebody asks again: networks and ports of the stack that failed, and what stacks share, are
 * tried at once. */
void networks_retry(struct networks *networks, const char *stack);

/** End netd and all it owns. */
void networks_remove(struct networks *networks, const char *stack, const char *name);

/** Entry or NULL; and by index for lists (NULL past the end). */
const struct network_entry *networks_find(const struct networks *networks, const char *stack,
                                          const char *name);
const struct network_entry *networks_at(const struct networks *networks, size_t index);

/**
 * The address of a replica on a network: its lease, else wanted (0: any), else the next free one.
 * The network must have been created. EADDRINUSE: wanted is taken, the text says by whom.
 */
int networks_lease(struct networks *networks, const char *stack, const char *name,
                   const char *service, unsigned replica, uint32_t wanted, uint32_t *ret_ip,
                   struct err *err);

/** A tap on the network; cb as net_open_tap(). */
int networks_open_tap(struct networks *networks, const char *stack, const char *name,
                      void (*cb)(void *ctx, int tap_fd, const struct err *err), void *ctx,
                      struct err *err);

/** The tap of a machine that waits (network/taps.h), moved to the network; cb as taps_move(). */
int networks_move_tap(struct networks *networks, const char *stack, const char *name,
                      const char *tap, void (*cb)(void *ctx, int none, const struct err *err),
                      void *ctx, struct err *err);

/* A VM as networks see it. All borrowed. */
struct endpoint_nic {
        const char *stack, *network; /* stack: STACK_SHARED, or that of the endpoint */
        uint32_t ip;
        const struct str_list *aliases; /* may be NULL */
        bool egress;                    /* the VM may go out here */
};

struct endpoint {
        const char *stack, *service;
        unsigned replica;
        const char *vm_id;
        bool named;   /* its names resolve at all */
        bool serving; /* of two VMs of a replica, the one that stands for it now */
        bool ready;   /* answers names before others that are not */
        const struct endpoint_nic *nics;
        size_t nics_len;
        const struct port *ports; /* forwarded to nics[0] */
        size_t ports_len;
        const struct str_list *dns; /* its own name servers, may be NULL */
};

/**
 * Tell every netd what it must know; cheap when nothing changed. What one does not take is tried
 * again by a call at networks_wake_ms() or later, with the back-off of replicas.
 */
void networks_publish(struct networks *networks, const struct endpoint *endpoints, size_t n);

/** When to publish again though nothing changed, on the clock of facts; 0: no need. */
int64_t networks_wake_ms(const struct networks *networks);

enum forward_state { FORWARD_PENDING, FORWARD_BOUND, FORWARD_FAILED };

/**
 * What became of a published port of a replica; ret_error borrowed until the next publish. A port
 * with a fixed host port is one for all replicas of the service: it leads to one that is ready.
 */
enum forward_state networks_forward(const struct networks *networks, const char *stack,
                                    const char *service, unsigned replica, const struct port *port,
                                    uint16_t *ret_host_port, const char **ret_error);

/** The subnet that spec will have, leased for it. EADDRINUSE: the text says whose it is. */
int networks_reserve(struct networks *networks, const char *stack, const struct network *spec,
                     struct err *err);

/** Forget all leases of a stack, or of one network, that is gone; the store has done so. */
void networks_forget_stack(struct networks *networks, const char *stack);
void networks_forget(struct networks *networks, const char *stack, const char *name);

#endif
