/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's memory: desired stacks with their history, what is remembered of replicas, leases of
 * addresses, events. The one SQLite door (WAL, synchronous=FULL): every put and delete is on disk
 * when it returns 0, and kill -9 or power loss at any point leaves the state before or after it.
 * docs/state.md describes the tables.
 *
 * What cannot be read is never deleted: a record that makes no sense is moved to the table
 * `quarantine` with the reason and reported through on_quarantine; a database file that SQLite
 * cannot read is renamed to PATH.broken-TIME and a fresh one begun. Both are reported, because a
 * user must hear that something he asked for is no longer wanted by anyone.
 *
 * One process at a time: the file is locked while the store is open.
 */
#ifndef ORCHESTRATOR_STORE_H
#define ORCHESTRATOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "reconciler/facts.h"

/* Revisions of one stack that are kept. */
#define STORE_HISTORY_MAX 100
/* Events that are kept: about 3 MB. Older ones are dropped, some hundred at a time. */
#define STORE_EVENTS_MAX 10000

struct store;

struct store_report {
        char *moved_to; /* the old database could not be read and is here now; NULL: all was well */
        char *reason;   /* why; with moved_to */
        bool created;   /* there was no database */
};

/** Free what the report holds. A zeroed one is fine. */
void store_report_release(struct store_report *report);

/* A record was set aside: table, its key in plain text ("shop/web/1"), and what is wrong. */
typedef void store_quarantine_fn(void *ctx, const char *table, const char *key, const char *reason);

/**
 * Open or create the database at path (its folder exists). on_quarantine may be NULL; it is called
 * during store_list_* functions.
 * EBUSY: another process has it open. EPROTO: made by a newer berth (left as it is). Others: the
 * file cannot be reached (no permission, disk full...), which moving it aside would not help.
 */
int store_open(const char *path, store_quarantine_fn *on_quarantine, void *ctx,
               struct store **ret_store, struct store_report *ret_report, struct err *err);

/** Close; NULL is fine. An open batch is rolled back. */
void store_close(struct store *store);
AUTO_DEFINE(store, struct store, store_close)

/**
 * Make the changes until store_commit() one transaction with one sync. Batches do not nest.
 * store_commit() <0: nothing of the batch was kept.
 */
int store_begin(struct store *store, struct err *err);
int store_commit(struct store *store, struct err *err);
void store_rollback(struct store *store);

/** Whether a batch is open. */
bool store_in_batch(const struct store *store);

/* -------------------------------------------------------------------------------------- stacks */

enum stack_wanted { STACK_UP, STACK_DELETING, STACK_DELETING_VOLUMES };

enum stack_ports { STACK_PORTS_MANIFEST, STACK_PORTS_AUTO };

struct stored_stack {
        char *name;
        unsigned revision; /* from 1; grows with each change of the manifest */
        char *source;      /* where it came from, for people: a path; "" when unknown */
        char *manifest;    /* canonical JSON object */
        enum stack_ports ports;
        enum stack_wanted wanted;
        int64_t created_ms, updated_ms; /* wall clock */
        char *wishes; /* JSON object: what commands asked of services, see desired.h */
        char *note; /* what made this revision: "scale web=3"; goes into the history; may be NULL */
};

struct stored_stacks {
        struct stored_stack *items; /* sorted by name */
        size_t len;
};

/** Free the list and its texts. A zeroed one is fine. */
void stored_stacks_release(struct stored_stacks *stacks);

/** Insert or replace by name, and add (name, revision, manifest) to the history: one transaction.
 */
int store_put_stack(struct store *store, const struct stored_stack *stack, struct err *err);

/** Change only what is wanted. ENOENT: no such stack. */
int store_set_wanted(struct store *store, const char *name, enum stack_wanted wanted,
                     struct err *err);

/** Change only the wishes of a stack. */
int store_set_wishes(struct store *store, const char *name, const char *wishes, struct err *err);

/** All stacks, also those that are to be deleted. ret: the caller's to release. */
int store_list_stacks(struct store *store, struct stored_stacks *ret, struct err *err);

/** Remove the stack with its history, replicas, leases and subnets: one transaction. Its events
 * stay. A missing one is fine. */
int store_delete_stack(struct store *store, const char *name, struct err *err);

struct stored_revision {
        unsigned revision;
        char *manifest;
        char *note; /* what made it; "" when unknown */
        int64_t created_ms;
};

struct stored_revisions {
        struct stored_revision *items; /* newest first */
        size_t len;
};

/** Free the list and its texts. A zeroed one is fine. */
void stored_revisions_release(struct stored_revisions *revisions);

/** The revisions of one stack that are kept; none when it is unknown. */
int store_list_history(struct store *store, const char *stack, struct stored_revisions *ret,
                       struct err *err);

/* ------------------------------------------------------------------------------------ replicas */

struct stored_replicas {
        struct replica_fact *items; /* sorted by stack, service, replica */
        size_t len;
};

