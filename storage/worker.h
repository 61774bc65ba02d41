/* SPDX-License-Identifier: Apache-2.0 */
/* What job.c (daemon) and the workers must agree on. */
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

/* Does the job that a request names, after giving up what it does not need for it. */
typedef int worker_run(const json_t *request, json_t **ret, struct err *err);

/** main() of a worker: read the request, run it, answer. */
int worker_main(worker_run *run);

/** Load, import, save, unpack: progress goes to standard output. */
int archive_worker_run(const json_t *request, json_t **ret, struct err *err);

/** Pull, push, login: progress and notices go to standard output. */
int registry_worker_run(const json_t *request, json_t **ret, struct err *err);

#endif
