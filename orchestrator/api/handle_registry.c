/* SPDX-License-Identifier: Apache-2.0 */
/* Images from and to registries, with progress for who waits. */
#include <stdlib.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"

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
                r = images_pull(d->images, ref, json_str(body, "auth_file", NULL), &events, &err);
        if (r < 0) {
                free(p);
                response_error(req, 0, &err, NULL);
                return;
        }
        request_on_close(req, on_pull_client_gone, p);
        response_stream_begin(req, NULL);
}
