/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of a service. A VM has none of the host's; what its own kernel makes out of nothing, a
 * tunnel (/dev/net/tun) and file systems of programs (/dev/fuse), is there for those that ask.
 */
#ifndef SCHEMA_DEVICE_H
#define SCHEMA_DEVICE_H

#include "schema/field.h"

/* Of one service. */
#define DEVICES_MAX 32

/* Their names, as sources; all that vminit knows. Ended by NULL. */
extern const char *const device_sources[];

extern const struct kind kind_devices; /* struct service: devices */

#endif
