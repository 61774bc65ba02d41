/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads one layer and says what it is, in frames. It runs in a process of its own, which has the
 * layer and a pipe and nothing else: a layer that takes it over can lie about itself, and about no
 * other.
 */
#ifndef STORAGE_LAYER_SEND_H
#define STORAGE_LAYER_SEND_H

#include "storage/limits.h"

/** Read the layer at fd blob and write frames to fd out, until END or FAIL; then the process ends.
 */
void layer_send(int blob, int out, const struct image_limits *limits) __attribute__((noreturn));

#endif
