/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single files of the host for a VM: only folders can be shared, so each file gets a second name in
 * a folder that is the VM's own. Nothing beside it is seen by the guest.
 */
#ifndef ORCHESTRATOR_STAGE_H
#define ORCHESTRATOR_STAGE_H

#include "base/err.h"

/* Larger files are not copied when they cannot be linked. */
#define STAGE_COPY_MAX (64 << 20)

/**
 * Make folder/name the file source by a hard link, which shows changes on both sides. What had the
 * name is replaced. 1: it is a copy, as the file is on another file system or somebody else's;
 * changes are not seen on the other side.
 */
int stage_file(const char *folder, const char *name, const char *source, struct err *err);

#endif
