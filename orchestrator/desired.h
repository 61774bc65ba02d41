/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One revision of one stack as it is wanted. Shared (ref/unref) between the daemon, which replaces
 * it by the next revision, and the instances that are being made from it.
 */
#ifndef ORCHESTRATOR_DESIRED_H
#define ORCHESTRATOR_DESIRED_H

#include <jansson.h>

#include "base/auto.h"
#include "orchestrator/store.h"
#include "reconciler/reconcile.h"
#include "schema/manifest.h"

struct desired {
        unsigned refs;
        struct stack *stack;
        struct stack_wishes wishes;
        bool wishes_changed;         /* in memory, and not in the store yet */
        struct stack_hashes *hashes; /* of stack and wishes: desired_hash() */
        unsigned undoes;             /* the revision that failed and made this one; 0: none */
        char *source;
        unsigned revision;
        enum stack_ports ports;
        enum stack_wanted wanted;
        int64_t created_ms;
};

/** A new one with one reference. manifest: borrowed, hostile until this read it. */
int desired_new(const json_t *manifest, struct desired **ret, json_t **ret_diagnostics,
                struct err *err);

/** Its manifest as canonical JSON: a new reference, made from the stack each time. */
json_t *desired_manifest(const struct desired *desired);

/** Whether two revisions have the same one. */
bool desired_same_manifest(const struct desired *a, const struct desired *b);

/**
 * Take over what another revision wished for services of the same name: generation and image,
 * and with keep_stopped also whether they are stopped. Causes are not taken over.
 */
void desired_inherit(struct desired *desired, const struct desired *from, bool keep_stopped);

/** Hash anew, after wishes changed. */
void desired_hash(struct desired *desired);

/** Have the VMs of service i replaced, for that reason. */
void desired_renew(struct desired *desired, size_t i, const char *cause);

/** Whether it is wished for once: it is deleted when all in it has ended. */
bool desired_is_once(const struct desired *desired);

/** Have the VMs of service i made from that digest of its image, until an apply says otherwise. */
void desired_pin(struct desired *desired, size_t i, const char *digest);

/** What the VMs of service i are made from, NAME@DIGEST once that is known; NULL: no image. */
const char *desired_image(const struct desired *desired, size_t i);

/** NAME@DIGEST; a reference that has a digest stays as it is. On the heap. */
char *image_pinned(const char *ref, const char *digest);

/** The wish for a service, or NULL. */
struct service_wish *desired_wish(struct desired *desired, const char *service);

/** Wishes as a JSON object by service, for the store; and back (odd members are left out). */
json_t *desired_wishes_json(const struct desired *desired);
void desired_read_wishes(struct desired *desired, const json_t *wishes);

/** One more owner; returns the same. The last unref frees it; NULL is fine there. */
struct desired *desired_ref(struct desired *desired);
void desired_unref(struct desired *desired);
AUTO_DEFINE(desired, struct desired, desired_unref)

#endif
