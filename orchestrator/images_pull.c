/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulls that several share: stacks that want an image and clients that ask for it. One job per
 * reference; who comes later hears of it from there on. It ends when nobody is left who wants it,
 * and leaves what it has for the next.
 *
 *   images_pull ─▶ JOB_PULL ─▶ JOB_UNPACK ─▶ on_done of all
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/events.h"
#include "orchestrator/images_internal.h"
#include "storage/platform.h"

#define AGAIN_S 60. /* a registry that could not be reached is asked again */

struct image_pull {
        struct images *images;
        char *ref;      /* normalised */
        char *platform; /* that was asked for; NULL: what VMs here run, and what stacks want */
        struct storage_job *job;
        char *auth_file; /* NULL: none of its own */
        json_t *result;  /* of the pull, while unpacking */
        json_t *before;  /* what the reference was */
        bool mended;     /* it was pulled again, as a blob in the store was damaged */
        struct image_pull_events *listeners;
        size_t listeners_len;
        bool wanted; /* by an entry: a stack */
        int64_t done, total;
};

static void pull_free(void *p)
{
        struct image_pull *pull = p;

        json_decref(pull->result);
        json_decref(pull->before);
        free(pull->auth_file);
        free(pull->listeners);
        free(pull->ref);
        free(pull->platform);
        free(pull);
}

static void forget_pull(struct image_pull *pull)
{
        struct images *images = pull->images;

        for (size_t i = 0; i < images->pulls_len; i++)
                if (images->pulls[i] == pull) {
                        images->pulls[i] = images->pulls[--images->pulls_len];
                        return;
                }
}

static void tell(const struct image_pull *pull, json_t *line)
{
        for (size_t i = 0; i < pull->listeners_len; i++)
                if (pull->listeners[i].on_line)
                        pull->listeners[i].on_line(pull->listeners[i].ctx, line);
        json_decref(line);
}

/* The entry that a stack has for what is pulled; manifests write names in several ways. */
static void each_entry(struct image_pull *pull,
                       void (*visit)(struct image_pull *pull, struct image_entry *entry,
                                     const void *arg),
                       const void *arg)
{
        for (size_t i = 0; i < pull->images->entries_len; i++) {
                AUTO_FREE char *normal = NULL;
                struct err ignored;

                if (!pull->platform && pull->images->entries[i].state == IMAGE_BUSY &&
                    image_ref_normalise(pull->images->entries[i].ref, &normal, &ignored) == 0 &&
                    streq(normal, pull->ref))
                        visit(pull, &pull->images->entries[i], arg);
        }
}

static void show_progress(struct image_pull *pull, struct image_entry *entry, const void *arg)
{
        const char *stage = arg;

        free(entry->message);
        entry->message = pull->total > 0 ? xasprintf("%s, %lld%% of %lld MB", stage,
                                                     (long long)(pull->done * 100 / pull->total),
                                                     (long long)((pull->total + 999999) / 1000000))
                                         : xstrdup(stage);
}

static void on_pull_progress(void *ctx, const char *stage, int64_t done, int64_t total)
{
        struct image_pull *pull = ctx;

        pull->done = done;
        pull->total = total;
        each_entry(pull, show_progress, "pulling");
        tell(pull, json_pack("{s:s, s:I, s:I}", "stage", stage, "done", (json_int_t)done, "total",
                             (json_int_t)total));
}

static void on_pull_layer(void *ctx, const char *digest, const char *state, int64_t done,
                          int64_t total)
{
        tell(ctx, json_pack("{s:s, s:s, s:I, s:I}", "layer", digest, "state", state, "done",
                            (json_int_t)done, "total", (json_int_t)total));
}

static void show_notice(struct image_pull *pull, struct image_entry *entry, const void *arg)
{
        (void)pull;
        free(entry->message);
        entry->message = xstrdup(arg);
}

/* "... cannot be reached; trying again in 2.0 s": also what those that wait for it are told. */
static void on_pull_notice(void *ctx, const char *text)
{
        struct image_pull *pull = ctx;

        each_entry(pull, show_notice, text);
        if (pull->images->on_change)
                pull->images->on_change(pull->images->ctx, "");
        tell(pull, json_pack("{s:s}", "notice", text));
}

