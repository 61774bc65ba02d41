/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/vm.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "vz/qmp.h"
#include "vz/spec.h"
#include "vz/template.h"
#include "vz/vm_end.h"
#include "vz/vm_impl.h"

/* A guest can print without end; a boot has 10 KiB. */
#define CONSOLE_MAX (1 << 20)
#define CONSOLE_CUT "[berth: the console log was over 1 MiB; what was above this line is dropped]\n"

/* From a clone's start to vm_confirm(); about 0.1 s on a machine with nothing else to do. */
#define DOUBT_MS 15000
/* For QEMU to load the state of a clone. */
#define RESTORE_MS 10000

enum state { STARTING, RESTORING, UP, GONE, STATES };

enum event {
        QMP_READY,
        QMP_CLOSED, /* QEMU hung up, mostly because it ends */
        QMP_BROKEN, /* silence or nonsense */
        QMP_SHUTDOWN,
        QMP_RESUME, /* a clone's guest runs */
        KILL,
        EXITED,
        EVENTS
};

struct vm {
        struct ev_loop *loop;
        enum state state;
        struct vm_process process;
        struct loop_child child;
        struct qmp *qmp;
        ev_stat console;
        char *dir, *console_path;
        char kill_reason[160]; /* "" : on request */
        bool killed, unwanted, shutdown_seen;
        struct vm_spec *again; /* a clone's until vm_confirm(): to boot it instead */
        ev_timer doubt;
        char cold_reason[160];
        int64_t up_ns;
        struct vm_events events;
};

static int connect_qmp(struct vm *vm, struct err *err);
static void on_process_exit(struct loop_child *child);
static void kill_qemu(struct vm *vm);

static void settle(struct vm *vm)
{
        ev_timer_stop(vm->loop, &vm->doubt);
        spec_free(STEAL(vm->again));
}

static void tell_end(struct vm *vm)
{
        AUTO_FREE char *console = xcalloc(1, VM_END_TAIL_MAX);
        struct vm_end_traces traces = {.console = console,
                                       .killed_by_us = vm->killed,
                                       .kill_reason = *vm->kill_reason ? vm->kill_reason : NULL,
                                       .shutdown_seen = vm->shutdown_seen};
        char message[VM_END_MESSAGE_MAX];
        enum vm_end how;

        if (vm->process.child)
                traces.status_known = spawn_reap(vm->process.pid, &traces.wait_status, NULL) == 0;
        loop_child_stop(vm->loop, &vm->child);
        qmp_free(STEAL(vm->qmp));
        ev_stat_stop(vm->loop, &vm->console);
        traces.console_len = vm_end_read_console(vm->dir, console, VM_END_TAIL_MAX);
        how = vm_end_decide(&traces, message);
        if (vm->events.on_end)
                vm->events.on_end(vm, how, message, vm->events.ctx);
}

/* Watch a process that was started or found, and talk to it. */
static void watch_process(struct vm *vm, const struct vm_process *process)
{
        struct err why = ERR_INIT;
        int r;

        vm->process = *process;
        loop_child_start(vm->loop, &vm->child, process->pidfd, on_process_exit);
        r = connect_qmp(vm, &why);
        /* Refused: QEMU is on its way out already, and its own words will come with its end. */
        if (r < 0 && r != -ECONNREFUSED && vm->state == STARTING) {
                (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason), "%.150s", why.msg);
                kill_qemu(vm);
        }
}

/*
 * The clone is dead. What it says about its end goes to the template store; the VM starts over as
 * if nothing had been. Only once: the second process is not a clone.
 */
