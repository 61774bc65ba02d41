/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"
#include "reconciler/diff.h"

void handle_stacks(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        json_t *list = json_array();

        for (size_t i = 0; i < d->desired_len; i++)
                json_array_append_new(list, view_stack(d, d->desired[i]));
        response_json(req, 200, list);
}

/* The stack of the path, or answer 404. */
static struct desired *need_stack(struct request *req, const struct daemon *d)
{
        const char *name = request_param(req, "stack");
        struct desired *desired = daemon_find(d, name);
        struct err err = ERR_INIT;

        if (!desired) {
                err_set(&err, ENOENT, "there is no stack %s; see `berth ps`", name);
                response_error(req, 0, &err, NULL);
        }
        return desired;
}

void handle_stack_get(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        const struct desired *desired = need_stack(req, d);
        json_t *j;

        if (!desired)
                return;
        j = view_stack(d, desired);
        json_object_set_new(j, "manifest", desired_manifest(desired));
        response_json(req, 200, j);
}

static json_t *diff_json(const struct desired *before, const struct desired *after)
{
        struct changes changes = {0};
        json_t *j;

        stack_diff(before && before->wanted == STACK_UP ? before->stack : NULL,
                   after ? after->stack : NULL, &changes);
        j = changes_to_json(&changes);
        changes_release(&changes);
        return j;
}

/* The "manifest" member of the body, or answer 400. Borrowed from the request. */
static const json_t *need_manifest(struct request *req, json_t **ret_body)
{
        struct err err = ERR_INIT;
        const json_t *manifest;

        if (request_json(req, ret_body, &err) < 0) {
                response_error(req, 0, &err, NULL);
                return NULL;
        }
        manifest = json_object_get(*ret_body, "manifest");
        if (!json_is_object(manifest)) {
                err_set(&err, EINVAL, "the body has no object \"manifest\"");
                response_error(req, 0, &err, NULL);
                return NULL;
        }
        return manifest;
}

void handle_stack_put(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        const char *name = request_param(req, "stack");
        AUTO(desired) struct desired *old = daemon_find(d, name);
        json_t *body, *diagnostics = NULL, *j;
        const json_t *manifest = need_manifest(req, &body);
        struct err err = ERR_INIT;
        enum stack_ports ports;
        int r;

        if (old)
                old = desired_ref(old);
        if (!manifest)
                return;
        ports = streq(json_str(body, "ports", "manifest"), "auto") ? STACK_PORTS_AUTO
                                                                   : STACK_PORTS_MANIFEST;
        r = daemon_apply(d, name, manifest, json_str(body, "source", ""), ports, &diagnostics,
                         &err);
        if (r < 0) {
                response_error(req, 0, &err, diagnostics);
                return;
        }
        j = json_object();
        json_set_str(j, "name", name);
        json_set_int(j, "revision", daemon_find(d, name)->revision);
        json_set_bool(j, "unchanged", r == STACK_SAME);
        json_object_set_new(j, "changes", diff_json(old, daemon_find(d, name)));
        response_json(req, 200, j);
}

/* Why an apply would be refused now: texts. */
static json_t *refusals_json(const struct daemon *d, const struct desired *desired)
{
        struct admission admission;
        json_t *list = json_array();

        daemon_admission(d, desired, &admission);
        for (size_t i = 0; i < admission.len; i++)
                json_array_append_new(list, json_string(admission.refusals[i]));
        admission_release(&admission);
        return list;
}

void handle_stack_diff(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        AUTO(desired) struct desired *new = NULL;
        json_t *body, *diagnostics = NULL, *j;
        const json_t *manifest = need_manifest(req, &body);
        struct err err = ERR_INIT;

        if (!manifest)
                return;
        if (desired_new(manifest, &new, &diagnostics, &err) < 0) {
                response_error(req, 0, &err, diagnostics);
                return;
        }
        j = json_object();
        json_object_set_new(j, "changes",
                            diff_json(daemon_find(d, request_param(req, "stack")), new));
        json_object_set_new(j, "refusals", refusals_json(d, new));
        response_json(req, 200, j);
}

void handle_stack_delete(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        struct err err = ERR_INIT;
        bool volumes;

        if (request_query_bool(req, "volumes", false, &volumes, &err) < 0 ||
            daemon_delete(d, request_param(req, "stack"), volumes, &err) < 0)
                response_error(req, 0, &err, NULL);
        else
                response_json(req, 200, NULL);
}

/* ----------------------------------------------------------- a stream of statuses, when changed */

struct status_stream {
        struct follower follower;
        struct daemon *daemon;
        struct request *req;
        char *stack;
        char *last; /* text of the last line sent */
};

static void stream_free(void *p)
{
        struct status_stream *s = p;

        free(s->stack);
        free(s->last);
        free(s);
}

static void stream_close(struct status_stream *s)
{
        daemon_unfollow(s->daemon, &s->follower);
        loop_defer_free(s->daemon->loop, stream_free, s);
}

static void on_status_client_gone(struct request *req, void *arg)
{
        (void)req;
        stream_close(arg);
}

static void stream_send(struct status_stream *s)
{
        const struct desired *desired = daemon_find(s->daemon, s->stack);
        json_t *j;
        char *text;

        if (!desired) {
                j = json_object();
                json_set_str(j, "name", s->stack);
                json_set_bool(j, "gone", true);
                (void)response_stream_line(s->req, j); /* the last line: nothing to hold back */
                response_stream_end(s->req);
                stream_close(s);
                return;
        }
        j = view_status(s->daemon, desired);
        text = json_text(j);
        if (streq(text, s->last)) {
                free(text);
                json_decref(j);
                return;
        }
        free(s->last);
        s->last = text;
        (void)response_stream_line(s->req, j); /* few and small; a stuck client is dropped */
}

static void on_status_turn(struct follower *follower)
{
        stream_send(container_of(follower, struct status_stream, follower));
}

void handle_stack_status(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        const struct desired *desired = need_stack(req, d);
        struct status_stream *s;
        struct err err = ERR_INIT;
        bool follow;

        if (!desired)
                return;
        if (request_query_bool(req, "follow", true, &follow, &err) < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        response_stream_begin(req, NULL);
        if (!follow) {
                (void)response_stream_line(req, view_status(d, desired)); /* one line */
                response_stream_end(req);
                return;
        }
        s = xnew(struct status_stream);
        s->daemon = d;
        s->req = req;
        s->stack = xstrdup(desired->stack->name);
        s->follower.on_turn = on_status_turn;
        daemon_follow(d, &s->follower);
        request_on_close(req, on_status_client_gone, s);
        daemon_dirty(d); /* the first line comes with a plan that knows this revision */
}
