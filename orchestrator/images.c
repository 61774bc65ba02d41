/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/images.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/job.h"

struct waiter {
        void (*cb)(void *ctx, const char *path, const struct err *err);
        void *ctx; /* NULL: cancelled */
};

/* One disk that is being unpacked, and who waits for it. */
struct unpack {
        struct images *images;
        struct storage_job *job;
        char digest[DIGEST_TEXT_MAX];
        struct waiter *waiters;
        size_t waiters_len;
};

struct images {
        struct ev_loop *loop;
        struct image_store *store;
        char *worker;
        struct image_entry *entries;
        size_t entries_len;
        struct unpack **unpacks;
        size_t unpacks_len;
};

struct images *images_new(struct ev_loop *loop, struct image_store *store, const char *worker)
{
        struct images *images = xnew(struct images);

        images->loop = loop;
        images->store = store;
        images->worker = xstrdup(worker);
        return images;
}

static void unpack_free(struct unpack *u)
{
        free(u->waiters);
        free(u);
}

void images_free(struct images *images)
{
        if (!images)
                return;
        images_forget(images);
        for (size_t i = 0; i < images->unpacks_len; i++) {
                storage_job_cancel(images->unpacks[i]->job);
                unpack_free(images->unpacks[i]);
        }
        free(images->unpacks);
        free(images->entries);
        free(images->worker);
        free(images);
}

/* Drop the entries of one state, or all. */
static void forget(struct images *images, bool only_missing)
{
        size_t kept = 0;

        for (size_t i = 0; i < images->entries_len; i++) {
                struct image_entry *entry = &images->entries[i];

                if (only_missing && entry->state != IMAGE_MISSING) {
                        images->entries[kept++] = *entry;
                        continue;
                }
                free(entry->ref);
                free(entry->message);
                image_free(entry->image);
        }
        images->entries_len = kept;
}

void images_forget(struct images *images)
{
        forget(images, false);
}

void images_retry_missing(struct images *images)
{
        forget(images, true);
}

const struct image_entry *images_find(const struct images *images, const char *ref)
{
        for (size_t i = 0; i < images->entries_len; i++)
                if (streq(images->entries[i].ref, ref))
                        return &images->entries[i];
        return NULL;
}

void images_resolve(struct images *images, const char *ref)
{
        struct image_entry *entry;
        struct err err = ERR_INIT;

        if (images_find(images, ref))
                return;
        entry = array_push(&images->entries, &images->entries_len);
        entry->ref = xstrdup(ref);
        if (image_find(images->store, ref, &entry->image, &err) < 0) {
                entry->state = IMAGE_MISSING;
                entry->message = xstrdup(err.msg);
        } else {
                entry->state = IMAGE_READY;
        }
}

static void unpack_remove(struct images *images, const struct unpack *u)
{
        for (size_t i = 0; i < images->unpacks_len; i++)
                if (images->unpacks[i] == u) {
                        images->unpacks[i] = images->unpacks[--images->unpacks_len];
                        return;
                }
}

static void on_unpack_done(void *ctx, const json_t *result, const struct err *err)
{
        struct unpack *u = ctx;
        const char *path = result ? json_string_value(json_object_get(result, "path")) : NULL;
        struct err odd = ERR_INIT;

        if (!err && !path) {
                err_set(&odd, EIO, "the unpack worker named no disk");
                err = &odd;
        }
        unpack_remove(u->images, u);
        for (size_t i = 0; i < u->waiters_len; i++)
                if (u->waiters[i].ctx)
                        u->waiters[i].cb(u->waiters[i].ctx, err ? NULL : path, err);
        unpack_free(u);
}

static struct unpack *unpack_start(struct images *images, const char *digest, struct err *err)
{
        const struct storage_job_request request = {
                .kind = JOB_UNPACK, .archive_fd = -1, .digest = digest};
        struct unpack *u = xnew(struct unpack);
        const struct storage_job_events events = {.on_done = on_unpack_done, .ctx = u};

        u->images = images;
        memcpy(u->digest, digest, strlen(digest) + 1);
        if (storage_job_start(images->loop, images->store, images->worker, &request, &events,
                              &u->job, err) < 0) {
                unpack_free(u);
                return NULL;
        }
        *array_push(&images->unpacks, &images->unpacks_len) = u;
        return u;
}

void images_unpack(struct images *images, const char *digest,
                   void (*cb)(void *ctx, const char *path, const struct err *err), void *ctx)
{
        struct unpack *u = NULL;
        struct err err = ERR_INIT;

        if (!digest_valid(digest))
                bug("unpack of an invalid digest");
        for (size_t i = 0; !u && i < images->unpacks_len; i++)
                if (streq(images->unpacks[i]->digest, digest))
                        u = images->unpacks[i];
        if (!u)
                u = unpack_start(images, digest, &err);
        if (!u) {
                cb(ctx, NULL, &err);
                return;
        }
        *array_push(&u->waiters, &u->waiters_len) = (struct waiter){cb, ctx};
}

void images_cancel(struct images *images, const void *ctx)
{
        for (size_t i = 0; i < images->unpacks_len; i++)
                for (size_t n = 0; n < images->unpacks[i]->waiters_len; n++)
                        if (images->unpacks[i]->waiters[n].ctx == ctx)
                                images->unpacks[i]->waiters[n].ctx = NULL;
}
