/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_REHEARSE_H
#define VMINIT_REHEARSE_H

/*
 * A rehearsal of a service's start, for a VM that waits in the host's pool: devices are bound, file
 * systems mounted, a network card configured and a program executed and reaped, as it will be done
 * once the real configuration comes. What it leaves behind is warm code in the processor (an
 * emulator keeps what it translated) and in the caches, and nothing else: it is done by a child
 * with its own memory, mounts, names and network, with placeholder disks that the host exchanges,
 * and it reads neither the boot id nor hands random bytes to anybody who stays. The seed still
 * comes before the service.
 */

#include "vminit/init.h"

/** The argument that vminit's program gets when it plays the service; it does nothing then. */
#define REHEARSE_ARGUMENT "berth-rehearsal"

/**
 * Begin. Ends in rehearse_ended(); a failure to begin is told to the host in the same way.
 */
void rehearse_start(struct init *in);

/**
 * A child was reaped: if it is the rehearsal's, note how it went and tell the host.
 */
void rehearse_reaped(struct init *in, pid_t pid, int status);

#endif
