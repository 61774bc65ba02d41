/* SPDX-License-Identifier: Apache-2.0 */
/* Which QEMU there is: asked of the program itself, once, when somebody wants to know. */
#ifndef ORCHESTRATOR_QEMU_VERSION_H
#define ORCHESTRATOR_QEMU_VERSION_H

#include <ev.h>

struct qemu_version;

/* Somebody who waits for it. */
struct qemu_version_wait {
        struct qemu_version_wait *next;
        /* Once, maybe before qemu_version_ask() returns; "" when the program does not say. */
        void (*on_version)(struct qemu_version_wait *wait, const char *version);
};

/** program: a path or a name in PATH; copied. */
struct qemu_version *qemu_version_new(struct ev_loop *loop, const char *program);
void qemu_version_free(struct qemu_version *version);

/** Ask. wait: borrowed until on_version or qemu_version_forget(). */
void qemu_version_ask(struct qemu_version *version, struct qemu_version_wait *wait);
void qemu_version_forget(struct qemu_version *version, const struct qemu_version_wait *wait);

#endif
