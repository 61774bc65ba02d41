/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QMP conversation with one QEMU, without blocking.
 *
 *   GREETING --greeting--> NEGOTIATING --capabilities--> READY --socket gone, nonsense--> CLOSED
 *
 * QEMU serves one client at a time and queues the next, so connecting works before the greeting
 * comes. Losing the conversation does no harm to QEMU. Callbacks come from the loop, never from
 * inside a qmp_* call, and may call any qmp_* function, qmp_free included. This module knows
 * neither machines nor processes.
 */
#ifndef VZ_QMP_H
#define VZ_QMP_H

#include <ev.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"

/* Commands without an answer yet; exchanging the disks of a machine takes three a disk. */
#define QMP_PENDING_MAX 32

/* How long QEMU may take to greet; 20-30 ms are usual. */
#define QMP_GREETING_MS 20000

struct qmp;

struct qmp_events {
        void (*on_ready)(void *ctx);
        void (*on_event)(void *ctx, const char *name, const json_t *data); /* data may be NULL */
        /* The conversation is over, once; commands without an answer have failed before. */
        void (*on_close)(void *ctx, const struct err *err);
};

/** The answer to a command: value, or NULL and err (EIO: QEMU's own text; ETIMEDOUT; EPIPE). */
typedef void qmp_reply(void *ctx, const json_t *value, const struct err *err);

/** Connect to a QMP socket. events: borrowed until qmp_free. <0: nobody serves it. */
int qmp_connect(struct ev_loop *loop, const char *path, const struct qmp_events *events, void *ctx,
                struct qmp **ret_qmp, struct err *err);

/** The same on a connected socket (fd: taken, also on failure). */
int qmp_attach_fd(struct ev_loop *loop, int fd, const struct qmp_events *events, void *ctx,
                  struct qmp **ret_qmp, struct err *err);

/**
 * Send a command. arguments: taken, may be NULL. reply comes once, unless qmp_free comes first.
 * ENOTCONN: not READY. EBUSY: QMP_PENDING_MAX wait already.
 */
int qmp_execute(struct qmp *qmp, const char *command, json_t *arguments, unsigned timeout_ms,
                qmp_reply *reply, void *ctx, struct err *err);

/** The same with a descriptor, which QEMU keeps a copy of (add-fd, getfd); fd: borrowed. */
int qmp_execute_fd(struct qmp *qmp, const char *command, json_t *arguments, int fd,
                   unsigned timeout_ms, qmp_reply *reply, void *ctx, struct err *err);

/** Hang up; no callback comes from here on. NULL is fine. */
void qmp_free(struct qmp *qmp);
AUTO_TYPE(qmp)

#endif
