/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of one layer: from a process that reads its blob (layer_send.h), while who asks for
 * them does something else with those that came. For the worker that makes disks.
 */
#ifndef STORAGE_LAYER_SOURCE_H
#define STORAGE_LAYER_SOURCE_H

#include <sys/types.h>

#include "base/err.h"
#include "storage/limits.h"
#include "storage/wire.h"

struct layer_source {
        pid_t pid; /* 0: none */
        int fd;
        struct wire_in in;
};

/** Start to read a blob (borrowed for the call). */
int layer_source_start(struct layer_source *source, int blob, const struct image_limits *limits,
                       struct err *err);

/** The next frame; a FAIL becomes an error. 1: the process ended before END. */
int layer_source_next(struct layer_source *source, struct wire_frame *ret, struct err *err);

/** End the process, if there is one. */
void layer_source_stop(struct layer_source *source);

#endif
