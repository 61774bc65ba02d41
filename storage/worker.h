/* SPDX-License-Identifier: Apache-2.0 */
/* What job.c (daemon) and worker.c (worker) must agree on. */
#ifndef STORAGE_WORKER_H
#define STORAGE_WORKER_H

#define WORKER_OPTION     "--storage-worker"
#define WORKER_FD_INPUT   3
#define WORKER_FD_STAGING 4
#define WORKER_UID        65534 /* nobody */
#define WORKER_GID        65534
#define WORKER_LINE_MAX   (4u << 20) /* bytes of one line of output */

#endif
