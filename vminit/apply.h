/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_APPLY_H
#define VMINIT_APPLY_H

/*
 * Turns a complete configuration into a configured guest: random pool, clock, names, sysctls,
 * network, file systems, cgroup, in this order.
 */

#include "vminit/config.h"
#include "vminit/fail.h"

/**
 * Apply it. Once per VM; after a failure the VM is good for POWEROFF only.
 */
int apply_config(const struct config *c, struct fail *f);

#endif
