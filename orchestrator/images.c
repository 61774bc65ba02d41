/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/images.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "orchestrator/images_internal.h"
#include "storage/platform.h"

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

struct images *images_new(struct ev_loop *loop, struct image_store *store, struct events *events,
                          const char *worker)
{
        struct images *images = xnew(struct images);

        images->loop = loop;
        images->store = store;
        images->events = events;
        images->worker = xstrdup(worker);
        images_watch_start(images);
        return images;
}

void images_on_change(struct images *images, void (*on_change)(void *ctx, const char *ref),
                      void *ctx)
{
        images->on_change = on_change;
        images->ctx = ctx;
}

static void unpack_free(struct unpack *u)
{
        free(u->waiters);
        free(u);
}

enum forget { FORGET_ALL, FORGET_LOOKED_UP, FORGET_MISSING, FORGET_AGAIN };

static bool is_forgotten(const struct image_entry *entry, enum forget what)
{
        switch (what) {
        case FORGET_ALL:
                return true;
        case FORGET_LOOKED_UP: /* a pull under way brings its own news */
                return entry->state != IMAGE_BUSY && !entry->refresh;
        case FORGET_MISSING:
                return entry->state == IMAGE_MISSING;
        case FORGET_AGAIN:
                return entry->state == IMAGE_MISSING && entry->again;
        }
        bug("an unknown kind of forgetting");
}

void images_entry_release(struct image_entry *entry)
{
        free(entry->ref);
        free(entry->message);
        image_free(entry->image);
}

static void forget(struct images *images, enum forget what)
{
        size_t kept = 0;

        for (size_t i = 0; i < images->entries_len; i++) {
                struct image_entry *entry = &images->entries[i];

                if (!is_forgotten(entry, what)) {
                        images->entries[kept++] = *entry;
                        continue;
                }
                images_entry_release(entry);
        }
        images->entries_len = kept;
}

void images_forget(struct images *images)
{
        forget(images, FORGET_LOOKED_UP);
}

void images_retry_missing(struct images *images)
{
        forget(images, FORGET_MISSING);
}

void images_pull_later(struct images *images)
{
        forget(images, FORGET_AGAIN);
        if (images->on_change)
                images->on_change(images->ctx, "");
}

void images_free(struct images *images)
{
        if (!images)
                return;
        images_watch_stop(images);
        forget(images, FORGET_ALL);
        images_pull_release(images);
        for (size_t i = 0; i < images->unpacks_len; i++) {
                storage_job_cancel(images->unpacks[i]->job);
                unpack_free(images->unpacks[i]);
        }
        free(images->unpacks);
        free(images->entries);
        free(images->worker);
        free(images);
}

const struct image_entry *images_find(const struct images *images, const char *ref)
{
        for (size_t i = 0; i < images->entries_len; i++)
                if (streq(images->entries[i].ref, ref))
                        return &images->entries[i];
        return NULL;
}

static struct image_entry *find_entry(struct images *images, const char *ref)
{
        for (size_t i = 0; i < images->entries_len; i++)
                if (streq(images->entries[i].ref, ref))
                        return &images->entries[i];
        return NULL;
}

bool images_older_than(struct images *images, const char *ref, int64_t age_ms)
{
        AUTO(image) struct image *image = NULL;
        int64_t now = clock_wall_ms();
        struct err ignored;

        /* One from the future was stamped by a clock that was wrong. */
        return image_find(images->store, ref, &image, &ignored) == 0 &&
               (image->pulled_ms > now || now - image->pulled_ms >= age_ms);
}

void images_refresh(struct images *images, const char *ref, bool must)
{
        struct image_entry *entry = find_entry(images, ref);

        if (!entry) {
                entry = array_push(&images->entries, &images->entries_len);
                entry->ref = xstrdup(ref);
        }
        if (entry->state == IMAGE_BUSY)
                return;
        image_free(entry->image);
        free(entry->message);
        *entry = (struct image_entry){
                .ref = entry->ref, .state = IMAGE_UNKNOWN, .refresh = true, .lenient = !must};
}

/* What VMs here cannot run is as good as not there. */
static void refuse_foreign(struct image_entry *entry)
{
        const struct image *image = entry->image;

        if (platform_runs_here(image->os, image->architecture))
                return;
        entry->state = IMAGE_MISSING;
        entry->message = xasprintf("%s is for %.30s/%.30s, which VMs here do not run; 'berth image "
                                   "pull %s' gets the one for this machine",
                                   entry->ref, image->os ? image->os : "linux",
                                   image->architecture ? image->architecture : "?", entry->ref);
        image_free(STEAL(entry->image));
}

void images_resolve(struct images *images, const char *ref, enum pull_policy policy)
{
        struct image_entry *entry = find_entry(images, ref);
        struct err err = ERR_INIT;
        bool refresh = entry && entry->refresh;

        if (entry && entry->state != IMAGE_UNKNOWN &&
            !(entry->state == IMAGE_MISSING && entry->never && policy != PULL_NEVER))
                return;
        if (!entry) {
                entry = array_push(&images->entries, &images->entries_len);
                entry->ref = xstrdup(ref);
        }
        free(entry->message);
        entry->message = NULL;
        entry->refresh = entry->never = false;
        if (!refresh && image_find(images->store, ref, &entry->image, &err) == 0) {
                entry->state = IMAGE_READY;
                refuse_foreign(entry);
        } else if (refresh || (err.code == ENOENT && policy != PULL_NEVER)) {
                images_pull_entry(images, entry);
        } else {
                entry->state = IMAGE_MISSING;
                entry->never = err.code == ENOENT;
                entry->message = entry->never
                                         ? xasprintf("%s, or let pull_policy be missing", err.msg)
                                         : xstrdup(err.msg);
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
