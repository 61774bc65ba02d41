/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DIR/vm.json: what a later daemon must know to take over the QEMU of this folder. It is written
 * before QEMU starts (without a pid) and again as soon as the pid is known: killed in between, the
 * next daemon asks the QMP socket who serves it.
 */
#ifndef VZ_VM_FILE_H
#define VZ_VM_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "vz/vm.h"

#define VM_FILE_VERSION 1
#define VM_BOOT_ID_MAX  40

struct vm_file {
        char boot_id[VM_BOOT_ID_MAX]; /* of the host: pid and times mean nothing after a reboot */
        pid_t pid;                    /* 0: not known yet */
        uint64_t start_time;          /* of the process, in ticks; 0: not known yet */
        enum vm_accel accel;
        int64_t memory_bytes;
        unsigned cpus;
        int64_t spawned_ns; /* CLOCK_MONOTONIC */
        enum vm_birth birth;
};

/** The host's boot id. */
int vm_file_boot_id(char ret[VM_BOOT_ID_MAX], struct err *err);

/** Write dir/vm.json at once. */
int vm_file_write(const char *dir, const struct vm_file *file, struct err *err);

/** Read dir/vm.json. ENOENT: there is none. EINVAL: it is not one of ours; err names the member. */
int vm_file_read(const char *dir, struct vm_file *ret, struct err *err);

#endif
