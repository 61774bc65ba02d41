/* SPDX-License-Identifier: Apache-2.0 */
/* What a service mounts: volumes, host folders, tmpfs; short ("data:/var/lib/x:ro") and long. */
#ifndef SCHEMA_MOUNT_H
#define SCHEMA_MOUNT_H

#include "schema/field.h"

/* Of one service. */
#define MOUNTS_MAX 256

extern const struct kind kind_mounts; /* struct service: volumes */
extern const struct kind kind_tmpfs;  /* struct service: volumes, written by kind_mounts */

/** path made absolute against the reader's folder; "~" is HOME; in the arena. */
const char *reader_resolve_path(struct reader *r, const struct mark *mark, const char *path);

/** A finding when no VM may see that path of the host. */
void mount_check_bind(struct reader *r, const struct mark *mark, const char *path);

#endif
