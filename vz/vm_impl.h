/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct vm, shared by vm.c (its states), vm_start.c (how it comes to life, and what
 * takes the place of one that does not) and vm_claim.c. template_build.c and pool.c make VMs that
 * are not services and use the functions; nobody else includes this.
 */
#ifndef VZ_VM_IMPL_H
#define VZ_VM_IMPL_H

#include "base/loop.h"
#include "vz/process.h"
#include "vz/vm.h"

struct qmp;

/* From a clone's start to vm_confirm(); about 0.1 s on a machine with nothing else to do. */
#define VM_DOUBT_MS 15000
/* For QEMU to load the state of a clone, or to exchange a disk. */
#define VM_COMMAND_MS 10000

enum vm_step { VM_STARTING, VM_RESTORING, VM_CLAIMED, VM_UP, VM_GONE, VM_STEPS };

enum vm_event {
        VM_QMP_READY,
        VM_QMP_CLOSED, /* QEMU hung up, mostly because it ends */
        VM_QMP_BROKEN, /* silence or nonsense */
        VM_SHUTDOWN,
        VM_RESUME,  /* a clone's guest runs */
        VM_SWAPPED, /* a claimed machine has its disks */
        VM_KILL,
        VM_EXITED,
        VM_EVENTS
};

struct vm {
        struct ev_loop *loop;
        enum vm_step step;
        struct vm_process process;
        struct loop_child child;
        struct qmp *qmp;
        ev_stat console;
        char *dir, *console_path;
        char kill_reason[160]; /* "" : on request */
        bool killed, unwanted, shutdown_seen;
        struct vm_spec *again; /* until vm_confirm(): what to start when this one does not live */
        ev_timer doubt;
        char birth_reason[160];
        struct leash leash; /* of a machine of the pool */
        unsigned swaps;     /* answers that a claim waits for */
        int64_t up_ns;
        struct vm_events events;
};

/** vm_start with a mode. NULL: a cold boot. */
int vm_start_as(struct ev_loop *loop, const struct vm_spec *spec, const struct process_mode *mode,
                const struct vm_events *events, struct vm **ret_vm, struct err *err);

/** The conversation with QEMU between on_up and on_end; NULL when it was lost. Borrowed. */
struct qmp *vm_qmp(const struct vm *vm);

/** A VM without a process; and its process, started or found: it is watched, QMP is connected. */
struct vm *vm_new(struct ev_loop *loop, const char *dir, const struct vm_events *events);
void vm_watch(struct vm *vm, const struct vm_process *process);

/** Kill and free it; nobody is told. */
void vm_discard(struct vm *vm);

/** It is in another folder now. */
void vm_set_dir(struct vm *vm, const char *dir);

/** Something happened: the table of vm.c says what follows. */
void vm_happen(struct vm *vm, enum vm_event event);

/** Kill it for a reason that its end, or the event of its successor, tells. */
void vm_kill_because(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** The process is gone: start what comes instead. false: there is nothing, this is the end. */
bool vm_start_over(struct vm *vm);

/**
 * Make a machine of the pool the one that spec describes: its folder, priority and disks. vm: UP;
 * on_up of events tells when it has them. <0: it is as before or broken, to be freed and replaced.
 */
int vm_claim(struct vm *vm, const struct vm_spec *spec, const struct vm_events *events,
             struct err *err);

#endif
