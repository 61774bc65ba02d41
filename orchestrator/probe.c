/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/probe.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "vminit/wire.h"

#define PROBE_EARLY_MS 100

static void probe_test(struct probe *p, bool early);

static void spec_set_test(struct probe_spec *spec, char *const *test, size_t len)
{
        if (len == 0 || streq(test[0], "NONE"))
                return;
        if (streq(test[0], "CMD-SHELL") && len > 1) {
                spec->argv_len = 3;
                spec->argv = xcalloc(3, sizeof(char *));
                spec->argv[0] = xstrdup("/bin/sh");
                spec->argv[1] = xstrdup("-c");
                spec->argv[2] = xstrdup(test[1]);
                return;
        }
        for (size_t i = streq(test[0], "CMD") ? 1 : 0; i < len; i++)
                *array_push(&spec->argv, &spec->argv_len) = xstrdup(test[i]);
}

/* What vminit does itself: no program of the image is needed, see vminit/port_probe.h. */
static void spec_set_port(struct probe_spec *spec, const struct port_probe *probe,
                          const char *address)
{
        const char *args[7] = {PORT_PROBE, probe->tcp ? "tcp" : "http", address};
        AUTO_FREE char *port = xasprintf("%u", probe->tcp ? probe->tcp : probe->http_port);
        AUTO_FREE char *status = xasprintf("%u", probe->http_status);
        size_t n = 4;

        args[3] = port;
        if (probe->http_port) {
                args[n++] = probe->http_path ? probe->http_path : "/";
                args[n++] = status;
        }
        for (size_t i = 0; i < n; i++)
                *array_push(&spec->argv, &spec->argv_len) = xstrdup(args[i]);
}

static int64_t pick(int64_t wanted, int64_t image, int64_t fallback)
{
        if (wanted >= 0)
                return wanted;
        return image > 0 ? image : fallback;
}

void probe_spec_resolve(const struct service *service, const struct image *image,
                        const char *address, struct probe_spec *ret)
{
        static const struct image_healthcheck none;
        const struct image_healthcheck *im = image ? &image->healthcheck : &none;
        const struct healthcheck unset = {.interval_ms = -1,
                                          .timeout_ms = -1,
                                          .start_period_ms = -1,
                                          .start_interval_ms = -1,
                                          .retries = -1};
        const struct healthcheck *hc = service->has_healthcheck ? &service->healthcheck : &unset;

        memset(ret, 0, sizeof(*ret));
        if (hc->disable)
                return;
        if (service->probe.tcp || service->probe.http_port)
                spec_set_port(ret, &service->probe, address);
        else if (hc->test.set)
                spec_set_test(ret, hc->test.items, hc->test.len);
        else
                spec_set_test(ret, im->test, im->test_len);
        ret->interval_ms = pick(hc->interval_ms, im->interval_ms, PROBE_INTERVAL_MS);
        ret->timeout_ms = pick(hc->timeout_ms, im->timeout_ms, PROBE_TIMEOUT_MS);
        ret->start_period_ms = pick(hc->start_period_ms, im->start_period_ms, 0);
        ret->start_interval_ms =
                pick(hc->start_interval_ms, im->start_interval_ms, PROBE_START_INTERVAL_MS);
        ret->retries = hc->retries > 0   ? hc->retries
                       : im->retries > 0 ? im->retries
                                         : PROBE_RETRIES;
        if (ret->interval_ms == 0)
                ret->interval_ms = PROBE_INTERVAL_MS;
        if (ret->timeout_ms == 0)
                ret->timeout_ms = PROBE_TIMEOUT_MS;
}

void probe_spec_release(struct probe_spec *spec)
{
        for (size_t i = 0; i < spec->argv_len; i++)
                free(spec->argv[i]);
        free(spec->argv);
        memset(spec, 0, sizeof(*spec));
}

bool probe_spec_equal(const struct probe_spec *a, const struct probe_spec *b)
{
        if (a->argv_len != b->argv_len || a->interval_ms != b->interval_ms ||
            a->timeout_ms != b->timeout_ms || a->start_period_ms != b->start_period_ms ||
            a->start_interval_ms != b->start_interval_ms || a->retries != b->retries)
                return false;
        for (size_t i = 0; i < a->argv_len; i++)
                if (!streq(a->argv[i], b->argv[i]))
                        return false;
        return true;
}

