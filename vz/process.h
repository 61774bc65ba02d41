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
#include "base/leash.h"
#include "vz/machine.h"

/* How much less a waiting machine counts than others until it is claimed; where nobody may take
 * that back (an ordinary user) it is not done. 10 is a tenth of the processor beside one that
 * works. */
#define PROCESS_NICE 10

struct vm_process {
        pid_t pid;
        int pidfd;  /* owned */
        bool child; /* ours to reap */
        enum vm_accel accel;
        enum vm_birth birth;
        int64_t spawned_ns; /* CLOCK_MONOTONIC */
};

/* How to start it; descriptors are borrowed, -1 where the role has none. */
struct process_mode {
        enum machine_role role;
        int memory_fd;    /* a template's or clone's */
        int state_fd;     /* a clone's; a description of its own, at the start */
        unsigned tsc_khz; /* a clone's: its template's; a template's: measured by its maker */
        const char
                *boot_log;   /* a clone's: what its kernel said when the template booted; or NULL */
        const char *preload; /* a clone's: see templates_env; NULL: it gives no memory back */
        const struct leash *leash; /* a waiting machine's; NULL: none */
};

/**
 * vm_start's blocking part: sockets, description, spawn. mode: NULL: a cold boot. On failure
 * nothing is left running. A template's process dies with us: nobody would take it over.
 */
int process_launch(const struct vm_spec *spec, const struct process_mode *mode,
                   struct vm_process *ret, struct err *err);

/** All threads of a process that was started in the background count as others do. */
void process_hurry(pid_t pid);

/** Find the live process of dir/vm.json. ESRCH: it is gone; err has its last trace. */
int process_find(const char *dir, struct vm_process *ret, struct err *err);

#endif
