/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images that desired stacks name: looked up once, kept until the store changes, pulled from
 * their registry and unpacked on demand. Several replicas that need the same disk share one worker,
 * and all who want the same image one pull.
 *
 *   UNKNOWN --images_resolve--> READY | MISSING --images_forget (store changed)--> UNKNOWN
 *                            \-> BUSY (pulled) --> READY | MISSING
 */
#ifndef ORCHESTRATOR_IMAGES_H
#define ORCHESTRATOR_IMAGES_H

#include <ev.h>
#include <jansson.h>

#include "base/err.h"
#include "reconciler/facts.h"
#include "schema/manifest.h"
#include "storage/image.h"

struct events;
struct images;

/** store, events (may be NULL): borrowed. worker: program that takes --storage-worker; copied. */
struct images *images_new(struct ev_loop *loop, struct image_store *store, struct events *events,
                          const char *worker);
void images_free(struct images *images);

/** Call on_change from the loop whenever a pull ended; ref: normalised. */
void images_on_change(struct images *images, void (*on_change)(void *ctx, const char *ref),
                      void *ctx);

/**
 * Look an image up now; afterwards images_find() knows whether it is there. One that is not is
 * pulled, unless the policy is never.
 */
void images_resolve(struct images *images, const char *ref, enum pull_policy policy);

/**
 * Pull it at the next images_resolve(), though it is there: somebody applies with `always`, or it
 * is time. must: what is there does not do when that fails.
 */
void images_refresh(struct images *images, const char *ref, bool must);

/** Whether the registry of an image was last asked longer ago; so is one that never was. */
bool images_older_than(struct images *images, const char *ref, int64_t age_ms);

/** Forget what was looked up: an image was loaded or removed. */
void images_forget(struct images *images);

/**
 * Look whether another daemon has changed the store, and forget what is not so any more; it happens
 * by itself, too, but maybe after the request that one is just answering.
 */
void images_look(struct images *images);

/** Look those that were missing up again when they are wanted next (somebody applies again). */
void images_retry_missing(struct images *images);

struct image_entry {
        char *ref; /* as the manifest writes it */
        enum image_state state;
        struct image *image; /* READY */
        char *message;       /* MISSING: why, and the way out; BUSY: how far it is */
        bool never;          /* MISSING: because of pull_policy never */
        bool again;          /* MISSING: will be tried again by itself */
        bool refresh;        /* UNKNOWN: pull, though it is there */
        bool lenient;        /* BUSY: if that fails, what is there does */
};

/** The entry of a reference, or NULL when it was never looked up. Valid until images_forget(). */
const struct image_entry *images_find(const struct images *images, const char *ref);

/**
 * Make sure the disk of a manifest digest exists. cb comes once, maybe before this returns, with
 * the path or err. A waiter that goes away calls images_cancel(ctx).
 */
void images_unpack(struct images *images, const char *digest,
                   void (*cb)(void *ctx, const char *path, const struct err *err), void *ctx);

struct image_pull_events {
        /* {stage, done, total}, {layer, state, done, total} or {notice}; borrowed. May be NULL. */
        void (*on_line)(void *ctx, json_t *line);
        /* Once: result as JOB_PULL's, the disk is unpacked; or err. May be NULL. */
        void (*on_done)(void *ctx, const json_t *result, const struct err *err);
        void *ctx;
};

/**
 * Pull an image and unpack it, or join who does. auth_file: asked first for credentials (of who
 * comes first); may be NULL. platform: see storage/job.h; an image of another machine is not
 * unpacked, and nothing runs it. events: copied. A listener that goes away calls
 * images_pull_leave(ctx); with nobody left the pull ends, and the next goes on from there.
 */
int images_pull(struct images *images, const char *ref, const char *platform, const char *auth_file,
                const struct image_pull_events *events, struct err *err);
void images_pull_leave(struct images *images, const void *ctx);

/** Forget all callbacks of ctx. */
void images_cancel(struct images *images, const void *ctx);

#endif
