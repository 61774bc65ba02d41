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
#include "vz/process.h"
#include "vz/qmp.h"
#include "vz/vm_end.h"

/* A guest can print without end; a boot has 10 KiB. */
#define CONSOLE_MAX (1 << 20)
#define CONSOLE_CUT "[berth: the console log was over 1 MiB; what was above this line is dropped]\n"

enum state { STARTING, UP, GONE, STATES };

enum event {
        QMP_READY,
        QMP_CLOSED, /* QEMU hung up, mostly because it ends */
        QMP_BROKEN, /* silence or nonsense */
        QMP_SHUTDOWN,
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
        bool killed, shutdown_seen;
        int64_t up_ns;
        struct vm_events events;
};

static void end(struct vm *vm)
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

static void up(struct vm *vm)
{
        vm->up_ns = clock_mono_ns();
        if (vm->events.on_up)
                vm->events.on_up(vm, vm->events.ctx);
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
                      [KILL] = {STARTING, kill_qemu},
                      [EXITED] = {GONE, end}},
        [UP] = {[QMP_READY] = {UP, up}, /* after an adoption */
                [QMP_CLOSED] = {UP, drop_qmp},
                [QMP_BROKEN] = {UP, drop_qmp}, /* only the reason of its end may get lost */
                [QMP_SHUTDOWN] = {UP, note_shutdown},
                [KILL] = {UP, kill_qemu},
                [EXITED] = {GONE, end}},
        [GONE] = {[QMP_READY] = {GONE, nothing},
                  [QMP_CLOSED] = {GONE, nothing},
                  [QMP_BROKEN] = {GONE, nothing},
                  [QMP_SHUTDOWN] = {GONE, nothing},
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
}

static void on_qmp_close(void *ctx, const struct err *err)
{
        struct vm *vm = ctx;

        bool closed = err->code == EPIPE || err->code == ECONNRESET;

        if (vm->state == STARTING && !closed)
                (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason),
                               "QEMU did not start: %.120s", err->msg);
        happen(vm, closed ? QMP_CLOSED : QMP_BROKEN);
}

static const struct qmp_events qmp_events = {on_qmp_ready, on_qmp_event, on_qmp_close};

static void on_process_exit(struct loop_child *child)
{
        happen(container_of(child, struct vm, child), EXITED);
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

static struct vm *watch(struct ev_loop *loop, const char *dir, const struct vm_process *process,
                        const struct vm_events *events)
{
        struct vm *vm = xnew(struct vm);

        vm->loop = loop;
        vm->process = *process;
        vm->events = *events;
        vm->dir = xstrdup(dir);
        vm->console_path = file_join(dir, "console.log");
        ev_stat_init(&vm->console, on_console_change, vm->console_path, 0.0);
        ev_stat_start(loop, &vm->console);
        loop_child_start(loop, &vm->child, process->pidfd, on_process_exit);
        return vm;
}

static int connect_qmp(struct vm *vm, struct err *err)
{
        AUTO_FREE char *socket = file_join(vm->dir, "qmp.sock");

        return qmp_connect(vm->loop, socket, &qmp_events, vm, &vm->qmp, err);
}

int vm_start(struct ev_loop *loop, const struct vm_spec *spec, const struct vm_events *events,
             struct vm **ret_vm, struct err *err)
{
        struct vm_process process = {.pidfd = -1};
        struct err why = ERR_INIT;
        struct vm *vm;
        int r = process_launch(spec, &process, err);

        if (r < 0)
                return r;
        vm = watch(loop, spec->dir, &process, events);
        r = connect_qmp(vm, &why);
        /* Refused: QEMU is on its way out already, and its own words will come with its end. */
        if (r < 0 && r != -ECONNREFUSED) {
                (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason), "%.150s", why.msg);
                kill_qemu(vm);
        }
        *ret_vm = vm;
        return 0;
}

int vm_adopt(struct ev_loop *loop, const char *dir, const struct vm_events *events,
             struct vm **ret_vm, struct err *err)
{
        struct vm_process process = {.pidfd = -1};
        struct vm *vm;
        int r = process_find(dir, &process, err);

        if (r < 0)
                return r;
        vm = watch(loop, dir, &process, events);
        vm->state = UP; /* it was: a QMP that stays silent now is no reason to kill it */
        /* Without QMP the guest still works, and its process is watched all the same. */
        (void)connect_qmp(vm, NULL);
        *ret_vm = vm;
        return 0;
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
