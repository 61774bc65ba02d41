/* SPDX-License-Identifier: Apache-2.0 */
/* Images from and to registries, with progress for who waits; and whether one lets somebody in. */
#include <stdlib.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"
#include "storage/job.h"

struct pulling {
        struct daemon *daemon;
        struct request *req;
};

static void on_pull_line(void *ctx, json_t *line)
{
        const struct pulling *p = ctx;

        /* A reader that is behind misses pictures, not the end. */
        if (response_pending(p->req) < RESPONSE_HIGH_BYTES)
                (void)response_stream_line(p->req, json_incref(line));
}

static void on_pull_done(void *ctx, const json_t *result, const struct err *err)
{
        struct pulling *p = ctx;
        struct daemon *d = p->daemon;
        struct request *req = p->req;

        images_forget(d->images);
        daemon_dirty(d);
        loop_defer_free(d->loop, free, p);
        if (err) {
                response_error(req, 0, err, NULL);
                return;
        }
        (void)response_stream_line(req, json_deep_copy(result)); /* the last line */
        response_stream_end(req);
}

static void on_pull_client_gone(struct request *req, void *arg)
{
        struct pulling *p = arg;

        (void)req;
        images_pull_leave(p->daemon->images, p);
        loop_defer_free(p->daemon->loop, free, p);
}

void handle_image_pull(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        struct pulling *p = xnew(struct pulling);
        const struct image_pull_events events = {on_pull_line, on_pull_done, p};
        const char *ref = NULL;
        json_t *body = NULL;
        struct err err = ERR_INIT;
        int r = request_json(req, &body, &err);

        p->daemon = d;
        p->req = req;
        if (r == 0)
                r = json_need_str(body, "ref", "body", &ref, &err);
        if (r == 0)
                r = images_pull(d->images, ref, json_str(body, "platform", NULL),
                                json_str(body, "auth_file", NULL), &events, &err);
        if (r < 0) {
                free(p);
                response_error(req, 0, &err, NULL);
                return;
        }
        request_on_close(req, on_pull_client_gone, p);
        response_stream_begin(req, NULL);
}

/* ------------------------------------------------------------------------------- push and login */

struct errand {
        struct daemon *daemon;
        struct request *req;
        struct storage_job *job;
        bool stream;
};

static void tell(const struct errand *e, json_t *line)
{
        if (response_pending(e->req) < RESPONSE_HIGH_BYTES)
                (void)response_stream_line(e->req, line);
        else
                json_decref(line);
}

static void on_errand_layer(void *ctx, const char *digest, const char *state, int64_t done,
                            int64_t total)
{
        tell(ctx, json_pack("{s:s, s:s, s:I, s:I}", "layer", digest, "state", state, "done",
                            (json_int_t)done, "total", (json_int_t)total));
}

static void on_errand_notice(void *ctx, const char *text)
{
        const struct errand *e = ctx;

        if (e->stream)
                tell(e, json_pack("{s:s}", "notice", text));
}

static void on_errand_done(void *ctx, const json_t *result, const struct err *err)
{
        struct errand *e = ctx;
        struct request *req = e->req;
        bool stream = e->stream;

        loop_defer_free(e->daemon->loop, free, e);
        if (err) {
                response_error(req, 0, err, NULL);
        } else if (stream) {
                (void)response_stream_line(req, json_deep_copy(result)); /* the last line */
                response_stream_end(req);
        } else {
                response_json(req, 200, json_deep_copy(result));
        }
}

static void on_errand_client_gone(struct request *req, void *arg)
{
        struct errand *e = arg;

        (void)req;
        storage_job_cancel(e->job);
        loop_defer_free(e->daemon->loop, free, e);
}

static void start_errand(struct request *req, struct daemon *d,
                         const struct storage_job_request *request)
{
        struct errand *e = xnew(struct errand);
        const struct storage_job_events events = {.on_layer = on_errand_layer,
                                                  .on_notice = on_errand_notice,
                                                  .on_done = on_errand_done,
                                                  .ctx = e};
        struct err err = ERR_INIT;

        e->daemon = d;
        e->req = req;
        e->stream = request->kind == JOB_PUSH;
        if (storage_job_start(d->loop, d->image_store, d->storage, request, &events, &e->job,
                              &err) < 0) {
                free(e);
                response_error(req, 0, &err, NULL);
                return;
        }
        request_on_close(req, on_errand_client_gone, e);
        if (e->stream)
                response_stream_begin(req, NULL);
}

void handle_image_push(struct request *req, void *ctx)
{
        struct storage_job_request request = {.kind = JOB_PUSH, .archive_fd = -1};
        json_t *body = NULL;
        struct err err = ERR_INIT;
        int r = request_json(req, &body, &err);

        if (r == 0)
                r = json_need_str(body, "ref", "body", &request.ref, &err);
        if (r < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        request.auth_file = json_str(body, "auth_file", NULL);
        start_errand(req, ctx, &request);
}

void handle_registry_login(struct request *req, void *ctx)
{
        struct storage_job_request request = {.kind = JOB_LOGIN, .archive_fd = -1};
        AUTO_FREE char *ref = NULL;
        const char *registry = NULL;
        json_t *body = NULL;
        struct err err = ERR_INIT;
        int r = request_json(req, &body, &err);

        if (r == 0)
                r = json_need_str(body, "registry", "body", &registry, &err);
        if (r == 0)
                r = json_need_str(body, "username", "body", &request.username, &err);
        if (r == 0)
                r = json_need_str(body, "password", "body", &request.password, &err);
        if (r < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        ref = xasprintf("%s/x", registry); /* the job takes an image's name */
        request.ref = ref;
        start_errand(req, ctx, &request);
}
