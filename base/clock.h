/* SPDX-License-Identifier: Apache-2.0 */
/* Time: monotonic for durations, wall clock for people and for what survives a reboot. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_MAX sizeof("2026-01-01T00:00:00.000000000Z")

/** Milliseconds and nanoseconds of CLOCK_MONOTONIC. */
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);

/** Nanoseconds and milliseconds since the epoch, UTC. */
int64_t clock_wall_ns(void);
int64_t clock_wall_ms(void);

/** RFC 3339 in UTC with nanoseconds; ret: CLOCK_TEXT_MAX bytes. */
void clock_text(int64_t wall_ns, char *ret);

/** Parse what clock_text() printed (fraction optional, up to 9 digits): 0, or -1 when malformed. */
int clock_parse(const char *text, int64_t *ret_wall_ns);

#endif
