/* SPDX-License-Identifier: Apache-2.0 */
/* Events in the store. */
#include <stdlib.h>

#include "base/mem.h"
#include "orchestrator/store_db.h"

/* Old events go this many at a time. */
#define PRUNE_EVERY 256

static const char *or_empty(const char *s)
{
        return s ? s : "";
}

int store_add_event(struct store *store, const struct event *event, int64_t *ret_seq,
                    struct err *err)
{
        int64_t seq;
        int r = store_run(store, STMT_EVENT_PUT, "write an event", err, "ississs", event->time_ns,
                          or_empty(event->stack), or_empty(event->service), (int64_t)event->replica,
                          or_empty(event->type), or_empty(event->reason), or_empty(event->message));

        if (r < 0)
                return r;
        seq = sqlite3_last_insert_rowid(store->db);
        if (ret_seq)
                *ret_seq = seq;
        if (seq % PRUNE_EVERY != 0)
                return 0;
        return store_run(store, STMT_EVENT_PRUNE, "prune events", err, "i", seq - STORE_EVENTS_MAX);
}

int store_list_events(struct store *store, const struct event_filter *filter, int64_t since,
                      unsigned limit, struct stored_events *ret, struct err *err)
{
        sqlite3_stmt *row = store_bind(store, STMT_EVENT_LIST, "issii", since, filter->stack,
                                       filter->service, (int64_t)filter->replica, (int64_t)limit);
        struct stored_events events = {0};
        int rc;

        while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
                struct event *event = array_push(&events.items, &events.len);

                event->seq = row_int(row, 0);
                event->time_ns = row_int(row, 1);
                event->stack = xstrdup(row_text(row, 2));
                event->service = xstrdup(row_text(row, 3));
                event->replica = (unsigned)row_int(row, 4);
                event->type = xstrdup(row_text(row, 5));
                event->reason = xstrdup(row_text(row, 6));
                event->message = xstrdup(row_text(row, 7));
        }
        (void)sqlite3_reset(row); /* repeats the error of the step */
        if (rc != SQLITE_DONE) {
                stored_events_release(&events);
                return store_failed(store, rc, "read events", err);
        }
        *ret = events;
        return 0;
}

int store_events_tail(struct store *store, const struct event_filter *filter, unsigned limit,
                      int64_t *ret_since, struct err *err)
{
        sqlite3_stmt *row = store_bind(store, STMT_EVENT_TAIL, "issi", (int64_t)limit,
                                       filter->stack, filter->service, (int64_t)filter->replica);
        int rc = sqlite3_step(row);

        if (rc == SQLITE_ROW)
                *ret_since = row_int(row, 0);
        (void)sqlite3_reset(row); /* repeats the error of the step */
        return rc == SQLITE_ROW ? 0 : store_failed(store, rc, "read events", err);
}

void event_release(struct event *event)
{
        free(event->stack);
        free(event->service);
        free(event->type);
        free(event->reason);
        free(event->message);
        *event = (struct event){0};
}

void stored_events_release(struct stored_events *events)
{
        for (size_t i = 0; i < events->len; i++)
                event_release(&events->items[i]);
        free(events->items);
        *events = (struct stored_events){0};
}
