/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reconcile() looks at: the desired services joined with the facts about them. Built anew in
 * each call, from sorted pointers, in O(n log n); borrows everything from the input. Used inside
 * the reconciler only.
 *
 *   view -> units, one a desired service -> slots, one a wanted replica -> the VM that counts
 *        -> nets, one a network that a desired service uses
 *        -> vms, all VM facts, sorted, each with the unit that it belongs to
 */
#ifndef RECONCILER_VIEW_H
#define RECONCILER_VIEW_H

#include "reconciler/graph.h"
#include "reconciler/reconcile.h"
#include "reconciler/replica.h"

#define UNIT_NONE GRAPH_NONE

enum slot_state {
        SLOT_VACANT,    /* no VM: the verdict says what shall become of it */
        SLOT_ON_WAY,    /* PREPARING, BOOTING */
        SLOT_STARTING,  /* running, and its healthcheck has not passed yet */
        SLOT_READY,     /* running, healthy or without a healthcheck */
        SLOT_UNHEALTHY, /* running, and its healthcheck failed */
        SLOT_OUTDATED,  /* one of the four above, of another spec */
        SLOT_STOPPING,  /* its VM is going away */
        SLOT_ENDED,     /* its VM ended and has to be removed */
        SLOT_IDLE,      /* its run ended, its VM is kept for the next: the verdict says when */
};

/* A wanted replica. */
struct slot {
        unsigned number;
        enum slot_state state;
        bool serving;                   /* OUTDATED, and READY but for its spec */
        bool planned;                   /* a step of this plan is about it */
        const struct vm_fact *vm;       /* the best; NULL when VACANT */
        const struct vm_fact *outgoing; /* start-first: of another spec, serves until vm does */
        bool surge;                     /* a second VM is to be made beside the one that serves */
        size_t vms_len;                 /* all of its number, those that go included */
        const struct replica_fact *memory;
        enum replica_verdict verdict;
        int64_t retry_at_ms;
};

enum net_state {
        NET_ABSENT,
        NET_COMING, /* its driver is at it */
        NET_FAILED, /* is tried again at net->retry_at_ms */
        NET_UP,
        NET_OUTDATED, /* made from another declaration: its VMs have to go first */
        NET_KEPT,     /* outdated, and used as it was: a VM on it could not be replaced */
        NET_REMOVING,
};

/* A network that a desired service uses, or one of STACK_SHARED. */
struct net {
        const struct stack *stack;
        const char *name;
        const char *shared; /* its name in STACK_SHARED, which makes it; NULL: the stack's own */
        enum net_state state;
        bool missing;                    /* ABSENT, external, and nobody is to make it */
        int64_t retry_at_ms;             /* FAILED */
        const struct network_fact *fact; /* NULL when ABSENT */
        const struct unit *kept_for;     /* KEPT: whose image is not there */
};

/* A desired service. */
struct unit {
        const struct stack *stack;
        const struct service *service;
        const struct service_wish *wish; /* NULL: none */
        const char *hash;
        const struct image_fact *image; /* NULL: unknown */
        struct slot *slots;
        size_t slots_len;
        size_t vms_begin, vms_end;      /* in view->vms */
        const struct net *missing_net;  /* the first that is not up; NULL: all are */
        const struct net *outdated_net; /* the first that has to be made anew, or NULL */
        const struct net *kept_net;     /* the first that is KEPT, or NULL */
        bool lacks_net;                 /* one that nobody is to make */
        size_t group;                   /* of view->groups: its stack */
        bool awaited;        /* its end is: by another service, or as x-berth.oneshot says */
        bool stopped;        /* as wished: no slots */
        bool net_changes;    /* a network of its stack is made anew: its old VMs may hold it */
        bool net_waits;      /* ... cannot be made anew yet */
        bool surges;         /* start-first: the new VM is made beside the old one */
        bool halted;         /* too many replicas failed with the new spec */
        bool excess;         /* VMs beyond the wanted ones exist */
        bool busy;           /* a step of this plan is about it */
        const char *blocker; /* what a WAITING one waits for: a name */
        const struct unit *root_cause; /* the failed one behind waiting in vain, or NULL */
        struct service_status status;
};

/* A desired stack. */
struct group {
        const struct stack *stack;
        struct graph graph;
        struct stack_hashes *hashes; /* when the caller has none */
        size_t units_begin;
        size_t nets_begin, nets_end;
};

struct view {
        const struct reconcile_input *input;
        const struct vm_fact **vms; /* sorted by stack, service, replica */
        size_t *vm_units;           /* beside vms: index of the unit, or UNIT_NONE */
        size_t vms_len;
        const struct replica_fact **replicas;
        const struct network_fact **networks;
        bool *networks_wanted;      /* beside networks: it is wanted as net->fact */
        const struct stack *shared; /* STACK_SHARED, or NULL */
        const struct image_fact **images;
        struct group *groups;
        size_t groups_len;
        struct unit *units;
        size_t units_len;
        struct slot *slots; /* of all units */
        struct net *nets;   /* sorted within their stack */
        size_t nets_len;
};

/**
 * Sort the input for finding. The input is borrowed until view_release(), which frees the view's
 * own.
 */
void view_init(struct view *view, const struct reconcile_input *input);
void view_release(struct view *view);

/** Index of the first VM of a stack (service NULL) or of a service of it, and behind its last. */
void view_find_vms(const struct view *view, const char *stack, const char *service,
                   size_t *ret_begin, size_t *ret_end);

/** The network of a group, or NULL. */
const struct net *view_find_net(const struct view *view, const struct group *group,
                                const char *name);

/** The image that its VMs are made from: pinned by the last apply, or as the manifest names it. */
const char *unit_image_ref(const struct unit *unit);

/** PREPARING, BOOTING or RUNNING. */
bool vm_is_alive(const struct vm_fact *vm);

/** EXITED or FAILED. */
bool vm_is_ended(const struct vm_fact *vm);

/** Whether the service states a health test itself (that of its image is not known here). */
bool service_has_test(const struct service *service);

#endif
