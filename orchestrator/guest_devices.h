/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices a service has in its guest, as mounts of the guest's configuration. */
#ifndef ORCHESTRATOR_GUEST_DEVICES_H
#define ORCHESTRATOR_GUEST_DEVICES_H

#include "schema/manifest.h"
#include "vz/guest.h"

/**
 * Add those of `devices:`, and with `privileged: true` all there are, where no other mount of the
 * service is.
 * mounts, len: an array of base/mem.h that grows; its strings are the service's, or constant.
 */
void guest_devices_add(const struct service *service, struct guest_mount **mounts, size_t *len);

#endif
