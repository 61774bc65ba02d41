/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/transfer.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "storage/blob.h"

#define CORRUPT_MAX 2    /* a wrong digest is fetched once more */
#define YIELDS_MAX  1000 /* turns for the daemon between two system calls */

struct transfer {
        struct transfers *all;
        struct oci_descriptor blob;
        enum transfer_state state;
        int fd; /* the partial, locked; -1: not yet */
        int64_t have;
        int64_t started;       /* see blob_start_writing() */
        int64_t began;         /* have at the beginning of this attempt */
        struct digest *digest; /* of the first `have` bytes */
        struct http_call *call;
        struct retry retry;
        bool ended;    /* the call is over, nobody has looked yet */
        bool accepted; /* its headers were read and fit */
        bool no_range; /* the server's ranges are of no use */
        unsigned corrupt;
        struct err stop; /* why on_data ended the call; code 0: it did not */
};

static const char *hex_of(const struct transfer *t)
{
        return t->blob.digest + strlen("sha256:");
}

static void report(const struct transfer *t)
{
        if (t->all->on_progress)
                t->all->on_progress(t->all->ctx, &t->blob, t->state, t->have);
}

/* ---------------------------------------------------------------------------------- the partial */

static int restart(struct transfer *t, struct err *err)
{
        digest_free(t->digest);
        t->digest = digest_new();
        t->have = t->started = 0;
        return ftruncate(t->fd, 0) < 0 ? err_errno(err, errno, "blob %s", t->blob.digest) : 0;
}

/* What an earlier pull left counts only as far as it can be read; the digest decides at the end. */
static int take_up(struct transfer *t, struct err *err)
{
        AUTO_FREE char *chunk = NULL;
        const size_t size = 1 << 20;
        struct stat st;

        if (fstat(t->fd, &st) < 0)
                return err_errno(err, errno, "blob %s", t->blob.digest);
        t->digest = digest_new();
        if (st.st_size > t->blob.size)
                return restart(t, err);
        chunk = xcalloc(1, size);
        while (t->have < st.st_size) {
                ssize_t n = pread(t->fd, chunk, size, t->have);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return restart(t, err);
                digest_update(t->digest, chunk, (size_t)n);
                t->have += n;
        }
        return 0;
}

/* 1: another pull holds it. The store is looked at under the lock: that pull may have ended well.
 */
