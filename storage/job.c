/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of a job. It makes the staging folder, starts the worker with descriptors,
 * reads its lines, and when the worker has ended moves what it made into the store. Until then
 * nothing in the store has changed, so a job may die at any line.
 *
 *   RUNNING ── output ended and worker reaped ──▶ publish ──▶ on_done, freed
 *      └─ cancel ──▶ killed, freed once the worker is reaped; no callback
 *
 * job_spawn.c starts the worker; job_follow.c unpacks what a pull brings while it does.
 */
#include "storage/job.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "storage/job_internal.h"
#include "storage/publish.h"
#include "storage/worker.h"

static void drop_staging(struct storage_job *job)
{
        struct err ignored;

        if (job->staging_path)
                (void)file_remove_tree(job->staging_path,
                                       &ignored); /* or the next image_store_open() */
        free(job->staging_path);
        job->staging_path = NULL;
        if (job->staging >= 0)
                (void)close(steal_fd(&job->staging)); /* gives the lock up */
}

void job_free(void *p)
{
        struct storage_job *job = p;

        loop_child_stop(job->loop, &job->child);
        if (job->output.fd >= 0)
                (void)close(job->output.fd); /* the reading end: nothing to lose */
        drop_staging(job);
        job_follow_end(job);
        json_decref(job->result);
        json_decref(job->published);
        json_decref(job->images);
        strbuf_release(&job->lines);
        free(job->worker);
        free(job->digest);
        free(job->ref);
        free(job->known);
        free(job->store.dir);
        free(job);
}

static int publish(struct storage_job *job, json_t **ret, struct err *err)
{
        switch (job->kind) {
        case JOB_UNPACK:
                return publish_rootfs(&job->store, job->staging, job->digest, ret, err);
        case JOB_LOAD:
        case JOB_IMPORT:
                return publish_images(&job->store, job->staging, job->result, ret, err);
        case JOB_PULL:
                return publish_pulled(&job->store, job->staging, job->result, job->ref, ret, err);
        case JOB_PUSH:
        case JOB_LOGIN:
        case JOB_SAVE:
                *ret = json_incref(job->result);
                return 0;
        }
        bug("an unknown kind of job");
}

/* The last act: tell the owner, then go. What it has not made is gone by then. */
void job_tell(struct storage_job *job)
{
        bool quiet = job->cancelled;

        drop_staging(job);
        job->cancelled = true; /* there is nothing left to cancel */
        if (!quiet)
                job->events.on_done(job->events.ctx, job->failed ? NULL : job->published,
                                    job->failed ? &job->err : NULL);
        loop_defer_free(job->loop, job_free, job);
}

static void job_finish(struct storage_job *job)
{
        int r = -job->err.code;

        if (r == 0 && !job->result)
                r = err_set(&job->err, EIO, "the storage worker ended early (%s %d); try again",
                            WIFSIGNALED(job->status) ? "signal" : "status",
                            WIFSIGNALED(job->status) ? WTERMSIG(job->status)
                                                     : WEXITSTATUS(job->status));
        if (r == 0 && !job->cancelled)
                r = publish(job, &job->published, &job->err);
        if (job->kind == JOB_UNPACK && r == -STORAGE_DAMAGED)
                store_drop_damaged(&job->store, job->digest, job->err.msg);
        job_follow_end(job);
        job->failed = r < 0;
        if (job->failed)
                job_follow_stop(job);
        job->over = true;
        if (!job->follower)
                job_tell(job);
}

static void job_check_end(struct storage_job *job)
{
        if (job->exited && job->ended)
                job_finish(job);
}

static void handle_line(struct storage_job *job, const char *line, size_t len)
{
        AUTO_JSON json_t *message = NULL;
        const char *event, *text;
        struct err err = ERR_INIT;

        if (json_parse(line, len, WORKER_LINE_MAX, "storage worker", &message, &err) < 0) {
                job->err = err;
                return;
        }
        event = json_str(message, "event", "");
        if (streq(event, "progress") && job->events.on_progress && !job->cancelled)
                job->events.on_progress(job->events.ctx, json_str(message, "stage", ""),
                                        json_int(message, "done", 0),
                                        json_int(message, "total", 0));
        if (streq(event, "layer") && job->events.on_layer && !job->cancelled)
                job->events.on_layer(job->events.ctx, json_str(message, "digest", ""),
                                     json_str(message, "state", ""), json_int(message, "done", 0),
                                     json_int(message, "total", 0));
        if (streq(event, "image") && job->kind == JOB_PULL && !job->cancelled)
                job_follow_start(job, json_str(message, "manifest", ""));
        if (streq(event, "layer"))
                job_follow_layer(job, json_str(message, "digest", ""),
                                 json_str(message, "state", ""));
        if (streq(event, "notice") && job->events.on_notice && !job->cancelled)
                job->events.on_notice(job->events.ctx, json_str(message, "text", ""));
        if (streq(event, "done") && !job->result)
                job->result = json_incref(json_object_get(message, "result"));
        if (streq(event, "error")) {
                int64_t code = json_int(message, "code", EIO);

                text = json_str(message, "message", "");
                (void)err_set(&job->err, code > 0 && code < 4096 ? (int)code : EIO, "%s", text);
        }
}

