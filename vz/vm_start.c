/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a VM comes to life: claimed from the pool, as a clone of a template, by a boot. Each is
 * replaced by the next when it cannot be had or does not live; none is tried twice.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/spawn.h"
#include "vz/pool.h"
#include "vz/qmp.h"
#include "vz/spec.h"
#include "vz/template.h"
#include "vz/vm_end.h"
#include "vz/vm_impl.h"

int vm_start_as(struct ev_loop *loop, const struct vm_spec *spec, const struct process_mode *mode,
                const struct vm_events *events, struct vm **ret_vm, struct err *err)
{
        struct vm_process process = {.pidfd = -1};
        int r = process_launch(spec, mode, &process, err);

        if (r < 0)
                return r;
        *ret_vm = vm_new(loop, spec->dir, events);
        if (mode && mode->role == MACHINE_CLONE)
                (*ret_vm)->step = VM_RESTORING;
        vm_watch(*ret_vm, &process);
        return 0;
}

/* The first reason is the one that counts: why it is not the best it could be. */
static void note_reason(char reason[160], const char *what, const char *why)
{
        if (!*reason)
                (void)snprintf(reason, 160, "%s%.120s", what, why);
}

static void close_mode(struct process_mode *mode)
{
        (void)close(mode->memory_fd); /* QEMU has its own copies */
        (void)close(mode->state_fd);
}

/* The process of a clone. 1: there is none, reason says why not. */
static int launch_clone(const struct vm_spec *spec, struct vm_process *ret, char reason[160])
{
        struct process_mode mode;
        struct err err = ERR_INIT;
        const char *why = "";
        int r = templates_clone(spec->templates, spec, &mode, &why);

        if (r > 0) {
                note_reason(reason, "", why);
                return 1;
        }
        r = process_launch(spec, &mode, ret, &err);
        close_mode(&mode);
        if (r < 0)
                note_reason(reason, "", err.msg);
        return r < 0;
}

/* It is gone for good; what it says about its end. */
static void bury(struct vm *vm, char message[VM_END_MESSAGE_MAX])
{
        AUTO_FREE char *console = xcalloc(1, VM_END_TAIL_MAX);
        struct vm_end_traces traces = {.console = console,
                                       .killed_by_us = vm->killed,
                                       .kill_reason = *vm->kill_reason ? vm->kill_reason : NULL};

        ev_timer_stop(vm->loop, &vm->doubt);
        traces.status_known = spawn_reap(vm->process.pid, &traces.wait_status, NULL) == 0;
        traces.console_len = vm_end_read_console(vm->dir, console, VM_END_TAIL_MAX);
        (void)vm_end_decide(&traces, message); /* the text says it all */
        loop_child_stop(vm->loop, &vm->child);
        qmp_free(STEAL(vm->qmp));
        vm->killed = vm->shutdown_seen = false;
        vm->kill_reason[0] = '\0';
}

bool vm_start_over(struct vm *vm)
{
        struct vm_process process = {.pidfd = -1};
        struct vm_spec *spec = vm->again;
        bool pooled = vm->process.birth == VM_POOL;
        char message[VM_END_MESSAGE_MAX];
        struct err err = ERR_INIT;
        int r = 1;

        bury(vm, message);
        note_reason(vm->birth_reason,
                    pooled ? "the machine of the pool failed: " : "the clone failed: ", message);
        if (pooled)
                r = launch_clone(spec, &process, vm->birth_reason);
        else
                templates_distrust(spec->templates, spec->memory_bytes, spec->cpus, message);
        vm->step = r == 0 ? VM_RESTORING : VM_STARTING;
        if (r == 0)
                ev_timer_start(vm->loop, &vm->doubt);
        else
                spec = STEAL(vm->again);
        if (r > 0)
                r = process_launch(spec, NULL, &process, &err);
        if (spec != vm->again)
                spec_free(spec);
        if (r == 0) {
                vm_watch(vm, &process);
                return true;
        }
        vm->process.child = false; /* it is reaped */
        vm->killed = true;
        (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason), "%.150s", err.msg);
        vm->step = VM_GONE;
        return false;
}