/** Free the list and its texts. A zeroed one is fine. */
void stored_replicas_release(struct stored_replicas *replicas);

/** Insert or replace by stack, service, replica. */
int store_put_replica(struct store *store, const struct replica_fact *fact, struct err *err);

/** The facts of all replicas of all stacks. ret: the caller's to release. */
int store_list_replicas(struct store *store, struct stored_replicas *ret, struct err *err);

/** Forget one replica; replica 0: all of the service. A missing one is fine. */
int store_delete_replica(struct store *store, const char *stack, const char *service,
                         unsigned replica, struct err *err);

/* ------------------------------------------------------------------------------------ networks */

/* One that stacks share. */
struct stored_network {
        char *name, *subnet; /* subnet: as asked for; NULL: chosen */
        bool internal, egress;
        char *labels; /* JSON object */
        char *maker;  /* the stack whose manifest it is from; "": made for itself */
        int64_t created_ms;
};

struct stored_networks {
        struct stored_network *items; /* sorted by name */
        size_t len;
};

/** Free the list and its texts. A zeroed one is fine. */
void stored_networks_release(struct stored_networks *networks);

/** Insert or replace by name. */
int store_put_network(struct store *store, const struct stored_network *network, struct err *err);

/** All of them. ret: the caller's to release. */
int store_list_networks(struct store *store, struct stored_networks *ret, struct err *err);

/** Remove it with its subnet and leases: one transaction. A missing one is fine. */
int store_delete_network(struct store *store, const char *name, struct err *err);

/* -------------------------------------------------------------------------------------- leases */

struct stored_subnet {
        char *stack, *network;
        uint32_t subnet; /* host byte order */
        unsigned bits;
};

struct stored_lease {
        char *stack, *network; /* stack: "", the network is shared */
        char *service;         /* STACK/SERVICE there */
        unsigned replica;
        uint32_t ip; /* host byte order */
};

struct stored_leases {
        struct stored_subnet *subnets; /* sorted by stack, network */
        size_t subnets_len;
        struct stored_lease *leases; /* sorted by stack, network, service, replica */
        size_t leases_len;
};

/** Free both lists and their texts. A zeroed one is fine. */
void stored_leases_release(struct stored_leases *leases);

/** All subnets and leases. */
int store_list_leases(struct store *store, struct stored_leases *ret, struct err *err);

/** Insert or replace the subnet of a network. EEXIST: another network has the same subnet. */
int store_put_subnet(struct store *store, const char *stack, const char *network, uint32_t subnet,
                     unsigned bits, struct err *err);

/** Forget a network's subnet and all leases in it. */
int store_delete_subnet(struct store *store, const char *stack, const char *network,
                        struct err *err);

/** Insert or replace the address of a replica on a network. EEXIST: another replica there has it.
 */
int store_put_lease(struct store *store, const char *stack, const char *network,
                    const char *service, unsigned replica, uint32_t ip, struct err *err);

/** Forget the leases of a replica on all networks of its stack; replica 0: of the whole service. */
int store_delete_lease(struct store *store, const char *stack, const char *service,
                       unsigned replica, struct err *err);

/* -------------------------------------------------------------------------------------- events */

struct event {
        int64_t seq; /* from 1, never used twice */
        int64_t time_ns;
        char *stack, *service; /* "" when the event is not about one */
        unsigned replica;      /* 0: none */
        char *type;            /* "vm-started", "unhealthy"... */
        char *reason;          /* short word; may be "" */
        char *message;         /* for people */
};

struct stored_events {
        struct event *items; /* oldest first */
        size_t len;
};

/** Free what one event, or a list of them, holds. Zeroed ones are fine. */
void event_release(struct event *event);
void stored_events_release(struct stored_events *events);

/* Which events; NULL and 0 mean any. */
struct event_filter {
        const char *stack, *service;
        unsigned replica;
};

/** Add one. event->seq is ignored; *ret_seq (may be NULL): the one it got. */
int store_add_event(struct store *store, const struct event *event, int64_t *ret_seq,
                    struct err *err);

/** The oldest events with seq > since that match, at most limit. */
int store_list_events(struct store *store, const struct event_filter *filter, int64_t since,
                      unsigned limit, struct stored_events *ret, struct err *err);

/** The seq to pass as `since` so that exactly the last `limit` matching events follow. */
int store_events_tail(struct store *store, const struct event_filter *filter, unsigned limit,
                      int64_t *ret_since, struct err *err);

/* ---------------------------------------------------------------------------------- quarantine */

struct quarantined {
        char *table, *key, *record, *reason; /* record: the row as JSON text */
        int64_t time_ms;
};

struct quarantined_list {
        struct quarantined *items; /* oldest first */
        size_t len;
};

/** Free the list and its texts. A zeroed one is fine. */
void quarantined_list_release(struct quarantined_list *list);

/** What was set aside so far. */
int store_list_quarantine(struct store *store, struct quarantined_list *ret, struct err *err);

#endif