static void probe_set(struct probe *p, enum health_state state, char *message)
{
        bool changed = state != p->state || !streq(message, p->message);

        free(p->message);
        p->message = message;
        p->state = state;
        if (changed)
                p->on_change(p, p->ctx);
}

static void arm(struct probe *p, int64_t delay_ms)
{
        ev_timer_stop(p->loop, &p->next);
        ev_timer_set(&p->next, (double)delay_ms / 1000.0, 0.0);
        ev_timer_start(p->loop, &p->next);
}

/* The regular beat: start_interval within the start period, else interval. */
static int64_t beat_ms(const struct probe *p, int64_t now)
{
        if (p->state == HEALTH_STARTING && now - p->started_ms < p->spec.start_period_ms)
                return p->spec.start_interval_ms;
        return p->spec.interval_ms;
}

/* Whoever waits for the service waits at most a quarter longer than it took to get ready. */
static int64_t early_ms(const struct probe *p, int64_t now)
{
        int64_t quarter = (now - p->started_ms) / 4;

        return quarter > PROBE_EARLY_MS ? quarter : PROBE_EARLY_MS;
}

/* After a test: when does the next one run? Early tests fill the gap before the next beat. */
static void schedule(struct probe *p)
{
        int64_t now = clock_mono_ms();
        int64_t left = p->due_ms - now;

        if (left <= 0) {
                p->due_ms = now + beat_ms(p, now);
                left = p->due_ms - now;
        }
        arm(p, p->state == HEALTH_STARTING && early_ms(p, now) < left ? early_ms(p, now) : left);
}

static char *failure_text(const struct probe *p, const struct guest_exit *exit)
{
        const char *output = strbuf_str(&p->output);
        size_t first_line = strcspn(output, "\n");

        if (!exit)
                return xasprintf("healthcheck did not end within %lld ms",
                                 (long long)p->spec.timeout_ms);
        if (exit->start_failed)
                return xasprintf("healthcheck could not run: %s", exit->text);
        if (streq(p->spec.argv[0], PORT_PROBE))
                return xasprintf("healthcheck: %.*s", (int)(first_line > 200 ? 200 : first_line),
                                 output);
        return xasprintf("healthcheck exited %d%s%.*s", exit->code, first_line ? ": " : "",
                         (int)(first_line > 200 ? 200 : first_line), output);
}

/* message: NULL when it passed. */
static void note_result(struct probe *p, const struct guest_exit *exit, const char *message)
{
        struct probe_result result = {.start_ns = p->began_ns,
                                      .end_ns = clock_wall_ns(),
                                      .code = exit && !exit->start_failed ? exit->code : -1,
                                      .output_len = p->output.len,
                                      .truncated = p->truncated,
                                      .message = xstrdup(message)};

        result.output = strbuf_take(&p->output);
        probe_log_add(&p->log, &result);
}

/* exit: NULL when it did not end in time. */
static void probe_result(struct probe *p, const struct guest_exit *exit)
{
        char *message = exit && exit->code == 0 ? NULL : failure_text(p, exit);
        bool counts = !p->early && (p->state != HEALTH_STARTING ||
                                    clock_mono_ms() - p->started_ms >= p->spec.start_period_ms);

        p->run = NULL;
        ev_timer_stop(p->loop, &p->timeout);
        note_result(p, exit, message);
        if (!message) {
                p->failures = 0;
                probe_set(p, HEALTH_HEALTHY, NULL);
        } else {
                enum health_state state = p->state;

                if (counts && ++p->failures >= p->spec.retries)
                        state = HEALTH_UNHEALTHY;
                probe_set(p, state, message);
        }
        if (p->guest)
                schedule(p);
}

static void on_probe_output(struct exec_session *session, enum guest_stream stream,
                            const void *bytes, size_t len)
{
        struct probe_run *run = container_of(session, struct probe_run, session);
        struct probe *p = run->probe;
        size_t room = p->output.max - p->output.len;

        if (run == p->run) {
                strbuf_add(&p->output, bytes, len < room ? len : room); /* the rest nobody reads */
                p->truncated = p->truncated || len > room;
        }
        if (p->guest)
                guest_exec_credit(p->guest, run->exec_id, stream, len);
}

static void run_free(struct probe *p, struct probe_run *run)
{
        for (size_t i = 0; i < p->runs_len; i++)
                if (p->runs[i] == run) {
                        p->runs[i] = p->runs[--p->runs_len];
                        break;
                }
        free(run);
}

