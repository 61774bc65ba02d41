/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_DEVICES_H
#define VMINIT_DEVICES_H

#include <stddef.h>

#include "vminit/fail.h"

/*
 * The virtio-mmio slots of the VM. A clone of a template was booted while all slots but the first
 * were empty: the driver found nothing there and let go. Its devices are in those slots now, and
 * binding makes the driver look again; only then it reads sizes, serials and MAC addresses.
 */

/**
 * Bind one slot, unless it has its driver. 0, or -errno; ENODEV: nothing is there.
 */
int devices_bind_slot(size_t slot);

/**
 * Bind slots 1 to n that have no driver yet. In a VM that booted with its devices all have one.
 */
int devices_bind(size_t n, struct fail *f);

/**
 * Take the drivers off the devices in slots 1 to n again.
 */
int devices_unbind(size_t n, struct fail *f);

#endif
