/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/progress.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/draw.h"

/* A restarted daemon is found again; one that keeps dying is an error. */
#define RECONNECTS_MAX 3
/* Redraws and the moving seconds of a live table. */
#define TICK_MS 200

void elapsed_text(int64_t ms, char *ret)
{
        if (ms < 10000)
                (void)snprintf(ret, 32, "%lld.%llds", (long long)(ms / 1000),
                               (long long)(ms % 1000 / 100)); /* all three fit */
        else if (ms < 60000)
                (void)snprintf(ret, 32, "%llds", (long long)(ms / 1000));
        else
                (void)snprintf(ret, 32, "%lldm%02llds", (long long)(ms / 60000),
                               (long long)(ms / 1000 % 60));
}

static struct progress_service *find_service(struct progress *p, const char *name)
{
        struct progress_service *s;

        for (size_t i = 0; i < p->services_len; i++)
                if (streq(p->services[i].name, name))
                        return &p->services[i];
        s = array_push(&p->services, &p->services_len);
        *s = (struct progress_service){
                .name = xstrdup(name), .took_ms = -1, .restarts_at_first = -1};
        return s;
}

static int64_t restarts_of(const json_t *service)
{
        const json_t *replica;
        int64_t most = 0;
        size_t i;

        json_array_foreach(json_object_get(service, "replicas"), i, replica) {
                int64_t n = json_int(replica, "restarts", 0);

                most = n > most ? n : most;
        }
        return most;
}

/* Phases that a service is meant to come to; how long it took is worth telling. */
static bool is_goal(const char *phase)
{
        return streq(phase, "healthy") || streq(phase, "running") || streq(phase, "completed");
}

static void note_service(struct progress *p, const json_t *service, bool live)
{
        struct progress_service *s = find_service(p, json_str(service, "service", "?"));
        const char *phase = json_str(service, "phase", "?");
        int64_t now = clock_mono_ms();
        bool first;

        if (s->restarts_at_first < 0)
                s->restarts_at_first = restarts_of(service);
        if (!s->begun_ms && !streq(phase, "waiting"))
                s->begun_ms = s->phase ? now : p->started_ms;
        if (streq(s->phase, phase))
                return;
        first = !s->phase;
        s->running_ms = s->phase && streq(phase, "running") ? now : 0;
        s->backoffs += streq(phase, "backoff") ? 1 : 0;
        free(s->phase);
        s->phase = xstrdup(phase);
        s->took_ms = s->begun_ms && is_goal(phase) ? now - s->begun_ms : -1;
        if (!live && !p->quiet && !(first && json_bool(service, "ok", false)))
                draw_change(s, service);
}

static const struct progress_service *find_seen(const struct progress *p, const json_t *service)
{
        for (size_t i = 0; i < p->services_len; i++)
                if (streq(p->services[i].name, json_str(service, "service", "?")))
                        return &p->services[i];
        return NULL;
}

static bool looping(const struct progress *p, const json_t *service)
{
        const struct progress_service *s = find_seen(p, service);

        return s && streq(s->phase, "backoff") &&
               (json_int(service, "failures", 0) >= PROGRESS_FAILURES_MAX ||
                s->backoffs > PROGRESS_RESTARTS_MAX ||
                restarts_of(service) - s->restarts_at_first >= PROGRESS_RESTARTS_MAX);
}

/* A stack that is settled and well, but some service has only just begun to run. */
static bool too_early(const struct progress *p, const json_t *status)
{
        int64_t now = clock_mono_ms();
        const json_t *service;
        size_t i;

        json_array_foreach(json_object_get(status, "services"), i, service) {
                const struct progress_service *s = find_seen(p, service);

                if (s && s->running_ms && now - s->running_ms < PROGRESS_RUNNING_MS)
                        return true;
        }
        return false;
}

bool progress_undone(const struct progress *p, const json_t *status)
{
        return p->revision && json_int(status, "revision", 0) > p->revision &&
               json_int(status, "undoes", 0) >= p->revision;
}