static int lock_partial(struct transfer *t, bool wait, struct err *err)
{
        unsigned yields = 0;

        for (;;) {
                AUTO_CLOSE int fd =
                        openat(t->all->partial, hex_of(t),
                               O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
                struct stat ours, named;

                if (fd < 0 && errno == EACCES && yields++ < YIELDS_MAX) {
                        (void)sched_yield(); /* it is just being published: ours no more */
                        continue;
                }
                if (fd < 0)
                        return err_errno(err, errno, "blob %s", t->blob.digest);
                if (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
                        if (errno == EWOULDBLOCK)
                                return 1;
                        if (errno == EINTR)
                                continue;
                        return err_errno(err, errno, "blob %s: lock", t->blob.digest);
                }
                if (fstat(fd, &ours) == 0 &&
                    fstatat(t->all->partial, hex_of(t), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
                    ours.st_ino == named.st_ino && S_ISREG(ours.st_mode)) {
                        t->fd = steal_fd(&fd);
                        return 0;
                }
                /* It was published or removed between the two steps. */
        }
}

static int begin(struct transfer *t, bool wait, struct err *err)
{
        int r = lock_partial(t, wait, err);

        if (r != 0) {
                t->state = r > 0 ? TRANSFER_LOCKED : t->state;
                return r < 0 ? r : 0;
        }
        if (blob_present(t->all->blobs, &t->blob)) {
                (void)unlinkat(t->all->partial, hex_of(t), 0); /* of no use any more */
                t->state = TRANSFER_PRESENT;
                t->have = t->blob.size;
                return 0;
        }
        t->state = TRANSFER_WAITING; /* its first attempt is due at once */
        return take_up(t, err);
}

/* ---------------------------------------------------------------------------------- one attempt */

/* A single "bytes FROM-TO/SIZE" that fits. */
static bool range_fits(const struct transfer *t)
{
        const char *value = http_call_header(t->call, "Content-Range", 0);
        AUTO_FREE char *wanted = xasprintf("bytes %" PRId64 "-%" PRId64 "/%" PRId64, t->have,
                                           t->blob.size - 1, t->blob.size);

        return value && streq(value, wanted) && !http_call_header(t->call, "Content-Range", 1);
}

/* Look at the answer's head once its body begins. */
static int accept_head(struct transfer *t)
{
        const char *coding = http_call_header(t->call, "Content-Encoding", 0);
        long status = http_call_status(t->call);

        t->accepted = true;
        if (coding && strcasecmp(coding, "identity") != 0)
                return err_set(&t->stop, EPROTO,
                               "blob %s came with Content-Encoding %.40s; a proxy on the way "
                               "changes it",
                               t->blob.digest, coding);
        if (t->have > 0 && status == 206 && !range_fits(t)) {
                t->no_range = true;
                return err_set(&t->stop, EAGAIN, "it resumed at the wrong place");
        }
        if (status == 206 && t->have == 0)
                return err_set(&t->stop, EAGAIN, "it sent a part that nobody asked for");
        if (t->have > 0 && status != 206) { /* all of it, though we asked for the rest */
                int r = restart(t, &t->stop);

                t->began = 0;
                return r;
        }
        return 0;
}

static int write_part(struct transfer *t, const char *data, size_t n)
{
        while (n) {
                ssize_t done = pwrite(t->fd, data, n, t->have);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return err_errno(&t->stop, errno, "blob %s: write", t->blob.digest);
                digest_update(t->digest, data, (size_t)done);
                t->have += done;
                data += done;
                n -= (size_t)done;
        }
        blob_start_writing(t->fd, &t->started, t->have);
        return 0;
}

static int on_blob_data(void *ctx, const void *data, size_t n)
{
        struct transfer *t = ctx;

        if (!t->accepted && accept_head(t) < 0)
                return -1;
        if ((int64_t)n > t->blob.size - t->have)
                return err_set(&t->stop, EPROTO,
                               "blob %s is longer than the %lld bytes it was "
                               "said to have",
                               t->blob.digest, (long long)t->blob.size);
        if (write_part(t, data, n) < 0)
                return -1;
        t->all->received += (int64_t)n;
        report(t);
        return 0;
}

static void on_blob_done(void *ctx)
{
        struct transfer *t = ctx;

        t->ended = true;
}

static bool may_follow(void *ctx, const char *url)
{
        const struct registry *registry = ((const struct transfer *)ctx)->all->registry;

        return auth_redirect_allowed(url, registry->endpoint, registry->http);
}

static int start(struct transfer *t, struct err *err)
{
        struct registry *registry = t->all->registry;
        AUTO_FREE char *tail = xasprintf("blobs/%s", t->blob.digest);
        AUTO_FREE char *url = registry_url(registry, tail);
        AUTO_FREE char *range =
                xasprintf("Range: bytes=%" PRId64 "-%" PRId64, t->have, t->blob.size - 1);
        const char *const headers[] = {range, NULL};
        struct http_call_spec spec = {
                .method = "GET",
                .url = url,
                .headers = t->have > 0 && !t->no_range ? headers : NULL,
                .collect_max = 64u << 10, /* of an error's text */
                .may_follow = may_follow,
                .on_data = on_blob_data,
                .on_done = on_blob_done,
                .ctx = t,
        };
        int r = 0;

        if (t->have > 0 && t->no_range)
                r = restart(t, err);
        if (r == 0)
                r = registry_prepare(registry, &spec, &t->retry, err);
        if (r < 0)
                return r;
        t->began = t->have;
        t->ended = t->accepted = false;
        t->stop.code = 0;
        t->state = TRANSFER_RUNNING;
        t->call = http_call_start(registry->context->pool, &spec);
        return 0;
}

/* All bytes are there: they are the right ones, or it begins again. */
static int check(struct transfer *t, struct err *err)
{
        char actual[DIGEST_TEXT_MAX];

        digest_final_text(t->digest, actual);
        if (streq(actual, t->blob.digest)) {
                if (fsync(t->fd) < 0)
                        return err_errno(err, errno, "blob %s: sync", t->blob.digest);
                /* Not held while we wait for others: two pulls could wait for each other. */
                (void)close(steal_fd(&t->fd)); /* synced */
                t->state = TRANSFER_DONE;
                return 0;
        }
        t->state = TRANSFER_WAITING;
        t->retry.at_ms = 0;
        if (restart(t, err) < 0)
                return -err->code;
        return ++t->corrupt < CORRUPT_MAX
                       ? 0
                       : err_set(err, EBADMSG, "blob %s: what came has the digest %s",
                                 t->blob.digest, actual);
}

/* on_data ended the call: for good, or because the server's ranges cannot be trusted. */
static int stopped(struct transfer *t, struct err *err)
{
        if (t->stop.code == EAGAIN && t->no_range) {
                t->retry.at_ms = 0;
                t->state = TRANSFER_WAITING;
                return 0;
        }
        if (t->stop.code == ENOSPC || t->stop.code == EDQUOT)
                (void)unlinkat(t->all->partial, hex_of(t), 0); /* gives its space back at our end */
        *err = t->stop;
        return -err->code;
}

static int finish(struct transfer *t, struct err *err)
{
        AUTO(http_call) struct http_call *call = STEAL(t->call);
        enum verdict verdict;
        long status = http_call_status(call);
        const char *body;
        size_t len;

        if (t->stop.code)
                return stopped(t, err);
        t->state = TRANSFER_WAITING;
        if (t->have == t->blob.size && t->accepted)
                return check(t, err); /* however the connection ended */
        if (status == 416 && t->have > 0) {
                t->no_range = true;
                t->retry.at_ms = 0;
                return 0;
        }
        verdict = registry_judge(t->all->registry, call, &t->retry, t->have - t->began, err);
        if (verdict == VERDICT_AGAIN)
                return 0;
        if (verdict == VERDICT_FAILED)
                return err_wrap(err, "blob %s", t->blob.digest);
        if (status >= 200 && status <= 299) { /* it ended too early, and says that was all */
                if (++t->retry.attempts >= t->all->registry->context->config->retries)
                        return err_set(err, EPROTO, "blob %s ends after %lld of %lld bytes",
                                       t->blob.digest, (long long)t->have, (long long)t->blob.size);
                t->retry.at_ms = 0;
                return 0;
        }
        body = http_call_body(call, &len);
        return registry_refused(t->all->registry, status, body, len, t->blob.digest, err);
}

/* ---------------------------------------------------------------------------------- all of them */

static bool is_over(const struct transfer *t)
{
        return t->state == TRANSFER_DONE || t->state == TRANSFER_PRESENT;
}

static int advance(struct transfer *t, struct err *err)
{
        int r = 0;

        if (is_over(t))
                return 0;
        if (t->state == TRANSFER_RUNNING && t->ended)
                r = finish(t, err);
        if (r == 0 && t->state == TRANSFER_WAITING && t->have == t->blob.size)
                r = check(t, err);
        if (r == 0 && t->state == TRANSFER_WAITING && t->retry.at_ms <= clock_mono_ms())
                r = start(t, err);
        if (r == 0)
                report(t);
        return r;
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)w;
        (void)revents;
}

/* Sleep until a call reports, or the next attempt is due. */
static void wait_for_any(const struct transfers *all, const struct transfer *list, size_t len)
{
        struct ev_loop *loop = all->registry->context->loop;
        int64_t now = clock_mono_ms(), at = INT64_MAX;
        bool running = false;
        ev_timer timer;

        for (size_t i = 0; i < len; i++) {
                if (list[i].state == TRANSFER_RUNNING && list[i].ended)
                        return;
                running = running || list[i].state == TRANSFER_RUNNING;
                if (list[i].state == TRANSFER_WAITING && list[i].retry.at_ms < at)
                        at = list[i].retry.at_ms;
        }
        if (at <= now || (at == INT64_MAX && !running))
                return;
        ev_now_update(loop);
        ev_timer_init(&timer, on_wake, at == INT64_MAX ? 60. : (double)(at - now) / 1000., 0.);
        ev_timer_start(loop, &timer);
        ev_run(loop, EVRUN_ONCE);
        ev_timer_stop(loop, &timer);
}

/* Begin queued ones while there is room; those that others hold come last, by waiting for them. */
static int begin_some(struct transfers *all, struct transfer *list, size_t len, struct err *err)
{
        unsigned active = 0, queued = 0;
        struct transfer *locked = NULL;
        int r = 0;

        for (size_t i = 0; i < len; i++)
                active += list[i].state == TRANSFER_RUNNING || list[i].state == TRANSFER_WAITING;
        for (size_t i = 0; r == 0 && i < len; i++) {
                struct transfer *t = &list[i];

                if (t->state == TRANSFER_QUEUED &&
                    active < all->registry->context->config->parallel) {
                        r = begin(t, false, err);
                        active += t->state == TRANSFER_WAITING;
                        report(t);
                }
                queued += t->state == TRANSFER_QUEUED;
                locked = t->state == TRANSFER_LOCKED ? t : locked;
        }
        if (r == 0 && locked && !active && !queued) {
                r = begin(locked, true, err);
                report(locked);
        }
        return r;
}

static struct transfer *make_list(struct transfers *all, const struct oci_descriptor *blobs,
                                  size_t len, size_t *ret_len)
{
        struct transfer *list = NULL;
        size_t count = 0;

        for (size_t i = 0; i < len; i++) {
                struct transfer *t;
                bool twice = false;

                for (size_t k = 0; k < count; k++)
                        twice = twice || streq(list[k].blob.digest, blobs[i].digest);
                if (twice)
                        continue;
                t = array_push(&list, &count);
                t->all = all;
                t->blob = blobs[i];
                t->fd = -1;
        }
        *ret_len = count;
        return list;
}

int transfer_all(struct transfers *all, const struct oci_descriptor *blobs, size_t len,
                 struct err *err)
{
        struct transfer *list;
        size_t count, left;
        int r = 0;

        list = make_list(all, blobs, len, &count);
        do {
                r = begin_some(all, list, count, err);
                left = 0;
                for (size_t i = 0; r == 0 && i < count; i++) {
                        r = advance(&list[i], err);
                        left += !is_over(&list[i]);
                }
                if (r == 0 && left)
                        wait_for_any(all, list, count);
        } while (r == 0 && left);
        for (size_t i = 0; i < count; i++) {
                http_call_free(list[i].call);
                digest_free(list[i].digest);
                if (list[i].fd >= 0)
                        (void)close(list[i].fd); /* a partial: nothing was promised */
        }
        free(list);
        return r;
}
