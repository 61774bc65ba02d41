/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's side of a job. It makes the staging folder, starts the worker with descriptors,
 * reads its lines, and when the worker has ended moves what it made into the store. Until then
 * nothing in the store has changed, so a job may die at any line.
 *
 *   RUNNING ── output ended and worker reaped ──▶ publish ──▶ on_done, freed
 *      └─ cancel ──▶ killed, freed once the worker is reaped; no callback
 */
#include "storage/job.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/strbuf.h"
#include "storage/publish.h"
#include "storage/store.h"
#include "storage/worker.h"

struct storage_job {
        struct ev_loop *loop;
        struct image_store
                store; /* a copy: the caller's may close before a cancelled worker is gone */
        enum storage_job_kind kind;
        char *digest;   /* UNPACK */
        char *ref;      /* PULL: normalised */
        json_t *images; /* PUSH, SAVE: what the request says about them */
        char *known;    /* PULL: what the reference meant at the registry last time */
        struct storage_job_events events;
        bool cancelled, exited, ended;

        char *staging_path;
        int staging;
        pid_t pid;
        int status;
        struct loop_child child;
        ev_io output;
        ev_timer now; /* for a job that was done before it began */
        struct strbuf lines;
        json_t *result; /* what the worker said at its end */
        struct err err; /* or what it complained about; code 0: nothing */
};

