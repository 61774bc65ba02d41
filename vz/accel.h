/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which accelerator to use. /dev/kvm that exists proves nothing, so `auto` boots our own kernel
 * once with KVM and expects vminit's hello within a deadline. The verdict is cached in cache_dir,
 * keyed by boot id and QEMU binary, and always comes with its reason.
 */
#ifndef VZ_ACCEL_H
#define VZ_ACCEL_H

#include <ev.h>

#include "base/err.h"
#include "vz/vm.h"

struct accel_verdict {
        enum vm_accel accel;
        char reason[256]; /* "kvm: /dev/kvm: the self-test guest did not start within 5 s" */
        int64_t took_ms;
        bool cached;
};

struct accel_request {
        const char *wanted; /* "auto", "kvm", "tcg" */
        const char *qemu;   /* NULL: qemu-system-x86_64 */
        const char *kernel, *initrd;
        const char *cache_dir; /* exists */
};

/**
 * Decide; cb comes once from the loop (never before this returns). kvm wanted but not usable: cb
 * with err set to the reason.
 */
int accel_decide(struct ev_loop *loop, const struct accel_request *request,
                 void (*cb)(void *ctx, const struct accel_verdict *verdict, const struct err *err),
                 void *ctx, struct err *err);

#endif
