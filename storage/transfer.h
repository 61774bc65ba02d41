/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs of a registry into a folder of partial files, several at a time. A partial is named by its
 * hex digest and survives everything, so that whoever wants the blob next goes on where it ended:
 *
 *   lock ─▶ hash what is there ─▶ GET with Range ─▶ hash and write ─▶ size and digest match ─▶ done
 *    ▲            │ too long or wrong: from zero        │ cut, 429, 5xx, 401: wait, again
 *    └─ held by another pull: last of all, and then by waiting for it
 *
 * The lock (flock) is held while it grows: two pulls on one store share the work.
 */
#ifndef STORAGE_TRANSFER_H
#define STORAGE_TRANSFER_H

#include "storage/oci.h"
#include "storage/registry.h"

enum transfer_state {
        TRANSFER_QUEUED,
        TRANSFER_LOCKED, /* by another pull */
        TRANSFER_RUNNING,
        TRANSFER_WAITING, /* for its next attempt */
        TRANSFER_DONE,    /* whole and checked, in the partial folder */
        TRANSFER_PRESENT, /* the store had it */
};

struct transfers {
        struct registry *registry;
        int blobs;   /* folder of the store, read-only */
        int partial; /* folder of partial files */
        /* Called often: done bytes of a blob of the store's size. May be NULL. */
        void (*on_progress)(void *ctx, const struct oci_descriptor *blob, enum transfer_state state,
                            int64_t done);
        void *ctx;
        int64_t received; /* bytes over the network, for the record */
};

/**
 * Bring all blobs (one that comes twice is brought once). Fails with the first that cannot be had;
 * what the others got is kept. The text names the digest.
 */
int transfer_all(struct transfers *transfers, const struct oci_descriptor *blobs, size_t len,
                 struct err *err);

#endif
