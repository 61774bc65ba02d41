/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/events.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "orchestrator/utf8.h"

/* Events a reader fetches at a time. */
#define READER_PAGE 64
/* Longest message: it may quote what a guest said. */
#define MESSAGE_MAX 2048

struct events {
        struct ev_loop *loop;
        struct store *store;
        struct event *queue;
        size_t queue_len;
        ev_timer flusher; /* 0 s, so that it also works from a prepare watcher; active: queue is
                             not empty */
        struct event_reader *readers;
};

struct event_reader {
        struct events *events;
        struct event_reader *prev, *next;
        char *stack, *service;
        struct event_filter filter; /* points to the two above */
        int64_t since;
        void (*on_ready)(void *ctx);
        void *ctx;
        ev_timer waker; /* 0 s; active: on_ready is due */
        struct stored_events page;
        size_t page_next;
};

static void on_events_flush(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        events_flush(container_of(w, struct events, flusher));
}

struct events *events_new(struct ev_loop *loop, struct store *store)
{
        struct events *events = xnew(struct events);

        events->loop = loop;
        events->store = store;
        ev_timer_init(&events->flusher, on_events_flush, 0.0, 0.0);
        ev_set_priority(&events->flusher, -1); /* behind a turn, which may write them, too */
        return events;
}

void events_free(struct events *events)
{
        if (!events)
                return;
        events_flush(events);
        ev_timer_stop(events->loop, &events->flusher);
        free(events);
}

void event_emit(struct events *events, const char *stack, const char *service, unsigned replica,
                const char *type, const char *reason, const char *fmt, ...)
{
        struct event *event = array_push(&events->queue, &events->queue_len);
        char message[MESSAGE_MAX];
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(message, sizeof(message), fmt, ap); /* too long is cut */
        va_end(ap);
        event->time_ns = clock_wall_ns();
        event->stack = xstrdup(stack ? stack : "");
        event->service = xstrdup(service ? service : "");
        event->replica = replica;
        event->type = xstrdup(type);
        event->reason = xstrdup(reason ? reason : "");
        event->message = xstrdup(message);
        if (!ev_is_active(&events->flusher))
                ev_timer_start(events->loop, &events->flusher);
}

static int store_queue(struct events *events, struct err *err)
{
        bool inside = store_in_batch(events->store);
        int r = inside ? 0 : store_begin(events->store, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < events->queue_len && r == 0; i++)
                r = store_add_event(events->store, &events->queue[i], NULL, err);
        if (inside)
                return r;
        if (r == 0)
                return store_commit(events->store, err);
        store_rollback(events->store);
        return r;
}

static void reader_wake(struct event_reader *reader)
{
        if (reader->on_ready && !ev_is_active(&reader->waker))
                ev_timer_start(reader->events->loop, &reader->waker);
}

void events_flush(struct events *events)
{
        struct err err = ERR_INIT;

        ev_timer_stop(events->loop, &events->flusher);
        if (events->queue_len == 0)
                return;
        if (store_queue(events, &err) < 0)
                log_error("events", "", "%zu events are lost: %s", events->queue_len, err.msg);
        for (size_t i = 0; i < events->queue_len; i++)
                event_release(&events->queue[i]);
        free(STEAL(events->queue));
        events->queue_len = 0;
        for (struct event_reader *reader = events->readers; reader; reader = reader->next)
                reader_wake(reader);
}

/* ------------------------------------------------------------------------------------- readers */

static void on_reader_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct event_reader *reader = container_of(w, struct event_reader, waker);

        (void)loop;
        (void)revents;
        reader->on_ready(reader->ctx);
}

/* The later of the wished start and the one that leaves at most limit events. */
static int reader_start(struct event_reader *reader, const struct event_reader_spec *spec,
                        struct err *err)
{
        int64_t tail = 0;
        int r = 0;

        if (spec->since < 0 || spec->limit > 0)
                r = store_events_tail(reader->events->store, &reader->filter,
                                      spec->since < 0 ? 0 : spec->limit, &tail, err);
        reader->since = spec->since > tail ? spec->since : tail;
        return r;
}

int event_reader_new(struct events *events, const struct event_reader_spec *spec,
                     struct event_reader **ret_reader, struct err *err)
{
        struct event_reader *reader = xnew(struct event_reader);
        int r;

        events_flush(events);
        reader->events = events;
        reader->stack = xstrdup(spec->filter.stack);
        reader->service = xstrdup(spec->filter.service);
        reader->filter =
                (struct event_filter){reader->stack, reader->service, spec->filter.replica};
        reader->on_ready = spec->on_ready;
        reader->ctx = spec->ctx;
        ev_timer_init(&reader->waker, on_reader_wake, 0.0, 0.0);
        reader->next = events->readers;
        if (reader->next)
                reader->next->prev = reader;
        events->readers = reader;
        r = reader_start(reader, spec, err);
        if (r < 0)
                event_reader_free(reader);
        else
                *ret_reader = reader;
        return r;
}

void event_reader_free(struct event_reader *reader)
{
        if (!reader)
                return;
        ev_timer_stop(reader->events->loop, &reader->waker);
        if (reader->prev)
                reader->prev->next = reader->next;
        else
                reader->events->readers = reader->next;
        if (reader->next)
                reader->next->prev = reader->prev;
        stored_events_release(&reader->page);
        free(reader->stack);
        free(reader->service);
        free(reader);
}

int event_reader_next(struct event_reader *reader, const struct event **ret_event, struct err *err)
{
        int r;

        if (reader->page_next == reader->page.len) {
                stored_events_release(&reader->page);
                reader->page_next = 0;
                r = store_list_events(reader->events->store, &reader->filter, reader->since,
                                      READER_PAGE, &reader->page, err);
                if (r < 0)
                        return r;
                if (reader->page.len == 0)
                        return EVENT_NONE;
        }
        *ret_event = &reader->page.items[reader->page_next++];
        reader->since = (*ret_event)->seq;
        return 0;
}

json_t *event_to_json(const struct event *event)
{
        json_t *json = json_object();
        char time[CLOCK_TEXT_MAX];

        clock_text(event->time_ns, time);
        json_set_int(json, "seq", event->seq);
        json_set_str(json, "time", time);
        json_set_str(json, "stack", event->stack);
        json_set_str(json, "service", event->service);
        json_set_int(json, "replica", event->replica);
        json_set_str(json, "type", event->type);
        json_set_str(json, "reason", event->reason);
        json_object_set_new(json, "message", utf8_json(event->message, strlen(event->message)));
        return json;
}
