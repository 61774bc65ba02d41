/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the images*.c files. For nobody else. */
#ifndef ORCHESTRATOR_IMAGES_INTERNAL_H
#define ORCHESTRATOR_IMAGES_INTERNAL_H

#include "orchestrator/images.h"
#include "storage/job.h"

struct unpack;
struct image_pull;

struct images {
        struct ev_loop *loop;
        struct image_store *store;
        struct events *events; /* NULL: nobody is told */
        char *worker;
        struct image_entry *entries;
        size_t entries_len;
        struct unpack **unpacks;
        size_t unpacks_len;
        struct image_pull **pulls;
        size_t pulls_len;
        void (*on_change)(void *ctx, const char *ref);
        void *ctx;
        ev_timer again; /* pulls that failed for a reason that may pass */
        char *index_path;
        ev_stat index; /* of the store */
        ev_statdata seen;
};

/** Pull for the entry of ref, as one of those who wait; the entry becomes BUSY or MISSING. */
void images_pull_entry(struct images *images, struct image_entry *entry);

/** Free what an entry holds. */
void images_entry_release(struct image_entry *entry);

/** Begin and end to watch what others do in the store. */
void images_watch_start(struct images *images);
void images_watch_stop(struct images *images);

/** End all pulls without a callback. */
void images_pull_release(struct images *images);

/** Cancel the timer and forget entries whose pull may work by now. */
void images_pull_later(struct images *images);

#endif
