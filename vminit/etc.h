/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_ETC_H
#define VMINIT_ETC_H

/*
 * The three files of /etc that belong to the container and not to its image: hosts, hostname,
 * resolv.conf.
 */

#include "vminit/config.h"
#include "vminit/fail.h"

/**
 * Write them into `folder`, mode 0644.
 */
int etc_write(const struct config *c, const char *folder, struct fail *f);

#endif
