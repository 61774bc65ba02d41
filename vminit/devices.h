/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_DEVICES_H
#define VMINIT_DEVICES_H

#include "vminit/fail.h"

/*
 * The virtio-mmio slots of the VM. A clone of a template was booted while all slots but the first
 * were empty: the driver found nothing there and let go. Its devices are in those slots now, and
 * binding makes the driver look again; only then it reads sizes, serials and MAC addresses.
 */

/**
 * Bind one slot, unless it has its driver. 0, or -errno; ENODEV: nothing is there.
 */
int devices_bind_slot(unsigned slot);

/**
 * Bind those slots of a mask that have no driver yet, the lowest first. In a VM that booted with
 * its devices all have one.
 */
int devices_bind(unsigned mask, struct fail *f);

/**
 * Take the drivers off the devices in these slots again.
 */
int devices_unbind(unsigned mask, struct fail *f);

#endif