/* Whether trying again by itself makes sense. */
static bool may_pass(const struct err *err)
{
        return err->code == EHOSTUNREACH || err->code == ETIMEDOUT || err->code == EPIPE ||
               err->code == EBUSY || err->code == EAGAIN || err->code == EREMOTEIO;
}

static void on_again(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)revents;
        ev_timer_stop(loop, w);
        images_pull_later(container_of(w, struct images, again));
}

static void settle_entry(struct image_pull *pull, struct image_entry *entry, const void *arg)
{
        struct images *images = pull->images;
        const struct err *failure = arg;
        struct err err = ERR_INIT;

        free(entry->message);
        entry->message = NULL;
        if (failure)
                err = *failure;
        if ((!failure || entry->lenient) &&
            image_find(images->store, entry->ref, &entry->image, &err) == 0) {
                entry->state = IMAGE_READY;
                return;
        }
        entry->state = IMAGE_MISSING;
        entry->again = failure && may_pass(failure);
        entry->message = xasprintf("%s%s", err.msg, entry->again ? "; trying again in 1m" : "");
        if (entry->again && !ev_is_active(&images->again)) {
                ev_timer_init(&images->again, on_again, AGAIN_S, 0.);
                ev_timer_start(images->loop, &images->again);
        }
}

static void pull_end(struct image_pull *pull, const json_t *result, const struct err *err)
{
        struct images *images = pull->images;

        forget_pull(pull);
        each_entry(pull, settle_entry, err);
        if (images->events)
                event_emit(images->events, NULL, NULL, 0,
                           err ? "image-pull-failed" : "image-pulled", "", "%s%s%s", pull->ref,
                           err ? ": " : "", err ? err->msg : "");
        for (size_t i = 0; i < pull->listeners_len; i++)
                if (pull->listeners[i].on_done)
                        pull->listeners[i].on_done(pull->listeners[i].ctx, result, err);
        if (images->on_change)
                images->on_change(images->ctx, pull->ref);
        loop_defer_free(images->loop, pull_free, pull);
}

static int pull_begin(struct image_pull *pull, struct err *err);

/* An image that cannot be unpacked is not there: the name is what it was before. */
static void withdraw(struct image_pull *pull)
{
        const json_t *image = json_array_get(json_object_get(pull->result, "images"), 0);
        struct err err = ERR_INIT;

        if (image_withdraw(pull->images->store, pull->ref, json_str(image, "digest", ""),
                           pull->before, &err) < 0)
                log_warn("images", "", "%s: cannot take the name back: %s", pull->ref, err.msg);
}

static void on_pull_unpacked(void *ctx, const char *path, const struct err *err)
{
        struct image_pull *pull = ctx;
        struct err again = ERR_INIT;

        (void)path;
        /* What was damaged is gone by now, and comes anew. */
        if (err && (err->code == STORAGE_DAMAGED || err->code == ENOENT) && !pull->mended) {
                pull->mended = true;
                json_decref(pull->result);
                pull->result = NULL;
                if (pull_begin(pull, &again) < 0)
                        pull_end(pull, NULL, &again);
                return;
        }
        if (err)
                withdraw(pull);
        pull_end(pull, err ? NULL : pull->result, err);
}

/* Nothing runs it here, so nobody needs its disk. */
static bool is_foreign(const struct image_pull *pull)
{
        AUTO(image) struct image *image = NULL;
        struct err ignored;

        return image_find(pull->images->store, pull->ref, &image, &ignored) == 0 &&
               !platform_runs_here(image->os, image->architecture);
}

static void on_pull_done(void *ctx, const json_t *result, const struct err *err)
{
        const json_t *image = json_array_get(json_object_get(result, "images"), 0);
        const char *digest = json_str(image, "digest", "");
        struct image_pull *pull = ctx;

        pull->job = NULL; /* gone when we return */
        if (err || !digest_valid(digest) || is_foreign(pull)) {
                pull_end(pull, result, err);
                return;
        }
        pull->result = json_deep_copy(result);
        tell(pull, json_pack("{s:s, s:i, s:i}", "stage", "unpack", "done", 0, "total", 0));
        each_entry(pull, show_progress, "unpacking");
        images_unpack(pull->images, digest, on_pull_unpacked, pull);
}

