/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/strbuf.h"

/* Longest line: a message quotes an error (512) and names; the rest is cut. */
#define LOG_LINE_MAX 2048

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static enum log_level log_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
        log_max = level;
}

int log_level_parse(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
                if (strcmp(name, level_names[i]) == 0)
                        return (int)i;
        return -1;
}

void log_line(enum log_level level, const char *subsystem, const char *object, const char *fmt, ...)
{
        AUTO_STRBUF struct strbuf line = STRBUF_INIT(LOG_LINE_MAX);
        char when[CLOCK_TEXT_MAX];
        va_list ap;

        if (level > log_max)
                return;
        clock_text(clock_wall_ns(), when);
        strbuf_addf(&line, "%s %-5s %s", when, level_names[level], subsystem);
        if (*object)
                strbuf_addf(&line, " %s", object);
        strbuf_adds(&line, ": ");
        va_start(ap, fmt);
        strbuf_addv(&line, fmt, ap);
        va_end(ap);
        (void)fprintf(stderr, "%s\n", strbuf_str(&line)); /* a lost log line has no one to tell */
}
