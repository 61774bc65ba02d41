/* SPDX-License-Identifier: Apache-2.0 */
/* What job.c (daemon) and worker.c, registry_worker.c (worker) must agree on. */
#ifndef STORAGE_WORKER_H
#define STORAGE_WORKER_H

#include "base/err.h"
#include "base/json.h"

#define WORKER_OPTION     "--storage-worker"
#define WORKER_FD_INPUT   3
#define WORKER_FD_STAGING 4
#define WORKER_FD_DISKS   5
#define WORKER_FD_MAPS    6
#define WORKER_FD_PARTIAL 7
#define WORKER_FD_READY   8
#define WORKER_UID        65534 /* nobody */
#define WORKER_GID        65534
#define WORKER_LINE_MAX   (4u << 20) /* bytes of one line of output */

/** Do a registry job; progress and notices go to standard output. Sandboxes itself. */
int registry_worker_run(const json_t *request, json_t **ret, struct err *err);

#endif