static int pull_begin(struct image_pull *pull, struct err *err)
{
        const struct storage_job_request request = {.kind = JOB_PULL,
                                                    .archive_fd = -1,
                                                    .ref = pull->ref,
                                                    .platform = pull->platform,
                                                    .auth_file = pull->auth_file};
        const struct storage_job_events events = {.on_progress = on_pull_progress,
                                                  .on_layer = on_pull_layer,
                                                  .on_notice = on_pull_notice,
                                                  .on_done = on_pull_done,
                                                  .ctx = pull};

        return storage_job_start(pull->images->loop, pull->images->store, pull->images->worker,
                                 &request, &events, &pull->job, err);
}

static int pull_start(struct images *images, const char *ref, const char *platform,
                      const char *auth_file, struct image_pull **ret, struct err *err)
{
        struct image_pull *pull = xnew(struct image_pull);
        int r;

        pull->images = images;
        pull->ref = xstrdup(ref);
        pull->platform = xstrdup(platform);
        pull->auth_file = xstrdup(auth_file);
        pull->before = image_reference(images->store, ref);
        r = pull_begin(pull, err);
        if (r < 0) {
                pull_free(pull);
                return r;
        }
        *array_push(&images->pulls, &images->pulls_len) = pull;
        if (images->events)
                event_emit(images->events, NULL, NULL, 0, "image-pulling", "", "%s", ref);
        *ret = pull;
        return 0;
}

static int pull_find(struct images *images, const char *ref, const char *platform,
                     const char *auth_file, struct image_pull **ret, struct err *err)
{
        AUTO_FREE char *normal = NULL;
        int r = image_ref_normalise(ref, &normal, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < images->pulls_len; i++)
                if (streq(images->pulls[i]->ref, normal) &&
                    streq(images->pulls[i]->platform ? images->pulls[i]->platform : "",
                          platform ? platform : "")) {
                        *ret = images->pulls[i];
                        return 0;
                }
        return pull_start(images, normal, platform, auth_file, ret, err);
}

int images_pull(struct images *images, const char *ref, const char *platform, const char *auth_file,
                const struct image_pull_events *events, struct err *err)
{
        struct image_pull *pull = NULL;
        int r = pull_find(images, ref, platform, auth_file, &pull, err);

        if (r == 0)
                *array_push(&pull->listeners, &pull->listeners_len) = *events;
        return r;
}

static void drop_if_unwanted(struct image_pull *pull)
{
        if (pull->listeners_len || pull->wanted || !pull->job)
                return; /* one that unpacks already is soon done */
        storage_job_cancel(pull->job);
        forget_pull(pull);
        loop_defer_free(pull->images->loop, pull_free, pull);
}

void images_pull_leave(struct images *images, const void *ctx)
{
        for (size_t i = images->pulls_len; i > 0; i--) {
                struct image_pull *pull = images->pulls[i - 1];
                size_t kept = 0;

                for (size_t n = 0; n < pull->listeners_len; n++)
                        if (pull->listeners[n].ctx != ctx)
                                pull->listeners[kept++] = pull->listeners[n];
                if (kept == pull->listeners_len)
                        continue;
                pull->listeners_len = kept;
                drop_if_unwanted(pull);
        }
}

void images_pull_entry(struct images *images, struct image_entry *entry)
{
        struct image_pull *pull = NULL;
        struct err err = ERR_INIT;

        if (pull_find(images, entry->ref, NULL, NULL, &pull, &err) < 0) {
                entry->state = IMAGE_MISSING;
                entry->message = xstrdup(err.msg);
                return;
        }
        pull->wanted = true;
        entry->state = IMAGE_BUSY;
}

void images_pull_release(struct images *images)
{
        ev_timer_stop(images->loop, &images->again);
        for (size_t i = 0; i < images->pulls_len; i++) {
                storage_job_cancel(images->pulls[i]->job);
                pull_free(images->pulls[i]);
        }
        free(images->pulls);
}
