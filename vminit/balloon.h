/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_BALLOON_H
#define VMINIT_BALLOON_H

#include <stddef.h>

#include "vminit/fail.h"

/*
 * Free page reporting: the kernel tells the host which pages are free, by a virtio balloon that
 * does nothing else, and the host takes them back.
 *
 * The balloon is in the last slot. Whether there is one the guest finds out by looking: a VM whose
 * devices need all slots has none, and neither has one of an older berth.
 */

/**
 * Have free memory reported from now on, in a VM with n devices. No balloon: nothing to do.
 */
int balloon_open(size_t n, struct fail *f);

#endif