static void handle_lines(struct storage_job *job)
{
        char *end;

        while ((end = memchr(strbuf_str(&job->lines), '\n', job->lines.len))) {
                size_t len = (size_t)(end - job->lines.data);

                handle_line(job, job->lines.data, len);
                strbuf_consume(&job->lines, len + 1);
        }
}

static void stop_output(struct storage_job *job)
{
        ev_io_stop(job->loop, &job->output);
        (void)close(job->output.fd); /* the reading end */
        job->output.fd = -1;
        job->ended = true;
        job_check_end(job);
}

static void on_worker_output(struct ev_loop *loop, ev_io *w, int revents)
{
        struct storage_job *job = container_of(w, struct storage_job, output);
        char chunk[16384];
        ssize_t n = read(w->fd, chunk, sizeof(chunk));

        (void)loop;
        (void)revents;
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n > 0) {
                strbuf_add(&job->lines, chunk, (size_t)n);
                handle_lines(job);
        }
        if (n <= 0 || strbuf_failed(&job->lines))
                stop_output(job);
}

static void on_worker_exit(struct loop_child *child)
{
        struct storage_job *job = container_of(child, struct storage_job, child);
        struct err ignored;

        if (spawn_reap(job->pid, &job->status, &ignored) < 0)
                job->status = 0;
        job->exited = true;
        job_check_end(job);
}

static void on_job_done_already(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct storage_job *job = container_of(w, struct storage_job, now);
        AUTO_JSON json_t *result = NULL;
        AUTO_FREE char *path = store_rootfs_path(&job->store, job->digest);

        (void)revents;
        ev_timer_stop(loop, w);
        result = json_pack("{s:s}", "path", path);
        job->events.on_done(job->events.ctx, result, NULL);
        loop_defer_free(loop, job_free, job);
}

static int start_worker(struct storage_job *job, const struct storage_job_request *request,
                        int ready, struct err *err)
{
        int pidfd = -1, output = -1;
        int r = job_makes_nothing(job->kind) || job->kind == JOB_PULL
                        ? store_partial_open(&job->store, &job->staging, err)
                        : store_staging_new(&job->store, &job->staging_path, &job->staging, err);

        if (r < 0)
                return r;
        if (!job_makes_nothing(job->kind) && geteuid() == 0 &&
            fchown(job->staging, WORKER_UID, WORKER_GID) < 0)
                return err_errno(err, errno, "staging folder");
        r = job_spawn(job, request, ready, &pidfd, &output, err);
        if (r < 0)
                return r;
        loop_child_start(job->loop, &job->child, pidfd, on_worker_exit);
        ev_io_init(&job->output, on_worker_output, output, EV_READ);
        ev_io_start(job->loop, &job->output);
        return 0;
}

int job_start(struct ev_loop *loop, struct image_store *store, const char *worker,
              const struct storage_job_request *request, int ready,
              const struct storage_job_events *events, struct storage_job **ret_job,
              struct err *err)
{
        AUTO_FREE char *ref = NULL;
        struct storage_job *job;
        int r = 0;

        assert(events->on_done);
        if (request->kind == JOB_UNPACK && !digest_valid(request->digest ? request->digest : ""))
                return err_set(err, EINVAL, "unpack: '%.90s' is not a digest",
                               request->digest ? request->digest : "");
        if (job_needs_network(request->kind))
                r = image_ref_normalise(request->ref ? request->ref : "", &ref, err);
        if (r < 0)
                return r;
        job = xnew(struct storage_job);
        job->loop = loop;
        job->store.dir = xstrdup(store->dir);
        job->kind = request->kind;
        job->worker = xstrdup(worker);
        job->digest = xstrdup(request->digest);
        if (job->kind == JOB_PULL)
                job->known = store_known_source(store, ref, request->platform);
        job->ref = STEAL(ref);
        if (job->kind == JOB_PUSH)
                r = store_push_request(store, job->ref, &job->images, err);
        if (job->kind == JOB_SAVE)
                r = store_save_request(store, request->refs, &job->images, err);
        job->events = *events;
        job->staging = job->output.fd = job->ready = -1;
        job->lines.max = WORKER_LINE_MAX;
        if (job->kind == JOB_UNPACK && publish_has_rootfs(&job->store, job->digest)) {
                ev_timer_init(&job->now, on_job_done_already, 0., 0.);
                ev_timer_start(loop, &job->now);
        } else if (r == 0) {
                r = start_worker(job, request, ready, err);
        }
        if (r < 0) {
                job_free(job);
                return r;
        }
        *ret_job = job;
        return 0;
}

int storage_job_start(struct ev_loop *loop, struct image_store *store, const char *worker,
                      const struct storage_job_request *request,
                      const struct storage_job_events *events, struct storage_job **ret_job,
                      struct err *err)
{
        return job_start(loop, store, worker, request, -1, events, ret_job, err);
}

void storage_job_cancel(struct storage_job *job)
{
        struct err ignored;

        if (!job || job->cancelled)
                return;
        job->cancelled = true;
        job_follow_drop(job);
        if (job->over) { /* only the follower was left of it */
                loop_defer_free(job->loop, job_free, job);
                return;
        }
        if (!job->pid) {
                ev_timer_stop(job->loop, &job->now);
                loop_defer_free(job->loop, job_free, job);
                return;
        }
        if (!job->exited)
                (void)fd_pidfd_signal(job->child.pidfd, SIGKILL, &ignored); /* gone is fine too */
}
