/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine has. */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#include <stdbool.h>
#include <stdint.h>

/** Bytes of memory that can be had without swapping (MemAvailable); 0: /proc does not say. */
int64_t host_memory_available(void);

/** Whether bytes can be taken for what nobody waits for: twice as many and 256 MiB are there. */
bool host_memory_spare(int64_t bytes);

/** Bytes of memory in all. */
int64_t host_memory_total(void);

#endif
