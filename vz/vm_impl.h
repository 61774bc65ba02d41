/* SPDX-License-Identifier: Apache-2.0 */
/* Between vm.c and those who make VMs that are not services: template.c. Nobody else includes it.
 */
#ifndef VZ_VM_IMPL_H
#define VZ_VM_IMPL_H

#include "vz/process.h"
#include "vz/vm.h"

struct qmp;

/** vm_start with a mode; a MACHINE_CLONE only comes from vm_start. NULL: a cold boot. */
int vm_start_as(struct ev_loop *loop, const struct vm_spec *spec, const struct process_mode *mode,
                const struct vm_events *events, struct vm **ret_vm, struct err *err);

/** The conversation with QEMU between on_up and on_end; NULL when it was lost. Borrowed. */
struct qmp *vm_qmp(const struct vm *vm);

#endif
