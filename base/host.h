/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine has. */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#include <stdint.h>

/** Bytes of memory that can be had without swapping (MemAvailable); 0: /proc does not say. */
int64_t host_memory_available(void);

/** Bytes of memory in all. */
int64_t host_memory_total(void);

#endif