/* The default judgement. Nothing but waiting services is no failure: images may be on the way. */
static int judge_settled(const struct progress *p, const json_t *status)
{
        const json_t *service;
        bool some = false;
        size_t i;

        if (json_bool(status, "settled", false)) {
                if (!json_bool(status, "ok", false) || progress_undone(p, status))
                        return PROGRESS_FAILED;
                return too_early(p, status) ? -1 : PROGRESS_OK;
        }
        json_array_foreach(json_object_get(status, "services"), i, service) {
                bool loops = looping(p, service);

                if (!json_bool(service, "settled", false) && !loops &&
                    !streq(json_str(service, "phase", ""), "waiting"))
                        return -1;
                some = some || loops;
        }
        return some ? PROGRESS_FAILED : -1;
}

struct follow {
        struct progress *p;
        bool live;
        int end; /* a progress_end, or -1 */
};

static int judge(const struct progress *p)
{
        return (p->judge ? p->judge : judge_settled)(p, p->status);
}

static void show(struct follow *f)
{
        if (f->live)
                draw_live(f->p);
        f->p->dirty = false;
}

static int on_status(void *arg, json_t *status)
{
        struct follow *f = arg;
        struct progress *p = f->p;
        const json_t *service;
        size_t i;

        if (json_bool(status, "gone", false)) {
                f->end = PROGRESS_GONE;
                return 1;
        }
        if (json_int(status, "revision", 0) < p->revision)
                return 0;
        json_decref(p->status);
        p->status = json_incref(status);
        json_array_foreach(json_object_get(status, "services"), i, service)
                note_service(p, service, f->live);
        p->dirty = true;
        f->end = judge(p);
        return f->end >= 0;
}

/* Time alone can change a judgement, too. */
static int on_tick(void *arg)
{
        struct follow *f = arg;

        show(f);
        if (f->p->status)
                f->end = judge(f->p);
        return f->end >= 0;
}

static int follow_once(struct follow *f, struct err *err)
{
        struct progress *p = f->p;
        AUTO_FREE char *name = http_escape(p->stack);
        AUTO_FREE char *path = xasprintf("/v1/stacks/%s/status", name);
        struct client_stream stream = {
                .path = path,
                .on_item = on_status,
                .on_tick = on_tick,
                .tick_ms = TICK_MS,
                .arg = f,
                .deadline_ms = p->deadline_ms,
                .wake = p->wake,
                .wake_fd = p->wake_fd,
        };
        int r = client_follow(p->cli, &stream, err);

        if (r == -ENOENT) {
                f->end = PROGRESS_GONE;
                return 0;
        }
        if (r == HTTP_DEADLINE)
                f->end = PROGRESS_TIMEOUT;
        else if (r == HTTP_WOKEN)
                f->end = PROGRESS_WOKEN;
        return r < 0 ? r : 0;
}

int progress_follow(struct progress *progress, enum progress_end *ret_end, struct err *err)
{
        struct follow follow = {
                progress, progress->cli->err_tty && progress->cli->colour_err && !progress->quiet,
                -1};
        int r = 0;

        progress->started_ms = clock_mono_ms();
        for (int i = 0; i <= RECONNECTS_MAX; i++) {
                r = follow_once(&follow, err);
                if (follow.end >= 0 || (r < 0 && r != -EPIPE && r != -ECONNREFUSED))
                        break;
                progress->cli->have_daemon = false; /* it ended; ask for it again */
        }
        show(&follow);
        if (r == 0 && follow.end < 0)
                return err_set(err, EPIPE, "berthd ended again and again while %s was followed",
                               progress->stack);
        if (r < 0)
                return r;
        *ret_end = (enum progress_end)follow.end;
        return 0;
}

void progress_release(struct progress *progress)
{
        json_decref(progress->status);
        for (size_t i = 0; i < progress->services_len; i++) {
                free(progress->services[i].name);
                free(progress->services[i].phase);
        }
        free(progress->services);
        *progress = (struct progress){0};
}

json_t *status_replicas(const json_t *status)
{
        json_t *all = json_array();
        const json_t *service;
        size_t i;

        json_array_foreach(json_object_get(status, "services"), i, service)
                if (json_array_extend(all, json_object_get(service, "replicas")) < 0)
                        continue; /* a service without replicas: nothing to add */
        return all;
}
