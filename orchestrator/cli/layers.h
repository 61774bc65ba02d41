/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress of a pull or push, as people see it: on a terminal a line a layer with its bar, speed
 * and time left; else plain lines, one for each layer that is done.
 */
#ifndef ORCHESTRATOR_CLI_LAYERS_H
#define ORCHESTRATOR_CLI_LAYERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

#define LAYERS_SHOWN_MAX 512

struct layer_line {
        char id[13]; /* first digits of its digest */
        char state[16];
        int64_t done, total;
        int64_t began_ms, began_done; /* when bytes began to flow */
        bool told;
};

struct layers {
        bool live, quiet;
        struct layer_line *lines;
        size_t lines_len;
        char stage[24];
        int64_t drawn_ms;
        unsigned drawn; /* lines of the last picture */
};

/** Take one object of the stream in, and show it. */
void layers_update(struct layers *layers, const json_t *item);

/** Remove the picture. */
void layers_clear(struct layers *layers);

/**
 * A layer's line as text, at most `columns` wide: its bar is what gives way first. now_ms: of
 * clock_mono_ms(), for speed and time left.
 */
void layers_line(const struct layer_line *line, unsigned columns, int64_t now_ms,
                 struct strbuf *out);

/** Free what was collected; the picture stays as it is. */
void layers_release(struct layers *layers);

#endif
