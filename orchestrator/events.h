/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened, for people and scripts: a bounded history in the store, and readers that follow
 * it. Events tell, they do not act: nothing in berth decides on them.
 *
 *   event_emit ─▶ queue ──end of the loop's turn──▶ one transaction ──▶ readers' on_ready
 *
 * Readers are told after the event is on disk, so a seq they saw is never given out again. They
 * pull (event_reader_next) in their own pace, from the store, so a slow one costs nothing.
 */
#ifndef ORCHESTRATOR_EVENTS_H
#define ORCHESTRATOR_EVENTS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "orchestrator/store.h"

struct events;
struct event_reader;

/** store: borrowed until events_free(). */
struct events *events_new(struct ev_loop *loop, struct store *store);

/** Writes what is still queued. Readers must be freed before. NULL is fine. */
void events_free(struct events *events);
AUTO_TYPE(events)

/**
 * Note that something happened. Never fails: what cannot be stored is logged and lost.
 * stack, service, reason: NULL is "". replica: 0 for none. type and reason are stable words for
 * programs, the message (printf-like) is for people. Time is now.
 */
void event_emit(struct events *events, const char *stack, const char *service, unsigned replica,
                const char *type, const char *reason, const char *fmt, ...)
        __attribute__((format(printf, 7, 8)));

/** Store what is queued now instead of at the end of the turn (before the daemon ends). */
void events_flush(struct events *events);

struct event_reader_spec {
        struct event_filter filter;  /* copied */
        int64_t since;               /* seq > since; 0: from the oldest; -1: only new ones */
        unsigned limit;              /* of the history at most the last so many; 0: no limit */
        void (*on_ready)(void *ctx); /* more may be there; from the loop. NULL: nobody follows */
        void *ctx;
};

/** A new position in the history. */
int event_reader_new(struct events *events, const struct event_reader_spec *spec,
                     struct event_reader **ret_reader, struct err *err);

/** NULL is fine; also from inside on_ready. */
void event_reader_free(struct event_reader *reader);
AUTO_TYPE(event_reader)

#define EVENT_NONE 1

/**
 * The next event, borrowed until the next call. EVENT_NONE (1): no more now (on_ready will tell).
 */
int event_reader_next(struct event_reader *reader, const struct event **ret_event, struct err *err);

/** {seq, time, stack, service, replica, type, reason, message}: EVENT of api/wire.h. New
 * reference. */
json_t *event_to_json(const struct event *event);

#endif