static void boot_instead(struct vm *vm)
{
        AUTO_FREE char *console = xcalloc(1, VM_END_TAIL_MAX);
        struct vm_process process = {.pidfd = -1};
        struct vm_end_traces traces = {.console = console,
                                       .killed_by_us = vm->killed,
                                       .kill_reason = *vm->kill_reason ? vm->kill_reason : NULL};
        struct vm_spec *spec = STEAL(vm->again);
        char message[VM_END_MESSAGE_MAX];
        struct err err = ERR_INIT;

        ev_timer_stop(vm->loop, &vm->doubt);
        traces.status_known = spawn_reap(vm->process.pid, &traces.wait_status, NULL) == 0;
        traces.console_len = vm_end_read_console(vm->dir, console, VM_END_TAIL_MAX);
        (void)vm_end_decide(&traces, message); /* the text says it all */
        (void)snprintf(vm->cold_reason, sizeof(vm->cold_reason), "the clone failed: %.130s",
                       message);
        templates_distrust(spec->templates, spec->memory_bytes, spec->cpus, message);
        loop_child_stop(vm->loop, &vm->child);
        qmp_free(STEAL(vm->qmp));
        vm->killed = vm->shutdown_seen = false;
        vm->kill_reason[0] = '\0';
        if (process_launch(spec, NULL, &process, &err) == 0) {
                vm->state = STARTING;
                watch_process(vm, &process);
        } else {
                vm->process.child = false; /* it is reaped */
                vm->killed = true;
                (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason), "%.150s", err.msg);
                tell_end(vm);
        }
        spec_free(spec);
}

static void end(struct vm *vm)
{
        if (vm->again && !vm->unwanted)
                boot_instead(vm);
        else
                tell_end(vm);
}

static void up(struct vm *vm)
{
        vm->up_ns = clock_mono_ns();
        if (vm->events.on_up)
                vm->events.on_up(vm, vm->events.ctx);
}

static void on_restore_answer(void *ctx, const json_t *value, const struct err *err)
{
        struct vm *vm = ctx;

        if (value || vm->state != RESTORING)
                return;
        (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason), "it could not be restored: %.120s",
                       err->msg);
        kill_qemu(vm);
}

/* QMP answers: a clone is given its template's device state, and runs as soon as it has it. */
static void ready(struct vm *vm)
{
        AUTO_FREE char *uri = xasprintf("fd:%d", MACHINE_FD_STATE);
        json_t *caps = json_object(), *incoming = json_object();
        json_t *cap = json_object(), *list = json_array();

        json_set_str(cap, "capability", "x-ignore-shared");
        json_set_bool(cap, "state", true);
        json_array_append_new(list, cap);
        json_object_set_new(caps, "capabilities", list);
        json_set_str(incoming, "uri", uri);
        /* A failure here is one of the conversation: its end tells. */
        (void)qmp_execute(vm->qmp, "migrate-set-capabilities", caps, RESTORE_MS, on_restore_answer,
                          vm, NULL);
        (void)qmp_execute(vm->qmp, "migrate-incoming", incoming, RESTORE_MS, on_restore_answer, vm,
                          NULL);
}

static void drop_qmp(struct vm *vm)
{
        qmp_free(STEAL(vm->qmp));
}

static void kill_qemu(struct vm *vm)
{
        vm->killed = true;
        /* ESRCH: it is gone already, and its pidfd will tell */
        (void)fd_pidfd_signal(vm->process.pidfd, SIGKILL, NULL);
}

/* A QEMU that never spoke is of no use to anyone. */
static void give_up(struct vm *vm)
{
        drop_qmp(vm);
        kill_qemu(vm);
}

static void kill_unwanted(struct vm *vm)
{
        vm->unwanted = true;
        kill_qemu(vm);
}

static void note_shutdown(struct vm *vm)
{
        vm->shutdown_seen = true;
}

static void nothing(struct vm *vm)
{
        (void)vm;
}

