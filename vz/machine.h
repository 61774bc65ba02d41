/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a vm_spec to QEMU's command line: pure, so that golden files can show every machine that is
 * ever started. It knows no processes and opens nothing; descriptors have fixed numbers in QEMU.
 *
 * The machine is QEMU's microvm without ACPI, PCI, PIT, PIC and serial port: eight virtio-mmio
 * slots that the guest learns of by command line. Slot 0 is virtio-serial (console and guest
 * channel), those of disks, cards and shares are wire_slots_of()'s. Every device names its bus:
 * saved machines can only be restored when a device keeps its slot.
 */
#ifndef VZ_MACHINE_H
#define VZ_MACHINE_H

#include <stdbool.h>

#include "vminit/wire.h"
#include "vz/vm.h"

/* Without ACPI microvm has 8 slots; virtio-serial takes one. */
#define MACHINE_SLOTS       WIRE_SLOTS
#define MACHINE_DEVICES_MAX VM_DEVICES_MAX

/* The last one, when no device needs it: vminit looks there (vminit/balloon.h). */
#define MACHINE_SLOT_BALLOON WIRE_SLOT_BALLOON

/* Descriptor numbers inside QEMU; standard error is the console log too, for QEMU's own words. */
enum machine_fd {
        MACHINE_FD_QMP = 3,     /* listening socket */
        MACHINE_FD_GUEST = 4,   /* listening socket */
        MACHINE_FD_CONSOLE = 5, /* open for appending */
        MACHINE_FD_MEMORY = 8,  /* a template's memory; not of a MACHINE_COLD */
        MACHINE_FD_LEASH = 6,   /* of a machine that dies with us until it is let go */
        MACHINE_FD_STATE = 9,   /* a template's device state, of a MACHINE_CLONE, at its start */
        MACHINE_FD_DISK = 10,   /* and following, in the order of vm_spec.disks */
        MACHINE_FD_TAP = 20,    /* and following, in the order of vm_spec.nics */
};

/*
 * How a machine comes to life. A template boots without devices in slots 1 to 7, in shared memory
 * that is saved; a clone has the same machine with a private copy of that memory, waits for the
 * device state (QMP migrate-incoming), and has no kernel: it is in memory already.
 */
enum machine_role { MACHINE_COLD, MACHINE_TEMPLATE, MACHINE_CLONE };

/**
 * The argument vector (argv[0] is the program), NULL at its end, for machine_argv_free().
 * balloon: what the guest frees goes back to the host, when there is a slot left; not for a
 * template. tsc_khz: rate of the host's time stamp counter, which a TCG guest sees unchanged; 0:
 * unknown, then the machine gets a PIT and the guest measures. Ignored with KVM. EINVAL: the spec
 * describes no machine; err names the item and what would fit. A clone needs its template's
 * tsc_khz.
 */
int machine_argv(const struct vm_spec *spec, enum machine_role role, bool balloon, unsigned tsc_khz,
                 char ***ret_argv, struct err *err);

/** Free a vector and its strings; NULL is fine. */
void machine_argv_free(char **argv);

#endif
