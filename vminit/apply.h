/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_APPLY_H
#define VMINIT_APPLY_H

/*
 * Turns a complete configuration into a configured guest: random pool, clock, devices, names,
 * network, sysctls, file systems, cgroup, in this order. Before it, at boot, what is the same for
 * every service; clones of a template have that already.
 */

#include "vminit/config.h"
#include "vminit/fail.h"

/**
 * lo, default sysctls, the cgroup. Makes up nothing secret: all clones share what is done here.
 */
int apply_boot(struct fail *f);

/**
 * Apply it. Once per VM; after a failure the VM is good for POWEROFF only.
 */
int apply_config(const struct config *c, struct fail *f);

/**
 * The part of it behind seed, clock and devices: names, network, sysctls, file systems, cgroup.
 */
int apply_service(const struct config *c, struct fail *f);

#endif