static const struct {
        enum state next;
        void (*action)(struct vm *vm);
} table[STATES][EVENTS] = {
        [STARTING] = {[QMP_READY] = {UP, up},
                      [QMP_CLOSED] = {STARTING, drop_qmp}, /* how it ends says more */
                      [QMP_BROKEN] = {STARTING, give_up},
                      [QMP_SHUTDOWN] = {STARTING, note_shutdown},
                      [QMP_RESUME] = {STARTING, nothing},
                      [KILL] = {STARTING, kill_unwanted},
                      [EXITED] = {GONE, end}},
        [RESTORING] = {[QMP_READY] = {RESTORING, ready},
                       [QMP_CLOSED] = {RESTORING, drop_qmp},
                       [QMP_BROKEN] = {RESTORING, give_up},
                       [QMP_SHUTDOWN] = {RESTORING, note_shutdown},
                       [QMP_RESUME] = {UP, up},
                       [KILL] = {RESTORING, kill_unwanted},
                       [EXITED] = {GONE, end}},
        [UP] = {[QMP_READY] = {UP, up}, /* after an adoption */
                [QMP_CLOSED] = {UP, drop_qmp},
                [QMP_BROKEN] = {UP, drop_qmp}, /* only the reason of its end may get lost */
                [QMP_SHUTDOWN] = {UP, note_shutdown},
                [QMP_RESUME] = {UP, nothing},
                [KILL] = {UP, kill_unwanted},
                [EXITED] = {GONE, end}},
        [GONE] = {[QMP_READY] = {GONE, nothing},
                  [QMP_CLOSED] = {GONE, nothing},
                  [QMP_BROKEN] = {GONE, nothing},
                  [QMP_SHUTDOWN] = {GONE, nothing},
                  [QMP_RESUME] = {GONE, nothing},
                  [KILL] = {GONE, nothing},
                  [EXITED] = {GONE, nothing}},
};

/* The state changes first: an action may end in the owner's callback, which may free the vm. */
static void happen(struct vm *vm, enum event event)
{
        void (*action)(struct vm *) = table[vm->state][event].action;

        assert(action);
        vm->state = table[vm->state][event].next;
        action(vm);
}

static void on_qmp_ready(void *ctx)
{
        happen(ctx, QMP_READY);
}

static void on_qmp_event(void *ctx, const char *name, const json_t *data)
{
        if (streq(name, "SHUTDOWN") && json_bool(data, "guest", false))
                happen(ctx, QMP_SHUTDOWN);
        else if (streq(name, "RESUME"))
                happen(ctx, QMP_RESUME);
}

static void on_qmp_close(void *ctx, const struct err *err)
{
        struct vm *vm = ctx;

        bool closed = err->code == EPIPE || err->code == ECONNRESET;

        if ((vm->state == STARTING || vm->state == RESTORING) && !closed)
                (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason),
                               "QEMU did not start: %.120s", err->msg);
        happen(vm, closed ? QMP_CLOSED : QMP_BROKEN);
}

static const struct qmp_events qmp_events = {on_qmp_ready, on_qmp_event, on_qmp_close};

static void on_process_exit(struct loop_child *child)
{
        happen(container_of(child, struct vm, child), EXITED);
}

static void on_doubt_late(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct vm *vm = container_of(w, struct vm, doubt);

        (void)loop;
        (void)revents;
        (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason), "it said nothing for %d s",
                       DOUBT_MS / 1000);
        kill_qemu(vm);
}

/* QEMU appends, so it goes on at the new end. */
static void on_console_change(struct ev_loop *loop, ev_stat *w, int revents)
{
        struct vm *vm = container_of(w, struct vm, console);
        AUTO_CLOSE int fd = -1;

        (void)loop;
        (void)revents;
        if (w->attr.st_nlink == 0 || w->attr.st_size <= CONSOLE_MAX)
                return;
        fd = open(vm->console_path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || ftruncate(fd, 0) < 0)
                return; /* tried again at the next change */
        (void)fd_write_all(fd, CONSOLE_CUT, sizeof(CONSOLE_CUT) - 1, NULL); /* it is only a note */
}

static struct vm *vm_new(struct ev_loop *loop, const char *dir, const struct vm_events *events)
{
        struct vm *vm = xnew(struct vm);

        vm->loop = loop;
        vm->events = *events;
        vm->dir = xstrdup(dir);
        vm->console_path = file_join(dir, "console.log");
        ev_stat_init(&vm->console, on_console_change, vm->console_path, 0.0);
        ev_stat_start(loop, &vm->console);
        ev_timer_init(&vm->doubt, on_doubt_late, DOUBT_MS / 1e3, 0.0);
        return vm;
}

