/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static int64_t clock_ns(clockid_t id)
{
        struct timespec ts;

        (void)clock_gettime(id, &ts); /* cannot fail for these two clocks */
        return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_mono_ns(void)
{
        return clock_ns(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
        return clock_mono_ns() / 1000000;
}

int64_t clock_wall_ns(void)
{
        return clock_ns(CLOCK_REALTIME);
}

int64_t clock_wall_ms(void)
{
        return clock_wall_ns() / 1000000;
}

void clock_text(int64_t wall_ns, char *ret)
{
        time_t seconds = (time_t)(wall_ns / NS_PER_S);
        struct tm tm;
        size_t used;

        (void)gmtime_r(&seconds, &tm); /* fails only for years past int */
        used = strftime(ret, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(ret + used, CLOCK_TEXT_MAX - used, ".%09dZ", (int)(wall_ns % NS_PER_S));
}

int clock_parse(const char *text, int64_t *ret_wall_ns)
{
        struct tm tm = {0};
        int64_t fraction = 0, unit = NS_PER_S;
        const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

        if (!rest)
                return -1;
        if (*rest == '.')
                for (rest++; isdigit((unsigned char)*rest) && unit > 1; rest++) {
                        unit /= 10;
                        fraction += unit * (*rest - '0');
                }
        if (strcmp(rest, "Z") != 0)
                return -1;
        *ret_wall_ns = (int64_t)timegm(&tm) * NS_PER_S + fraction;
        return 0;
}
