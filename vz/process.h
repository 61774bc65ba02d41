/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QEMU process behind a VM: started by us (launch.c) or found by its description (adopt.c).
 * Plain data; vm.c owns one and drives it.
 */
#ifndef VZ_PROCESS_H
#define VZ_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "vz/vm.h"

struct vm_process {
        pid_t pid;
        int pidfd;  /* owned */
        bool child; /* ours to reap */
        enum vm_accel accel;
        int64_t spawned_ns; /* CLOCK_MONOTONIC */
};

/** vm_start's blocking part: sockets, description, spawn. On failure nothing is left running. */
int process_launch(const struct vm_spec *spec, struct vm_process *ret, struct err *err);

/** Find the live process of dir/vm.json. ESRCH: it is gone; err has its last trace. */
int process_find(const char *dir, struct vm_process *ret, struct err *err);

#endif