static int connect_qmp(struct vm *vm, struct err *err)
{
        AUTO_FREE char *socket = file_join(vm->dir, "qmp.sock");

        return qmp_connect(vm->loop, socket, &qmp_events, vm, &vm->qmp, err);
}

int vm_start_as(struct ev_loop *loop, const struct vm_spec *spec, const struct process_mode *mode,
                const struct vm_events *events, struct vm **ret_vm, struct err *err)
{
        struct vm_process process = {.pidfd = -1};
        int r = process_launch(spec, mode, &process, err);

        if (r < 0)
                return r;
        *ret_vm = vm_new(loop, spec->dir, events);
        if (process.clone)
                (*ret_vm)->state = RESTORING;
        watch_process(*ret_vm, &process);
        return 0;
}

/* 1: not as a clone, reason says why not. */
static int start_clone(struct ev_loop *loop, const struct vm_spec *spec,
                       const struct vm_events *events, struct vm **ret_vm, char reason[160])
{
        struct process_mode mode = {MACHINE_CLONE, -1, -1, 0, NULL};
        struct vm_spec *again = NULL;
        struct err err = ERR_INIT;
        const char *why = "";
        int r = templates_clone(spec->templates, spec, &mode, &why);

        if (r > 0) {
                (void)snprintf(reason, 160, "%s", why);
                return 1;
        }
        r = spec_copy(spec, &again, &err);
        if (r == 0)
                r = vm_start_as(loop, spec, &mode, events, ret_vm, &err);
        (void)close(mode.memory_fd); /* QEMU has its own copies */
        (void)close(mode.state_fd);
        if (r < 0) {
                (void)snprintf(reason, 160, "%.150s", err.msg);
                spec_free(again);
                return 1;
        }
        (*ret_vm)->again = again;
        ev_timer_start(loop, &(*ret_vm)->doubt);
        return 0;
}

int vm_start(struct ev_loop *loop, const struct vm_spec *spec, const struct vm_events *events,
             struct vm **ret_vm, struct err *err)
{
        char reason[160] = "";
        int r = 1;

        if (spec->templates)
                r = start_clone(loop, spec, events, ret_vm, reason);
        if (r == 0)
                return 0;
        r = vm_start_as(loop, spec, NULL, events, ret_vm, err);
        if (r == 0)
                memcpy((*ret_vm)->cold_reason, reason, sizeof(reason));
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
        (*ret_vm)->state = UP;
        watch_process(*ret_vm, &process);
        return 0;
}

void vm_confirm(struct vm *vm)
{
        settle(vm);
}

struct vm_birth vm_birth(const struct vm *vm)
{
        return (struct vm_birth){vm->process.clone, vm->cold_reason};
}

struct qmp *vm_qmp(const struct vm *vm)
{
        return vm->qmp;
}

void vm_kill(struct vm *vm)
{
        happen(vm, KILL);
}

static void destroy(void *p)
{
        struct vm *vm = p;

        free(vm->dir);
        free(vm->console_path);
        free(vm);
}

void vm_free(struct vm *vm)
{
        if (!vm)
                return;
        vm->state = GONE;
        settle(vm);
        qmp_free(STEAL(vm->qmp));
        loop_child_stop(vm->loop, &vm->child);
        ev_stat_stop(vm->loop, &vm->console);
        loop_defer_free(vm->loop, destroy, vm);
}

pid_t vm_pid(const struct vm *vm)
{
        return vm->process.pid;
}

enum vm_accel vm_accel(const struct vm *vm)
{
        return vm->process.accel;
}

const char *vm_dir(const struct vm *vm)
{
        return vm->dir;
}

int64_t vm_spawned_ns(const struct vm *vm)
{
        return vm->process.spawned_ns;
}

int64_t vm_up_ns(const struct vm *vm)
{
        return vm->up_ns;
}

const char *vm_accel_name(enum vm_accel accel)
{
        return accel == ACCEL_KVM ? "kvm" : "tcg";
}
