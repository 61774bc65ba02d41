/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/explain_text.h"
#include "orchestrator/cli/progress.h"
#include "orchestrator/cli/table.h"

/* Largest picture: as many lines as a terminal may have, cut to its width. */
#define PICTURE_MAX (1u << 20)
/* Lines of a failing service's log that are shown. */
#define REPORT_LINES "20"

static const char *phase_style(const char *phase)
{
        if (streq(phase, "healthy") || streq(phase, "running") || streq(phase, "completed"))
                return STYLE_GREEN;
        if (streq(phase, "failed") || streq(phase, "unhealthy") || streq(phase, "backoff"))
                return STYLE_RED;
        return streq(phase, "starting") ? STYLE_YELLOW : "";
}

/* What explains a phase: "waiting for db" says more than "waiting", so it replaces the word. */
char *service_text(const json_t *service)
{
        const char *phase = json_str(service, "phase", "?"), *why = json_str(service, "why", "");
        AUTO_FREE char *both = xasprintf("%s: %s", phase, why);

        return text_safe(!*why ? phase : has_prefix(why, phase) ? why : both);
}

void draw_change(const struct progress_service *s, const json_t *service)
{
        AUTO_FREE char *text = service_text(service);
        char took[32] = "";

        if (s->took_ms >= 0)
                elapsed_text(s->took_ms, took);
        (void)fprintf(stderr, "%s: %s%s%s\n", s->name, text, *took ? " after " : "", took);
}

static const struct progress_service *find(const struct progress *p, const char *name)
{
        for (size_t i = 0; i < p->services_len; i++)
                if (streq(p->services[i].name, name))
                        return &p->services[i];
        return NULL;
}

struct picture {
        const struct progress *p;
        struct strbuf out;
        unsigned columns;
        int name_width;
        unsigned lines;
};

/* "  web  2/3  starting  1.2s  why", cut to the terminal's width before colours are put in. */
static void add_line(struct picture *pic, const json_t *service)
{
        const char *name = json_str(service, "service", "?"),
                   *phase = json_str(service, "phase", "");
        const struct progress_service *s = find(pic->p, name);
        long long wanted = (long long)json_int(service, "replicas_wanted", 1);
        AUTO_FREE char *why = text_safe(json_str(service, "why", ""));
        AUTO_FREE char *count = NULL, *head = NULL, *tail = NULL;
        char took[32] = "";
        size_t room, fit;

        if (s && s->begun_ms)
                elapsed_text(s->took_ms >= 0 ? s->took_ms : clock_mono_ms() - s->begun_ms, took);
        count = wanted == 1 ? xstrdup("")
                            : xasprintf("%lld/%lld",
                                        (long long)json_int(service, "replicas_ready", 0), wanted);
        head = xasprintf("  %-*s %5s  ", pic->name_width, name, count);
        tail = xasprintf(" %7s  %s", took, why);
        room = pic->columns > 1 ? pic->columns - 1 : 1;
        fit = text_fit(head, room);
        strbuf_addf(&pic->out, "\033[2K%.*s", (int)fit, head);
        room -= text_width(head) < room ? text_width(head) : room;
        if (room >= 10) {
                strbuf_addf(&pic->out, "%s%-9s%s", phase_style(phase), phase, STYLE_OFF);
                room -= 9;
                strbuf_addf(&pic->out, "%.*s", (int)text_fit(tail, room), tail);
        }
        strbuf_addc(&pic->out, '\n');
        pic->lines++;
}

/* Those that still move come first when not all fit. */
static void add_services(struct picture *pic, const json_t *services, unsigned max)
{
        size_t total = json_array_size(services), i;
        const json_t *service;
        unsigned shown = 0;

        for (int settled = 0; settled < 2; settled++)
                json_array_foreach(services, i, service) {
                        bool is = json_bool(service, "settled", false);

                        if (total > max && is != (settled == 1))
                                continue;
                        if ((total <= max && settled == 1) || shown >= max)
                                continue;
                        add_line(pic, service);
                        shown++;
                }
        if (shown < total) {
                strbuf_addf(&pic->out, "\033[2K  ... and %zu more\n", total - shown);
                pic->lines++;
        }
}

