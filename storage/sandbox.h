/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker gives up before it looks at a byte from outside. */
#ifndef STORAGE_SANDBOX_H
#define STORAGE_SANDBOX_H

#include "base/err.h"

/**
 * For the rest of this process: no root (nobody instead), no network, no new privileges, no more
 * system calls than reading, writing and memory need, bounded memory, processor time and file size;
 * it dies with its parent. As an ordinary user it keeps that user's rights on files.
 */
int sandbox_enter(struct err *err);

/**
 * The same for the worker that makes disks: it may also fork, and copy files, so that each layer is
 * read by a process that has given up everything else:
 */
int sandbox_enter_parent(struct err *err);

/** In such a child: reading and writing what is open, memory, and no more. It dies with its parent.
 */
int sandbox_enter_child(struct err *err);

/** The same with the network: for the worker that talks to registries. */
int sandbox_enter_network(struct err *err);

#endif
