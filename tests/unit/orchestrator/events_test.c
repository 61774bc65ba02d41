/* SPDX-License-Identifier: Apache-2.0 */
/* Events: stored at the end of the turn, told after that, read by followers in their own pace. */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/events.h"
#include "tests/tap.h"

static struct ev_loop *loop;
static struct events *events;
static int ready;

static void on_ready(void *ctx)
{
        (void)ctx;
        ready++;
}

static void turn(void)
{
        ev_run(loop, EVRUN_NOWAIT);
        ev_run(loop, EVRUN_NOWAIT);
}

static struct event_reader *reader(struct event_filter filter, int64_t since, unsigned limit)
{
        const struct event_reader_spec spec = {
                .filter = filter, .since = since, .limit = limit, .on_ready = on_ready};
        struct event_reader *r = NULL;
        struct err err = ERR_INIT;

        if (event_reader_new(events, &spec, &r, &err) < 0)
                ok(0, "reader: %s", err.msg);
        return r;
}

/* Messages of all events there are now, joined; "!" where one fails. */
static char *all(struct event_reader *r)
{
        AUTO_FREE char *text = xstrdup("");
        const struct event *event;
        struct err err = ERR_INIT;
        int rc;

        while ((rc = event_reader_next(r, &event, &err)) == 0) {
                char *more = xasprintf("%s%s ", text, event->message);

                free(text);
                text = more;
        }
        return xasprintf("%s%s", text, rc == EVENT_NONE ? "" : "!");
}

static void expect(struct event_reader *r, const char *text, const char *name)
{
        AUTO_FREE char *have = all(r);

        is_str(have, text, "%s", name);
}

static void test_readers(void)
{
        struct event_filter any = {0}, shop = {.stack = "shop"}, db = {.service = "db"};
        struct event_reader *follow = reader(any, -1, 0), *later;

        event_emit(events, "shop", "web", 1, "started", "created", "a%d", 1);
        event_emit(events, "shop", "db", 1, "started", NULL, "b");
        event_emit(events, "blog", "web", 2, "died", "killed", "c");
        expect(follow, "", "nothing is told before it is stored");
        is_int(ready, 0, "nobody is woken before");
        turn();
        is_int(ready, 1, "woken once for a turn's events");
        expect(follow, "a1 b c ", "all of them");
        turn();
        is_int(ready, 1, "not woken without reason");
        later = reader(shop, 0, 0);
        expect(later, "a1 b ", "of one stack");
        event_emit(events, "shop", NULL, 0, "deleted", NULL, "d");
        turn();
        expect(later, "d ", "it follows");
        expect(follow, "d ", "the other too");
        event_reader_free(later);
        later = reader(db, 0, 0);
        expect(later, "b ", "of one service");
        event_reader_free(later);
        later = reader(any, 0, 2);
        expect(later, "c d ", "the last two");
        event_reader_free(later);
        later = reader(any, 1, 0);
        expect(later, "b c d ", "since a number");
        event_reader_free(later);
        event_emit(events, "shop", NULL, 0, "x", NULL, "e");
        later = reader(any, -1, 0);
        expect(later, "", "only new ones");
        event_reader_free(later);
        event_emit(events, "shop", NULL, 0, "x", NULL, "f");
        turn();
        event_reader_free(follow);
        ready = 0;
        event_emit(events, "shop", NULL, 0, "x", NULL, "g");
        turn();
        is_int(ready, 0, "a reader that is gone is not called");
}

static void test_json(void)
{
        struct event_reader *r = reader((struct event_filter){.stack = "blog"}, 0, 0);
        const struct event *event;
        struct err err = ERR_INIT;
        AUTO_JSON json_t *json = NULL;

        event_emit(events, "blog", NULL, 0, "x", NULL, "bad \xff byte");
        turn();
        is_int(event_reader_next(r, &event, &err), 0, "an event");
        json = event_to_json(event);
        is_int(json_int(json, "seq", 0), 3, "seq");
        is_int(strlen(json_str(json, "time", "")), 30, "time");
        is_str(json_str(json, "stack", NULL), "blog", "stack");
        is_str(json_str(json, "service", NULL), "web", "service");
        is_int(json_int(json, "replica", 0), 2, "replica");
        is_str(json_str(json, "type", NULL), "died", "type");
        is_str(json_str(json, "reason", NULL), "killed", "reason");
        is_str(json_str(json, "message", NULL), "c", "message");
        event_reader_next(r, &event, &err);
        json_decref(json);
        json = event_to_json(event);
        is_str(json_str(json, "message", NULL), "bad \xef\xbf\xbd byte", "guest bytes become text");
        event_reader_free(r);
}

static void test_many(void)
{
        struct event_reader *r = reader((struct event_filter){0}, -1, 0);
        const struct event *event;
        struct err err = ERR_INIT;
        int n = 0;

        for (int i = 0; i < 1000; i++)
                event_emit(events, "shop", "web", 1, "x", NULL, "%d", i);
        events_flush(events);
        while (event_reader_next(r, &event, &err) == 0)
                n += atol(event->message) == n;
        is_int(n, 1000, "over many pages, in order");
        event_reader_free(r);
}

int main(void)
{
        char dir[] = "/tmp/berth-events-XXXXXX";
        struct store_report report;
        struct store *store = NULL;
        struct err err = ERR_INIT;
        char *path;

        if (!mkdtemp(dir))
                return 1;
        path = file_join(dir, "state.db");
        loop = ev_loop_new(EVFLAG_AUTO);
        if (store_open(path, NULL, NULL, &store, &report, &err) < 0)
                return 1;
        events = events_new(loop, store);
        test_readers();
        test_json();
        test_many();
        event_emit(events, "shop", NULL, 0, "last", NULL, "queued at the end");
        events_free(events);
        store_close(store);
        is_int(store_open(path, NULL, NULL, &store, &report, &err), 0, "open again");
        events = events_new(loop, store);
        {
                struct event_reader *r = reader((struct event_filter){0}, 0, 1);

                expect(r, "queued at the end ", "freeing stores what was queued");
                event_reader_free(r);
        }
        events_free(events);
        store_close(store);
        ev_loop_destroy(loop);
        file_remove_tree(dir, &err);
        free(path);
        return tap_done();
}