static void job_free(void *p)
{
        struct storage_job *job = p;
        struct err ignored;

        loop_child_stop(job->loop, &job->child);
        if (job->output.fd >= 0)
                (void)close(job->output.fd); /* the reading end: nothing to lose */
        if (job->staging_path)
                (void)file_remove_tree(job->staging_path,
                                       &ignored); /* or the next image_store_open() */
        if (job->staging >= 0)
                (void)close(job->staging); /* gives the lock up */
        json_decref(job->result);
        json_decref(job->images);
        strbuf_release(&job->lines);
        free(job->staging_path);
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

/* The last act: tell the owner, then go. */
static void job_finish(struct storage_job *job)
{
        AUTO_JSON json_t *published = NULL;
        struct err err = job->err;
        int r = -err.code;

        if (r == 0 && !job->result)
                r = err_set(&err, EIO, "the storage worker ended early (%s %d); try again",
                            WIFSIGNALED(job->status) ? "signal" : "status",
                            WIFSIGNALED(job->status) ? WTERMSIG(job->status)
                                                     : WEXITSTATUS(job->status));
        if (r == 0 && !job->cancelled)
                r = publish(job, &published, &err);
        if (!job->cancelled)
                job->events.on_done(job->events.ctx, published, r < 0 ? &err : NULL);
        loop_defer_free(job->loop, job_free, job);
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

static bool needs_network(enum storage_job_kind kind)
{
        return kind == JOB_PULL || kind == JOB_PUSH || kind == JOB_LOGIN;
}

static bool makes_nothing(enum storage_job_kind kind)
{
        return kind == JOB_PUSH || kind == JOB_LOGIN || kind == JOB_SAVE;
}

/* Whether a job reads the store's blobs; others read an archive. */
static bool reads_blobs(enum storage_job_kind kind)
{
        return kind != JOB_LOAD && kind != JOB_IMPORT;
}

static int make_request(const struct storage_job *job, const struct storage_job_request *request,
                        int *ret_fd, struct err *err)
{
        static const char *const names[] = {
                [JOB_LOAD] = "load", [JOB_IMPORT] = "import", [JOB_UNPACK] = "unpack",
                [JOB_PULL] = "pull", [JOB_PUSH] = "push",     [JOB_LOGIN] = "login",
                [JOB_SAVE] = "save",
        };
        AUTO_JSON json_t *json = json_object();
        AUTO_FREE char *text = NULL;
        AUTO_CLOSE int fd = memfd_create("request", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return err_errno(err, errno, "request");
        json_set_str(json, "job", names[request->kind]);
        json_set_str(json, "ref", request->ref);
        json_set_str(json, "digest", request->digest);
        json_set_str(json, "auth_file", request->auth_file);
        json_set_str(json, "known", job->known);
        json_set_bool(json, "network", needs_network(request->kind));
        if (job->images)
                (void)json_object_update(json, job->images); /* OOM only */
        if (request->kind == JOB_UNPACK)
                (void)json_object_set_new(json, "others",
                                          store_mapped_disks(&job->store)); /* OOM only */
        if (request->kind == JOB_LOGIN)
                (void)json_object_set_new(json, "login",
                                          json_pack("{s:s, s:s}", "username", request->username,
                                                    "password", request->password)); /* OOM only */
        if (request->changes)
                (void)json_object_set_new(json, "changes",
                                          json_deep_copy(request->changes)); /* OOM only */
        text = json_text(json);
        r = fd_write_all(fd, text, strlen(text), err);
        if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = err_errno(err, errno, "request");
        if (r < 0)
                return r;
        *ret_fd = steal_fd(&fd);
        return 0;
}

static int open_folder(const struct image_store *store, const char *name, int *ret_fd,
                       struct err *err)
{
        AUTO_FREE char *path = file_join(store->dir, name);

        *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? err_errno(err, errno, "%s", path) : 0;
}

static int spawn_worker(struct storage_job *job, const char *worker,
                        const struct storage_job_request *request, struct err *err)
{
        const char *argv[] = {worker, WORKER_OPTION, NULL};
        AUTO_CLOSE int ask = -1, out_r = -1, out_w = -1, blobs = -1, disks = -1, maps = -1;
        bool unpack = request->kind == JOB_UNPACK;
        int pipefd[2], pidfd = -1, r;

        r = make_request(job, request, &ask, err);
        if (r == 0 && reads_blobs(request->kind))
                r = open_folder(&job->store, "blobs/sha256", &blobs, err);
        if (r == 0 && unpack)
                r = open_folder(&job->store, "rootfs", &disks, err);
        if (r == 0 && unpack)
                r = open_folder(&job->store, "maps", &maps, err);
        if (r < 0)
                return r;
        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe");
        out_r = pipefd[0];
        out_w = pipefd[1];
        r = fd_set_nonblock(out_r, err);
        if (r == 0) {
                const struct spawn_fd fds[] = {
                        {ask, 0},
                        {out_w, 1},
                        {STDERR_FILENO, 2},
                        {reads_blobs(request->kind) ? blobs : request->archive_fd, WORKER_FD_INPUT},
                        {request->kind == JOB_SAVE ? request->output_fd : job->staging,
                         WORKER_FD_STAGING},
                        {disks, WORKER_FD_DISKS},
                        {maps, WORKER_FD_MAPS}};
                const struct spawn spec = {
                        .argv = argv, .fds = fds, .fd_count = ARRAY_SIZE(fds) - (unpack ? 0 : 2)};

                r = spawn_start(&spec, &job->pid, &pidfd, err);
        }
        if (r < 0)
                return r;
        loop_child_start(job->loop, &job->child, pidfd, on_worker_exit);
        ev_io_init(&job->output, on_worker_output, steal_fd(&out_r), EV_READ);
        ev_io_start(job->loop, &job->output);
        return 0;
}

static int start_worker(struct storage_job *job, const char *worker,
                        const struct storage_job_request *request, struct err *err)
{
        int r = makes_nothing(job->kind) || job->kind == JOB_PULL
                        ? store_partial_open(&job->store, &job->staging, err)
                        : store_staging_new(&job->store, &job->staging_path, &job->staging, err);

        if (r < 0)
                return r;
        if (!makes_nothing(job->kind) && geteuid() == 0 &&
            fchown(job->staging, WORKER_UID, WORKER_GID) < 0)
                return err_errno(err, errno, "staging folder");
        return spawn_worker(job, worker, request, err);
}

int storage_job_start(struct ev_loop *loop, struct image_store *store, const char *worker,
                      const struct storage_job_request *request,
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
        if (needs_network(request->kind))
                r = image_ref_normalise(request->ref ? request->ref : "", &ref, err);
        if (r < 0)
                return r;
        job = xnew(struct storage_job);
        job->loop = loop;
        job->store.dir = xstrdup(store->dir);
        job->kind = request->kind;
        job->digest = xstrdup(request->digest);
        if (job->kind == JOB_PULL)
                job->known = store_known_source(store, ref);
        job->ref = STEAL(ref);
        if (job->kind == JOB_PUSH)
                r = store_push_request(store, job->ref, &job->images, err);
        if (job->kind == JOB_SAVE)
                r = store_save_request(store, request->refs, &job->images, err);
        job->events = *events;
        job->staging = job->output.fd = -1;
        job->lines.max = WORKER_LINE_MAX;
        if (job->kind == JOB_UNPACK && publish_has_rootfs(&job->store, job->digest)) {
                ev_timer_init(&job->now, on_job_done_already, 0., 0.);
                ev_timer_start(loop, &job->now);
        } else if (r == 0) {
                r = start_worker(job, worker, request, err);
        }
        if (r < 0) {
                job_free(job);
                return r;
        }
        *ret_job = job;
        return 0;
}

void storage_job_cancel(struct storage_job *job)
{
        struct err ignored;

        if (!job || job->cancelled)
                return;
        if (!job->pid) {
                ev_timer_stop(job->loop, &job->now);
                loop_defer_free(job->loop, job_free, job);
                return;
        }
        job->cancelled = true;
        if (!job->exited)
                (void)fd_pidfd_signal(job->child.pidfd, SIGKILL, &ignored); /* gone is fine too */
}
