/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a QEMU ended, from the traces that it leaves: pure. A guest that resets, powers off or panics
 * looks the same to QEMU (-no-reboot ends it), so the console's last words decide between these.
 * They come from the guest and can lie; they are for people, nothing depends on their truth.
 */
#ifndef VZ_VM_END_H
#define VZ_VM_END_H

#include <stdbool.h>
#include <stddef.h>

#include "vz/vm.h"

/* How much of the console's end is looked at, and how long a message may be. */
#define VM_END_TAIL_MAX    (16 << 10)
#define VM_END_MESSAGE_MAX 256

struct vm_end_traces {
        const char *console; /* its end; any bytes */
        size_t console_len;
        bool killed_by_us; /* vm_kill, and why if given */
        const char *kill_reason;
        bool status_known; /* our child: wait_status is valid */
        int wait_status;
        bool shutdown_seen; /* QMP said SHUTDOWN by the guest */
};

/** Decide; message: one printable line of at most VM_END_MESSAGE_MAX bytes with its NUL. */
enum vm_end vm_end_decide(const struct vm_end_traces *traces, char message[VM_END_MESSAGE_MAX]);

/** The end of DIR/console.log into buf: its length, 0 when there is none. */
size_t vm_end_read_console(const char *dir, char *buf, size_t size);

#endif