/* The copy of ours takes the place of what was kept. */
static int keep_instead(int *kept, int fd, struct err *err)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
                return err_errno(err, errno, "keep a descriptor");
        (void)close(*kept); /* a tap, or a disk that nobody reads any more */
        *kept = copy;
        return 0;
}

int vm_replace(struct vm *vm, const int *tap_fds, int scratch_fd, const char *why, struct err *err)
{
        int r = 0;

        if (!vm->again)
                return err_set(err, EPIPE, "%s", why);
        for (size_t i = 0; r == 0 && i < vm->again->nics_len; i++)
                r = keep_instead(&vm->again->nics[i].tap_fd, tap_fds[i], err);
        for (size_t i = 0; r == 0 && i < vm->again->disks_len; i++)
                if (vm->again->disks[i].transient)
                        r = keep_instead(&vm->again->disks[i].fd, scratch_fd, err);
        if (r == 0)
                vm_kill_because(vm, "%.150s", why);
        return r;
}

/* 1: there is no clone to be had; reason says why. */
static int start_clone(struct ev_loop *loop, const struct vm_spec *spec,
                       const struct vm_events *events, struct vm **ret_vm, char reason[160])
{
        struct vm_process process = {.pidfd = -1};
        struct vm_spec *again = NULL;
        struct err err = ERR_INIT;

        if (spec_copy(spec, &again, &err) < 0) {
                note_reason(reason, "", err.msg);
                return 1;
        }
        if (launch_clone(spec, &process, reason) > 0) {
                spec_free(again);
                return 1;
        }
        *ret_vm = vm_new(loop, spec->dir, events);
        (*ret_vm)->step = VM_RESTORING;
        (*ret_vm)->again = again;
        ev_timer_start(loop, &(*ret_vm)->doubt);
        vm_watch(*ret_vm, &process);
        return 0;
}

/* 1: not; reason says why. The machine is ours in any case. */
static int claim(const struct vm_spec *spec, const struct vm_events *events, struct vm **ret_vm,
                 char reason[160])
{
        struct vm *vm = pool_member_take(spec->member);
        struct err err = ERR_INIT;

        if (!vm) {
                note_reason(reason, "", "the machine of the pool ended");
                return 1;
        }
        if (vm_claim(vm, spec, events, &err) < 0) {
                note_reason(reason, "the machine of the pool failed: ", err.msg);
                vm_discard(vm);
                return 1;
        }
        *ret_vm = vm;
        return 0;
}

int vm_start(struct ev_loop *loop, const struct vm_spec *spec, const struct vm_events *events,
             struct vm **ret_vm, struct err *err)
{
        char reason[160] = "";
        int r = 1;

        if (spec->reason)
                note_reason(reason, "", spec->reason);
        if (spec->member)
                r = claim(spec, events, ret_vm, reason);
        if (r > 0 && spec->templates)
                r = start_clone(loop, spec, events, ret_vm, reason);
        if (r > 0)
                r = vm_start_as(loop, spec, NULL, events, ret_vm, err);
        if (r == 0)
                memcpy((*ret_vm)->birth_reason, reason, sizeof(reason));
        return r;
}

int vm_adopt(struct ev_loop *loop, const char *dir, const struct vm_events *events,
             struct vm **ret_vm, struct err *err)
{
        struct vm_process process = {.pidfd = -1};
        int r = process_find(dir, &process, err);

        if (r < 0)
                return r;
        *ret_vm = vm_new(loop, dir, events);
        /* It was: a QMP that stays silent now is no reason to kill it. Without QMP the guest still
         * works, and its process is watched all the same. */
        (*ret_vm)->step = VM_UP;
        vm_watch(*ret_vm, &process);
        return 0;
}
