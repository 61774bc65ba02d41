/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images, looking into them, cleaning up, and archives of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"
#include "orchestrator/image_uses.h"
#include "storage/image.h"
#include "storage/job.h"

void handle_image_tag(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        const char *source = NULL, *target = NULL;
        json_t *body = NULL;
        struct err err = ERR_INIT;
        int r = request_json(req, &body, &err);

        if (r == 0)
                r = json_need_str(body, "source", "body", &source, &err);
        if (r == 0)
                r = json_need_str(body, "target", "body", &target, &err);
        if (r == 0)
                r = image_tag(d->image_store, source, target, &err);
        if (r < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        images_forget(d->images);
        daemon_dirty(d);
        response_json(req, 200, NULL);
}

void handle_image_prune(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        json_t *body = NULL, *names = NULL;
        struct err err = ERR_INIT;
        int64_t bytes = 0;
        char **in_use;
        size_t n;
        int r = request_json(req, &body, &err);

        if (r == 0) {
                image_uses_note(d); /* what was deleted a moment ago is free */
                in_use = image_uses(d, &n);
                r = image_prune(d->image_store, json_bool(body, "all", false),
                                (const char *const *)in_use, n, &bytes, &names, &err);
                image_uses_free(in_use, n);
        }
        if (r < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        images_forget(d->images);
        daemon_dirty(d);
        response_json(req, 200,
                      json_pack("{s:I, s:o}", "bytes", (json_int_t)bytes, "removed", names));
}

void handle_image_inspect(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        const char *ref = request_query(req, "ref");
        json_t *out = NULL;
        struct err err = ERR_INIT;
        int r = ref ? image_inspect(d->image_store, ref, &out, &err)
                    : err_set(&err, EINVAL, "?ref= is missing");

        if (r < 0)
                response_error(req, 0, &err, NULL);
        else
                response_json(req, 200, out);
}

/* ----------------------------------------------------------------------------------------- save */

/* The worker writes into a pipe, which is read while the client keeps up. */
struct saving {
        struct daemon *daemon;
        struct request *req;
        struct storage_job *job;
        ev_io pipe;
        bool ended;  /* of the pipe */
        bool done;   /* the job */
        bool failed; /* the archive is not whole */
};

static void saving_free(void *p)
{
        struct saving *s = p;

        ev_io_stop(s->daemon->loop, &s->pipe);
        if (s->pipe.fd >= 0)
                (void)close(s->pipe.fd); /* the reading end */
        free(s);
}

/* Whole only when the worker said so and all it wrote has been passed on. */
static void check_end(struct saving *s)
{
        if (!s->ended || !s->done)
                return;
        if (s->failed)
                response_stream_abort(s->req);
        else
                response_stream_end(s->req);
        loop_defer_free(s->daemon->loop, saving_free, s);
}

static void on_save_output(struct ev_loop *loop, ev_io *w, int revents)
{
        struct saving *s = container_of(w, struct saving, pipe);
        char chunk[65536];
        ssize_t n = read(w->fd, chunk, sizeof(chunk));

        (void)revents;
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n > 0) {
                if (response_stream_bytes(s->req, chunk, (size_t)n) > RESPONSE_HIGH_BYTES)
                        ev_io_stop(loop, w);
                return;
        }
        ev_io_stop(loop, w);
        s->ended = true;
        check_end(s);
}

static void on_save_drain(struct request *req, void *arg)
{
        struct saving *s = arg;

        (void)req;
        if (!s->ended)
                ev_io_start(s->daemon->loop, &s->pipe);
}

static void on_save_done(void *ctx, const json_t *result, const struct err *err)
{
        struct saving *s = ctx;

        (void)result;
        if (err)
                log_warn("images", "", "save: %s", err->msg);
        s->done = true;
        s->failed = err != NULL;
        check_end(s);
}

static void on_save_client_gone(struct request *req, void *arg)
{
        struct saving *s = arg;

        (void)req;
        if (!s->done)
                storage_job_cancel(s->job);
        loop_defer_free(s->daemon->loop, saving_free, s);
}

static int start_save(struct saving *s, const json_t *refs, struct err *err)
{
        struct storage_job_request request = {.kind = JOB_SAVE, .archive_fd = -1, .refs = refs};
        const struct storage_job_events events = {.on_done = on_save_done, .ctx = s};
        AUTO_CLOSE int in = -1, out = -1;
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe");
        in = fds[0];
        out = fds[1];
        r = fd_set_nonblock(in, err);
        request.output_fd = out;
        if (r == 0)
                r = storage_job_start(s->daemon->loop, s->daemon->image_store, s->daemon->storage,
                                      &request, &events, &s->job, err);
        if (r < 0)
                return r;
        ev_io_init(&s->pipe, on_save_output, steal_fd(&in), EV_READ);
        ev_io_start(s->daemon->loop, &s->pipe);
        return 0;
}

void handle_image_save(struct request *req, void *ctx)
{
        struct saving *s = xnew(struct saving);
        json_t *body = NULL;
        struct err err = ERR_INIT;
        int r = request_json(req, &body, &err);

        s->daemon = ctx;
        s->req = req;
        s->pipe.fd = -1;
        if (r == 0)
                r = start_save(s, json_object_get(body, "refs"), &err);
        if (r < 0) {
                free(s);
                response_error(req, 0, &err, NULL);
                return;
        }
        request_on_close(req, on_save_client_gone, s);
        response_on_drain(req, on_save_drain, s);
        response_stream_begin(req, "application/x-tar");
}
