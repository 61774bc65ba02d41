/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/stats: all VMs are asked at once, and each is measured when its guest has answered, so
 * that the loop is never held up for longer than one of them takes.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"

/* A guest that is not heard by then is shown without its own figures. */
#define ANSWER_MS 2000

struct stats_call;

struct stats_item {
        struct stats_wait wait;
        struct stats_call *call;
        json_t *json; /* in call->list */
};

struct stats_call {
        struct daemon *daemon;
        struct request *req; /* NULL: the client is gone */
        ev_timer timer;
        struct stats_item *items;
        size_t items_len, open;
        json_t *list;
};

static void call_free(void *p)
{
        struct stats_call *call = p;

        json_decref(call->list);
        free(call->items);
        free(call);
}

static void call_end(struct stats_call *call)
{
        ev_timer_stop(call->daemon->loop, &call->timer);
        for (size_t i = 0; i < call->items_len; i++)
                instance_forget_stats(&call->items[i].wait);
        loop_defer_free(call->daemon->loop, call_free, call);
}

static void answer(struct stats_call *call)
{
        response_json(STEAL(call->req), 200, STEAL(call->list));
        call_end(call);
}

static json_t *guest_json(const struct guest_stats *s)
{
        const struct {
                const char *name;
                uint64_t value;
        } figures[] = {
                {"cpu_usec", s->cpu_usec},
                {"memory_bytes", s->memory_bytes},
                {"memory_peak_bytes", s->memory_peak_bytes},
                {"memory_file_bytes", s->memory_file_bytes},
                {"total_bytes", s->guest_memory_bytes},
                {"available_bytes", s->guest_memory_free_bytes},
                {"init_bytes", s->init_rss_bytes},
                {"pids", s->pids},
                {"oom_kills", s->oom_kills},
                {"net_rx_bytes", s->net_rx_bytes},
                {"net_tx_bytes", s->net_tx_bytes},
                {"io_read_bytes", s->io_read_bytes},
                {"io_write_bytes", s->io_write_bytes},
        };

        json_t *j = json_object();

        for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
                json_set_int(j, figures[i].name, /* a guest may say anything */
                             figures[i].value > INT64_MAX ? INT64_MAX : (int64_t)figures[i].value);
        return j;
}

static void measure(struct stats_item *item, const struct instance *in,
                    const struct guest_stats *stats)
{
        json_t *host = instance_usage_json(in);

        json_set_int(item->json, "time_ns", clock_mono_ns());
        if (host)
                json_object_set_new(item->json, "host", host);
        if (stats)
                json_object_set_new(item->json, "guest", guest_json(stats));
}

static void on_stats(struct stats_wait *wait, const struct instance *in,
                     const struct guest_stats *stats)
{
        struct stats_item *item = container_of(wait, struct stats_item, wait);
        struct stats_call *call = item->call;

        measure(item, in, stats);
        if (--call->open == 0)
                answer(call);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct stats_call *call = container_of(w, struct stats_call, timer);

        (void)loop;
        (void)revents;
        for (size_t i = 0; i < call->items_len; i++)
                if (call->items[i].wait.instance)
                        measure(&call->items[i], call->items[i].wait.instance, NULL);
        answer(call);
}

static void on_client_gone(struct request *req, void *arg)
{
        struct stats_call *call = arg;

        (void)req;
        call->req = NULL;
        call_end(call);
}

static json_t *item_json(const struct instance *in)
{
        AUTO_FREE char *name = xasprintf("%s/%s/%u", in->stack, in->service, in->replica);
        json_t *j = json_object();

        json_set_str(j, "stack", in->stack);
        json_set_str(j, "service", in->service);
        json_set_int(j, "replica", in->replica);
        json_set_str(j, "name", name);
        json_set_str(j, "id", in->id);
        json_set_int(j, "pid", vm_pid(in->vm));
        return j;
}

static bool is_meant(const struct instance *in, const char *stack, const char *service,
                     int64_t replica)
{
        return in->state == VM_RUNNING && in->vm && (!stack || streq(stack, in->stack)) &&
               (!service || streq(service, in->service)) && (!replica || in->replica == replica);
}

static void ask_all(struct stats_call *call, const char *stack, const char *service,
                    int64_t replica)
{
        struct daemon *d = call->daemon;

        call->items = xcalloc(d->instances_len, sizeof(*call->items));
        for (size_t i = 0; i < d->instances_len; i++) {
                struct instance *in = d->instances[i];
                struct stats_item *item = &call->items[call->items_len];

                if (!is_meant(in, stack, service, replica))
                        continue;
                *item = (struct stats_item){.wait.on_stats = on_stats, .call = call};
                item->json = item_json(in);
                json_array_append_new(call->list, item->json);
                if (instance_ask_stats(in, &item->wait))
                        call->open++;
                else
                        measure(item, in, NULL);
                call->items_len++;
        }
}

void handle_stats(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        const char *stack = request_query(req, "stack");
        struct stats_call *call;
        struct err err = ERR_INIT;
        int64_t replica = 0;

        if (request_query_int(req, "replica", 1, SERVICE_REPLICAS_MAX, 0, &replica, &err) == 0 &&
            stack && !daemon_find(d, stack))
                err_set(&err, ENOENT, "there is no stack %s; see `berth ps`", stack);
        if (err.code) {
                response_error(req, 0, &err, NULL);
                return;
        }
        call = xnew(struct stats_call);
        call->daemon = d;
        call->req = req;
        call->list = json_array();
        ev_timer_init(&call->timer, on_late, ANSWER_MS / 1000.0, 0.0);
        ask_all(call, stack, request_query(req, "service"), replica);
        request_on_close(req, on_client_gone, call);
        if (call->open == 0)
                answer(call);
        else
                ev_timer_start(d->loop, &call->timer);
}
