/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a vm_spec to QEMU's command line: pure, so that golden files can show every machine that is
 * ever started. It knows no processes and opens nothing; descriptors have fixed numbers in QEMU.
 *
 * The machine is QEMU's microvm without ACPI, PCI, PIT, PIC and serial port: eight virtio-mmio
 * slots that the guest learns of by command line. Slot 0 is virtio-serial (console and guest
 * channel), the rest take disks, network cards and shares in this order. Every device names its
 * bus: saved machines can only be restored when a device keeps its slot.
 */
#ifndef VZ_MACHINE_H
#define VZ_MACHINE_H

#include "vz/vm.h"

/* Without ACPI microvm has 8 slots; virtio-serial takes one. */
#define MACHINE_SLOTS       8
#define MACHINE_DEVICES_MAX (MACHINE_SLOTS - 1)

/* Descriptor numbers inside QEMU; standard error is the console log too, for QEMU's own words. */
enum machine_fd {
        MACHINE_FD_QMP = 3,     /* listening socket */
        MACHINE_FD_GUEST = 4,   /* listening socket */
        MACHINE_FD_CONSOLE = 5, /* open for appending */
        MACHINE_FD_DISK = 10,   /* and following, in the order of vm_spec.disks */
        MACHINE_FD_TAP = 20,    /* and following, in the order of vm_spec.nics */
};

/**
 * The argument vector (argv[0] is the program), NULL at its end, for machine_argv_free().
 * tsc_khz: rate of the host's time stamp counter, which a TCG guest sees unchanged; 0: unknown,
 * then the machine gets a PIT and the guest measures. Ignored with KVM. EINVAL: the spec describes
 * no machine; err names the item and what would fit.
 */
int machine_argv(const struct vm_spec *spec, unsigned tsc_khz, char ***ret_argv, struct err *err);

/** Free a vector and its strings; NULL is fine. */
void machine_argv_free(char **argv);

#endif
