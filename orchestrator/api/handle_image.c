/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"
#include "orchestrator/image_uses.h"
#include "storage/image.h"
#include "storage/job.h"

/* Longest JSON text of ?changes= (an image config is a few hundred bytes). */
#define CHANGES_MAX 65536

static json_t *image_json(const struct image *image)
{
        AUTO_FREE char *name = image_ref_familiar(image->ref);
        json_t *j = json_object();

        json_set_str(j, "ref", image->ref);
        json_set_str(j, "name", name);
        json_set_str(j, "digest", image->digest);
        json_set_int(j, "size_bytes", image->size_bytes);
        json_set_bool(j, "unpacked", image->rootfs_path != NULL);
        json_set_str(j, "created", image->created);
        json_set_str(j, "architecture", image->architecture);
        return j;
}

void handle_images(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        struct image **images = NULL;
        json_t *list = json_array();
        struct err err = ERR_INIT;
        size_t n = 0;

        if (image_list(d->image_store, &images, &n, &err) < 0) {
                json_decref(list);
                response_error(req, 0, &err, NULL);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                json_array_append_new(list, image_json(images[i]));
                image_free(images[i]);
        }
        free(images);
        response_json(req, 200, list);
}

/* -------------------------------------------------------------- an upload that becomes an image */

struct upload {
        struct daemon *daemon;
        struct request *req;
        struct storage_job *job;
        char *ref;
        json_t *changes;
        int fd;
};

static void upload_free(void *p)
{
        struct upload *u = p;

        free(u->ref);
        json_decref(u->changes);
        if (u->fd >= 0)
                (void)close(u->fd); /* the read end of a pipe */
        free(u);
}

static void on_upload_progress(void *ctx, const char *stage, int64_t done, int64_t total)
{
        const struct upload *u = ctx;
        json_t *j = json_object();

        json_set_str(j, "stage", stage);
        json_set_int(j, "done", done);
        json_set_int(j, "total", total);
        (void)response_stream_line(u->req, j); /* the job reports seldom */
}

static void on_upload_done(void *ctx, const json_t *result, const struct err *err)
{
        struct upload *u = ctx;
        struct request *req = u->req;

        images_forget(u->daemon->images);
        daemon_dirty(u->daemon);
        loop_defer_free(u->daemon->loop, upload_free, u);
        if (err) {
                response_error(req, 0, err, NULL);
                return;
        }
        (void)response_stream_line(req, json_deep_copy(result)); /* the last line */
        response_stream_end(req);
}

static void on_upload_client_gone(struct request *req, void *arg)
{
        struct upload *u = arg;

        (void)req;
        storage_job_cancel(u->job);
        loop_defer_free(u->daemon->loop, upload_free, u);
}

static void start_upload(struct request *req, struct daemon *d, enum storage_job_kind kind,
                         const char *ref, json_t *changes)
{
        struct upload *u = xnew(struct upload);
        struct storage_job_request request = {.kind = kind};
        const struct storage_job_events events = {
                .on_progress = on_upload_progress, .on_done = on_upload_done, .ctx = u};
        struct err err = ERR_INIT;
        int r;

        u->daemon = d;
        u->req = req;
        u->ref = xstrdup(ref);
        u->changes = changes;
        u->fd = -1;
        r = request_body_fd(req, &u->fd, &err);
        request.archive_fd = u->fd;
        request.ref = u->ref;
        request.changes = u->changes;
        if (r == 0)
                r = storage_job_start(d->loop, d->image_store, d->storage, &request, &events,
                                      &u->job, &err);
        if (r < 0) {
                upload_free(u);
                response_error(req, 0, &err, NULL);
                return;
        }
        (void)close(steal_fd(&u->fd)); /* the worker reads; its end alone keeps the pipe open */
        request_on_close(req, on_upload_client_gone, u);
        response_stream_begin(req, NULL);
}

void handle_image_load(struct request *req, void *ctx)
{
        start_upload(req, ctx, JOB_LOAD, request_query(req, "ref"), NULL);
}

void handle_image_import(struct request *req, void *ctx)
{
        const char *ref = request_query(req, "ref");
        const char *text = request_query(req, "changes");
        json_t *changes = NULL;
        struct err err = ERR_INIT;

        if (!ref)
                err_set(&err, EINVAL, "?ref= is missing: name the image");
        if (err.code ||
            (text && json_parse(text, strlen(text), CHANGES_MAX, "changes", &changes, &err) < 0)) {
                response_error(req, 0, &err, NULL);
                return;
        }
        start_upload(req, ctx, JOB_IMPORT, ref, changes);
}

void handle_image_delete(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        const char *ref = request_query(req, "ref");
        char **in_use;
        struct err err = ERR_INIT;
        size_t n = 0;
        int r;

        if (!ref) {
                err_set(&err, EINVAL, "?ref= is missing");
                response_error(req, 0, &err, NULL);
                return;
        }
        image_uses_note(d); /* what was deleted a moment ago is free */
        in_use = image_uses(d, &n);
        r = image_remove(d->image_store, ref, (const char *const *)in_use, n, &err);
        image_uses_free(in_use, n);
        if (r < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        images_forget(d->images);
        daemon_dirty(d);
        response_json(req, 200, NULL);
}