void draw_live(struct progress *p)
{
        struct picture pic = {.p = p, .out = STRBUF_INIT(PICTURE_MAX), .name_width = 8};
        const json_t *services = json_object_get(p->status, "services"), *service;
        char took[32];
        unsigned rows;
        size_t i;

        if (!p->status)
                return;
        terminal_size(STDERR_FILENO, &pic.columns, &rows);
        json_array_foreach(services, i, service) {
                int width = (int)text_width(json_str(service, "service", "?"));

                pic.name_width = width > pic.name_width && width <= 30 ? width : pic.name_width;
        }
        if (p->lines_drawn)
                strbuf_addf(&pic.out, "\r\033[%uA", p->lines_drawn);
        elapsed_text(clock_mono_ms() - p->started_ms, took);
        strbuf_addf(&pic.out, "\033[2K%s%.*s%s  %s\n", STYLE_BOLD,
                    (int)text_fit(p->stack, pic.columns > 12 ? pic.columns - 12 : 1), p->stack,
                    STYLE_OFF, took);
        pic.lines = 1;
        add_services(&pic, services, rows > 5 ? rows - 4 : 1);
        strbuf_adds(&pic.out, "\033[J");
        (void)fd_write_all(STDERR_FILENO, strbuf_str(&pic.out), pic.out.len, NULL); /* a picture */
        p->lines_drawn = pic.lines;
        strbuf_release(&pic.out);
}

/* A guest that never came up has no output, but a boot log. */
static bool boot_failed(const json_t *service)
{
        const json_t *replica;
        size_t i;

        json_array_foreach(json_object_get(service, "replicas"), i, replica) {
                const char *reason = json_str(replica, "exit_reason", "");

                if (streq(reason, "panic") || streq(reason, "boot-failed"))
                        return true;
        }
        return false;
}

struct log_output {
        const char *heading;
        FILE *out;
};

static int on_log_line(void *arg, json_t *item)
{
        AUTO_FREE char *text = text_safe(json_str(item, "text", ""));
        struct log_output *output = arg;

        (void)fprintf(output->out, "%s    | %s\n", output->heading, text);
        output->heading = ""; /* the caller flushes and checks */
        return 0;
}

void log_print(struct cli *cli, const char *stack, const json_t *service, const char *lines,
               const char *heading, FILE *out)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        struct log_output output = {heading, out};
        struct client_stream stream = {.on_item = on_log_line, .arg = &output};

        strbuf_adds(&path, "/v1/logs");
        client_query(&path, "stack", stack);
        client_query(&path, "service", json_str(service, "service", ""));
        client_query(&path, "tail", lines);
        client_query(&path, "boot", boot_failed(service) ? "1" : NULL);
        stream.path = strbuf_str(&path);
        (void)client_follow(cli, &stream, NULL); /* the failure itself has been told already */
}

static void report_probes(const json_t *service)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(PICTURE_MAX);
        const json_t *replica;
        size_t i;

        json_array_foreach(json_object_get(service, "replicas"), i, replica)
                explain_probe(replica, &out);
        if (out.len)
                (void)fprintf(stderr, "  its last test said:\n%s", strbuf_str(&out));
}

void progress_report(struct cli *cli, const char *stack, const json_t *status)
{
        const json_t *service;
        size_t i;

        json_array_foreach(json_object_get(status, "services"), i, service) {
                AUTO_FREE char *text = service_text(service);

                if (json_bool(service, "ok", false))
                        continue;
                (void)cli_error(0, "%s/%s: %s", stack, json_str(service, "service", "?"),
                                text); /* the caller decides the code */
                report_probes(service);
                if (!streq(json_str(service, "phase", ""), "waiting"))
                        log_print(cli, stack, service, REPORT_LINES, "", stderr);
        }
}
