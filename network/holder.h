/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds a port of the host: for error texts, from /proc. */
#ifndef NETWORK_HOLDER_H
#define NETWORK_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Find the process that listens on port of ip (host byte order; 0: any address counts) and write
 * "nginx (process 712)" to ret. false: nobody, or a process that we may not look at.
 */
bool holder_find(uint32_t ip, uint16_t port, bool udp, char *ret, size_t size);

#endif
