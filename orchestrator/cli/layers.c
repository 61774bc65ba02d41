/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/layers.h"

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
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

#define REDRAW_MS   80
#define BAR_WIDTH   24
#define BAR_MIN     4
#define TEXT_MAX    200
#define PICTURE_MAX (1u << 18)

static bool is_over(const char *state)
{
        return streq(state, "done") || streq(state, "present") || streq(state, "mounted");
}

static struct layer_line *find_line(struct layers *layers, const char *digest)
{
        const char *hex = strchr(digest, ':') ? strchr(digest, ':') + 1 : digest;
        struct layer_line *line;

        for (size_t i = 0; i < layers->lines_len; i++)
                if (strncmp(layers->lines[i].id, hex, sizeof(line->id) - 1) == 0)
                        return &layers->lines[i];
        if (layers->lines_len == LAYERS_SHOWN_MAX)
                return NULL;
        line = array_push(&layers->lines, &layers->lines_len);
        (void)snprintf(line->id, sizeof(line->id), "%.12s", hex); /* cut is what it is for */
        return line;
}

static void add_rate(struct strbuf *out, const struct layer_line *line, int64_t now_ms)
{
        int64_t ms = now_ms - line->began_ms, got = line->done - line->began_done, rate;
        char text[16];

        if (ms < 300 || got <= 0)
                return;
        rate = got * 1000 / ms;
        size_text(rate, text);
        strbuf_addf(out, "  %s/s", text);
        if (rate > 0)
                strbuf_addf(out, "  %llds",
                            (long long)((line->total - line->done + rate - 1) / rate));
}

/* As wide as there is room for; none when that is too little to tell anything. */
static void add_bar(struct strbuf *out, const struct layer_line *line, size_t room)
{
        int width = room < BAR_MIN + 3 ? 0 : room - 3 > BAR_WIDTH ? BAR_WIDTH : (int)room - 3;
        int filled = line->total > 0 ? (int)(line->done * width / line->total) : width;

        if (width == 0)
                return;
        strbuf_addc(out, '[');
        for (int i = 0; i < width; i++)
                strbuf_addc(out, i < filled ? '=' : i == filled ? '>' : ' ');
        strbuf_adds(out, "] ");
}

void layers_line(const struct layer_line *line, unsigned columns, int64_t now_ms,
                 struct strbuf *out)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(TEXT_MAX), numbers = STRBUF_INIT(TEXT_MAX);
        char done[16], total[16];

        size_text(line->total, total);
        if (streq(line->state, "download")) {
                size_text(line->done, done);
                strbuf_addf(&numbers, "%s/%s", done, total);
                add_rate(&numbers, line, now_ms);
                strbuf_addf(&text, "%s  ", line->id);
                add_bar(&text, line,
                        columns > text.len + numbers.len ? columns - text.len - numbers.len : 0);
                strbuf_adds(&text, strbuf_str(&numbers));
        } else {
                strbuf_addf(&text, "%s  %-10s %s", line->id,
                            streq(line->state, "present") ? "have it" : line->state, total);
        }
        strbuf_add(out, strbuf_str(&text), text_fit(strbuf_str(&text), columns));
}

static void rewind_picture(const struct layers *layers, struct strbuf *out)
{
        if (layers->drawn)
                strbuf_addf(out, "\033[%uA", layers->drawn);
}

static void show(const struct strbuf *out)
{
        struct err ignored;

        (void)fd_write_all(STDERR_FILENO, strbuf_str(out), out->len, &ignored); /* a picture */
}

/* What does not fit on the terminal is left out: lines that are over first. */
static void draw(struct layers *layers, int64_t now_ms)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(PICTURE_MAX);
        unsigned columns = 0, rows = 0, room, lines = 0;
        size_t over = 0;

        terminal_size(STDERR_FILENO, &columns, &rows);
        room = rows > 4 ? rows - 3 : 1;          /* the cursor cannot go up beyond the top */
        columns = columns > 1 ? columns - 1 : 1; /* and a line that wraps is two */
        for (size_t i = 0; i < layers->lines_len; i++)
                over += is_over(layers->lines[i].state);
        rewind_picture(layers, &out);
        for (size_t i = 0; i < layers->lines_len && lines < room; i++) {
                if (layers->lines_len > room && over && is_over(layers->lines[i].state)) {
                        over--;
                        continue;
                }
                strbuf_adds(&out, "\033[2K");
                layers_line(&layers->lines[i], columns, now_ms, &out);
                strbuf_addc(&out, '\n');
                lines++;
        }
        if (streq(layers->stage, "unpack")) {
                strbuf_addf(&out, "\033[2K%.*s\n", (int)columns, "unpacking");
                lines++;
        }
        strbuf_adds(&out, "\033[J");
        show(&out);
        layers->drawn = lines;
}

void layers_clear(struct layers *layers)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(64);

        if (!layers->live || !layers->drawn)
                return;
        rewind_picture(layers, &out);
        strbuf_adds(&out, "\033[J");
        show(&out);
        layers->drawn = 0;
}

static void tell_plain(struct layers *layers, struct layer_line *line)
{
        char total[16];

        if (layers->live || line->told || !is_over(line->state))
                return;
        line->told = true;
        size_text(line->total, total);
        (void)fprintf(stderr, "%s: %s (%s)\n", line->id,
                      streq(line->state, "present") ? "have it" : line->state, total);
}

static void update_line(struct layers *layers, const json_t *item)
{
        struct layer_line *line = find_line(layers, json_str(item, "layer", ""));
        AUTO_FREE char *state = text_safe(json_str(item, "state", ""));

        if (!line)
                return;
        if (!line->began_ms && streq(state, "download")) {
                line->began_ms = clock_mono_ms();
                line->began_done = json_int(item, "done", 0);
        }
        line->done = json_int(item, "done", 0);
        line->total = json_int(item, "total", 0);
        (void)snprintf(line->state, sizeof(line->state), "%.15s", state); /* cut is fine */
        tell_plain(layers, line);
}

void layers_update(struct layers *layers, const json_t *item)
{
        const char *stage = json_str(item, "stage", NULL), *text = json_str(item, "notice", NULL);
        int64_t now = clock_mono_ms();

        if (layers->quiet)
                return;
        if (text) {
                AUTO_FREE char *safe = text_safe(text);

                layers_clear(layers);
                (void)fprintf(stderr, "%s\n", safe);
        }
        if (stage && !streq(stage, layers->stage)) {
                AUTO_FREE char *safe = text_safe(stage);

                (void)snprintf(layers->stage, sizeof(layers->stage), "%.23s", safe); /* a word */
                if (!layers->live && streq(stage, "unpack"))
                        (void)fputs("unpacking\n", stderr);
        }
        if (json_str(item, "layer", NULL))
                update_line(layers, item);
        if (layers->live && (now - layers->drawn_ms >= REDRAW_MS || stage)) {
                layers->drawn_ms = now;
                draw(layers, now);
        }
}

void layers_release(struct layers *layers)
{
        free(layers->lines);
        *layers = (struct layers){0};
}
