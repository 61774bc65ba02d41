/* SPDX-License-Identifier: Apache-2.0 */
/* The rate of the host's time stamp counter, which guests of an emulated CPU see unchanged. */
#ifndef VZ_TSC_H
#define VZ_TSC_H

/**
 * Measure it against CLOCK_MONOTONIC_RAW; takes about 2 ms of busy waiting.
 * 0: there is none, or no two readings were close enough together.
 */
unsigned tsc_measure_khz(void);

#endif
