/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of log lines and of events: pull from the reader until the client is full, then wait. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"

/* One client that reads lines or events. Exactly one of the readers is set. */
struct history_stream {
        struct ev_loop *loop;
        struct request *req; /* NULL once it ended */
        struct log_reader *lines;
        struct event_reader *events;
        bool follow;
};

static void history_free(void *p)
{
        free(p);
}

static void history_close(struct history_stream *s)
{
        log_reader_free(STEAL(s->lines));
        event_reader_free(STEAL(s->events));
        s->req = NULL;
        loop_defer_free(s->loop, history_free, s);
}

static void on_history_client_gone(struct request *req, void *arg)
{
        (void)req;
        history_close(arg);
}

/* 0: *ret is a new line; > 0: nothing now; < 0: no more, err set when that is an error. */
static int history_next(struct history_stream *s, json_t **ret, struct err *err)
{
        const struct event *event;
        struct log_line line;
        int r;

        if (s->events) {
                r = event_reader_next(s->events, &event, err);
                if (r == 0)
                        *ret = event_to_json(event);
        } else {
                r = log_reader_next(s->lines, &line, err);
                if (r == 0)
                        *ret = log_line_to_json(&line);
        }
        return r;
}

static void history_pump(struct history_stream *s)
{
        struct err err = ERR_INIT;
        struct request *req = s->req;
        json_t *j = NULL;
        int r = 0;

        while (response_pending(req) < RESPONSE_HIGH_BYTES && (r = history_next(s, &j, &err)) == 0)
                (void)response_stream_line(req, j); /* on_drain goes on */
        if (r < 0) {
                history_close(s);
                response_error(req, 0, &err, NULL);
        } else if (r > 0 && !s->follow) {
                history_close(s);
                response_stream_end(req);
        }
}

static void on_history_drain(struct request *req, void *arg)
{
        (void)req;
        history_pump(arg);
}

static void on_history_ready(void *ctx)
{
        struct history_stream *s = ctx;

        if (s->req && (s->lines || s->events))
                history_pump(s);
}

static struct history_stream *history_new(struct daemon *d, struct request *req, bool follow)
{
        struct history_stream *s = xnew(struct history_stream);

        s->loop = d->loop;
        s->req = req;
        s->follow = follow;
        return s;
}

static void history_begin(struct history_stream *s)
{
        response_stream_begin(s->req, NULL);
        request_on_close(s->req, on_history_client_gone, s);
        response_on_drain(s->req, on_history_drain, s);
        history_pump(s);
}

void handle_events(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        struct history_stream *s;
        struct err err = ERR_INIT;
        int64_t since, limit;
        bool follow;
        struct event_reader_spec spec = {.filter = {.stack = request_query(req, "stack"),
                                                    .service = request_query(req, "service")},
                                         .on_ready = on_history_ready};

        if (request_query_bool(req, "follow", false, &follow, &err) < 0 ||
            request_query_int(req, "since", -1, INT64_MAX, 0, &since, &err) < 0 ||
            request_query_int(req, "limit", 0, STORE_EVENTS_MAX, 0, &limit, &err) < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        s = history_new(d, req, follow);
        spec.since = since;
        spec.limit = (unsigned)limit;
        spec.ctx = s;
        if (!follow)
                spec.on_ready = NULL;
        events_flush(d->events);
        if (event_reader_new(d->events, &spec, &s->events, &err) < 0) {
                free(s);
                response_error(req, 0, &err, NULL);
                return;
        }
        history_begin(s);
}

static void emit_boot_line(void *ctx, const struct log_line *line)
{
        (void)response_stream_line(ctx, log_line_to_json(line)); /* at most LOG_BOOT_BYTES_MAX */
}

/* What kernel and vminit of the present VMs printed. */
static void boot_logs(struct daemon *d, struct request *req, const char *stack, const char *service,
                      int64_t tail)
{
        response_stream_begin(req, NULL);
        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *in = d->instances[i];
                AUTO_FREE char *path = file_join(in->dir, "console.log");
                const struct log_line line = {.stack = in->stack,
                                              .service = in->service,
                                              .replica = in->replica,
                                              .time_ns = clock_wall_ns() -
                                                         (clock_mono_ns() - in->times.spawned)};
                struct err err = ERR_INIT;

                if (streq(in->stack, stack) && (!service || streq(in->service, service)))
                        (void)log_boot_read(path, &line, tail, emit_boot_line, req,
                                            &err); /* none yet: nothing to show */
        }
        response_stream_end(req);
}

void handle_logs(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        const char *stack = request_query(req, "stack");
        const char *since = request_query(req, "since");
        struct log_reader_spec spec = {.stack = stack,
                                       .service = request_query(req, "service"),
                                       .on_ready = on_history_ready};
        struct history_stream *s;
        struct err err = ERR_INIT;
        int64_t replica;
        bool boot;

        if (!stack)
                err_set(&err, EINVAL, "?stack= is missing");
        else if (!daemon_find(d, stack))
                err_set(&err, ENOENT, "there is no stack %s; see `berth ps`", stack);
        else if (spec.service && !stack_find_service(daemon_find(d, stack)->stack, spec.service))
                err_set(&err, ENOENT, "stack %s has no service %s", stack, spec.service);
        else if (since && clock_parse(since, &spec.since_ns) < 0)
                err_set(&err, EINVAL, "?since=%s is not an RFC 3339 time in UTC", since);
        if (err.code || request_query_bool(req, "follow", false, &spec.follow, &err) < 0 ||
            request_query_bool(req, "boot", false, &boot, &err) < 0 ||
            request_query_int(req, "tail", -1, INT64_MAX, -1, &spec.tail, &err) < 0 ||
            request_query_int(req, "replica", 0, SERVICE_REPLICAS_MAX, 0, &replica, &err) < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        if (boot) {
                boot_logs(d, req, stack, spec.service, spec.tail);
                return;
        }
        s = history_new(d, req, spec.follow);
        spec.replica = (unsigned)replica;
        spec.ctx = s;
        if (log_reader_new(d->logs, &spec, &s->lines, &err) < 0) {
                free(s);
                response_error(req, 0, &err, NULL);
                return;
        }
        history_begin(s);
}
