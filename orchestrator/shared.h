/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The networks that stacks share: a stack without a name and without services, kept in the store.
 * Each was made for itself (`berth network create`), or follows from a manifest that gives one a
 * name (`name: front`), and then lives as long as a stack refers to it.
 */
#ifndef ORCHESTRATOR_SHARED_H
#define ORCHESTRATOR_SHARED_H

#include "orchestrator/store.h"
#include "schema/manifest.h"

struct shared;

/** Read them. What cannot be read is set aside, as store.h has it. */
int shared_open(struct store *store, struct shared **ret, struct err *err);
void shared_free(struct shared *shared);

/** STACK_SHARED; borrowed until the next change. Its networks are sorted. */
const struct stack *shared_stack(const struct shared *shared);

/** The network of that name, or NULL; borrowed likewise. */
const struct network *shared_find(const struct shared *shared, const char *name);

/** Of the network of that name: the stack whose manifest it is from ("": none), NULL: no network;
 * and when it was made, on the wall clock. */
const char *shared_maker(const struct shared *shared, const char *name);
int64_t shared_created_ms(const struct shared *shared, const char *name);

/** Add the network, or change it, on disk first. spec: copied, under `name`. */
int shared_put(struct shared *shared, const char *name, const struct network *spec,
               const char *maker, struct err *err);

/** Remove it with its addresses. ENOENT: there is none. */
int shared_delete(struct shared *shared, const char *name, struct err *err);

/** The store's batch was rolled back: it is not there. A missing one is fine. */
void shared_forget(struct shared *shared, const char *name);

#endif