static void on_probe_exited(struct exec_session *session, const struct guest_exit *exit)
{
        struct probe_run *run = container_of(session, struct probe_run, session);
        struct probe *p = run->probe;
        bool counts = run == p->run;

        run_free(p, run);
        if (counts)
                probe_result(p, exit);
}

static void on_timeout_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct probe *p = container_of(w, struct probe, timeout);
        int id = p->run->exec_id;

        (void)loop;
        (void)revents;
        probe_result(p, NULL);
        if (p->guest)
                guest_exec_close(p->guest, id);
}

static void on_next_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct probe *p = container_of(w, struct probe, next);

        (void)loop;
        (void)revents;
        probe_test(p, clock_mono_ms() < p->due_ms);
}

/* Too many sessions, or the guest goes: the next beat tries again. A test that is too long fails.
 */
static void probe_not_sent(struct probe *p, int r, const struct err *err)
{
        struct guest_exit exit = {.code = 126, .start_failed = true, .text = err->msg};

        if (r == -E2BIG)
                probe_result(p, &exit);
        else
                arm(p, p->spec.interval_ms);
}

static void probe_test(struct probe *p, bool early)
{
        const struct guest_exec exec = {.argv = (const char *const *)p->spec.argv,
                                        .n_argv = p->spec.argv_len,
                                        .no_stdin = true};
        struct err err = ERR_INIT;
        struct probe_run *run;
        int id;

        if (!p->guest || p->run)
                return;
        strbuf_reset(&p->output);
        p->truncated = false;
        p->began_ns = clock_wall_ns();
        p->early = early;
        run = xnew(struct probe_run);
        run->session.on_output = on_probe_output;
        run->session.on_exited = on_probe_exited;
        run->probe = p;
        id = guest_exec_open(p->guest, &exec, &run->session, &err);
        if (id <= 0) {
                free(run);
                probe_not_sent(p, id, &err);
                return;
        }
        run->exec_id = id;
        *array_push(&p->runs, &p->runs_len) = run;
        p->run = run;
        ev_timer_set(&p->timeout, (double)p->spec.timeout_ms / 1000.0, 0.0);
        ev_timer_start(p->loop, &p->timeout);
}

void probe_init(struct probe *p, struct ev_loop *loop,
                void (*on_change)(struct probe *probe, void *ctx), void *ctx)
{
        memset(p, 0, sizeof(*p));
        p->loop = loop;
        p->on_change = on_change;
        p->ctx = ctx;
        p->output.max = PROBE_OUTPUT_MAX;
        ev_timer_init(&p->next, on_next_due, 0.0, 0.0);
        ev_timer_init(&p->timeout, on_timeout_due, 0.0, 0.0);
}

void probe_start(struct probe *p, struct guest *guest, struct probe_spec *spec,
                 enum health_state state)
{
        probe_stop(p);
        probe_spec_release(&p->spec);
        p->spec = *spec;
        memset(spec, 0, sizeof(*spec));
        p->guest = guest;
        if (p->spec.argv_len == 0) {
                probe_set(p, HEALTH_NONE, NULL);
                return;
        }
        p->started_ms = clock_mono_ms();
        p->failures = 0;
        p->due_ms = p->started_ms + p->spec.interval_ms;
        probe_set(p, state == HEALTH_NONE ? HEALTH_STARTING : state, NULL);
        p->due_ms = p->started_ms + beat_ms(p, p->started_ms);
        probe_test(p, true);
}

void probe_stop(struct probe *p)
{
        const struct probe_run *run = p->run;

        ev_timer_stop(p->loop, &p->next);
        ev_timer_stop(p->loop, &p->timeout);
        p->run = NULL;
        if (p->guest && run)
                guest_exec_close(p->guest, run->exec_id);
        p->guest = NULL;
}

void probe_forget(struct probe *p)
{
        probe_stop(p);
        probe_log_clear(&p->log);
        free(p->message);
        p->message = NULL;
        p->state = HEALTH_NONE;
}

void probe_release(struct probe *p)
{
        if (!p->loop)
                return;
        probe_stop(p);
        for (size_t i = 0; i < p->runs_len; i++)
                free(p->runs[i]);
        free(p->runs);
        p->runs = NULL;
        p->runs_len = 0;
        probe_spec_release(&p->spec);
        strbuf_release(&p->output);
        probe_log_clear(&p->log);
        free(p->message);
        p->message = NULL;
}
