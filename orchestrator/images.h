/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The images that desired stacks name: looked up once, kept until the store changes, unpacked on
 * demand. Several replicas that need the same disk share one worker.
 *
 *   UNKNOWN --images_resolve--> READY | MISSING --images_forget (store changed)--> UNKNOWN
 */
#ifndef ORCHESTRATOR_IMAGES_H
#define ORCHESTRATOR_IMAGES_H

#include <ev.h>

#include "base/err.h"
#include "reconciler/facts.h"
#include "storage/image.h"

struct images;

/** store: borrowed. worker: program that takes --storage-worker; copied. */
struct images *images_new(struct ev_loop *loop, struct image_store *store, const char *worker);
void images_free(struct images *images);

/** Look an image up now; afterwards images_find() knows whether it is there. */
void images_resolve(struct images *images, const char *ref);

/** Forget what was looked up: an image was loaded or removed. */
void images_forget(struct images *images);

/** Look those that were missing up again when they are wanted next (somebody applies again). */
void images_retry_missing(struct images *images);

struct image_entry {
        char *ref; /* as the manifest writes it */
        enum image_state state;
        struct image *image; /* READY */
        char *message;       /* MISSING: why, and the way out */
};

/** The entry of a reference, or NULL when it was never looked up. Valid until images_forget(). */
const struct image_entry *images_find(const struct images *images, const char *ref);

/**
 * Make sure the disk of a manifest digest exists. cb comes once, maybe before this returns, with
 * the path or err. A waiter that goes away calls images_cancel(ctx).
 */
void images_unpack(struct images *images, const char *digest,
                   void (*cb)(void *ctx, const char *path, const struct err *err), void *ctx);

/** Forget all callbacks of ctx. */
void images_cancel(struct images *images, const void *ctx);

#endif
