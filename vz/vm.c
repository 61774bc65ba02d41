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
#include "vz/vm_end.h"
#include "vz/vm_impl.h"

/* A guest can print without end; a boot has 10 KiB. */
#define CONSOLE_MAX (1 << 20)
#define CONSOLE_CUT "[berth: the console log was over 1 MiB; what was above this line is dropped]\n"

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
void vm_watch(struct vm *vm, const struct vm_process *process)
{
        struct err why = ERR_INIT;
        int r;

        vm->process = *process;
        loop_child_start(vm->loop, &vm->child, process->pidfd, on_process_exit);
        r = connect_qmp(vm, &why);
        /* Refused: QEMU is on its way out already, and its own words will come with its end. */
        if (r < 0 && r != -ECONNREFUSED && vm->step == VM_STARTING)
                vm_kill_because(vm, "%.150s", why.msg);
}

static void end(struct vm *vm)
{
        if (!vm->again || vm->unwanted || !vm_start_over(vm))
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

        if (value || vm->step != VM_RESTORING)
                return;
        vm_kill_because(vm, "it could not be restored: %.120s", err->msg);
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
        (void)qmp_execute(vm->qmp, "migrate-set-capabilities", caps, VM_COMMAND_MS,
                          on_restore_answer, vm, NULL);
        (void)qmp_execute(vm->qmp, "migrate-incoming", incoming, VM_COMMAND_MS, on_restore_answer,
                          vm, NULL);
}

void vm_kill_because(struct vm *vm, const char *fmt, ...)
{
        va_list ap;

        if (vm->killed)
                return; /* what breaks then is no reason */
        va_start(ap, fmt);
        (void)vsnprintf(vm->kill_reason, sizeof(vm->kill_reason), fmt, ap); /* for people */
        va_end(ap);
        kill_qemu(vm);
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
        enum vm_step next;
        void (*action)(struct vm *vm);
} table[VM_STEPS][VM_EVENTS] = {
        [VM_STARTING] = {[VM_QMP_READY] = {VM_UP, up},
                         [VM_QMP_CLOSED] = {VM_STARTING, drop_qmp}, /* how it ends says more */
                         [VM_QMP_BROKEN] = {VM_STARTING, give_up},
                         [VM_SHUTDOWN] = {VM_STARTING, note_shutdown},
                         [VM_RESUME] = {VM_STARTING, nothing},
                         [VM_SWAPPED] = {VM_STARTING, nothing},
                         [VM_KILL] = {VM_STARTING, kill_unwanted},
                         [VM_EXITED] = {VM_GONE, end}},
        [VM_RESTORING] = {[VM_QMP_READY] = {VM_RESTORING, ready},
                          [VM_QMP_CLOSED] = {VM_RESTORING, drop_qmp},
                          [VM_QMP_BROKEN] = {VM_RESTORING, give_up},
                          [VM_SHUTDOWN] = {VM_RESTORING, note_shutdown},
                          [VM_RESUME] = {VM_UP, up},
                          [VM_SWAPPED] = {VM_RESTORING, nothing},
                          [VM_KILL] = {VM_RESTORING, kill_unwanted},
                          [VM_EXITED] = {VM_GONE, end}},
        [VM_CLAIMED] = {[VM_QMP_READY] = {VM_CLAIMED, nothing},
                        [VM_QMP_CLOSED] = {VM_CLAIMED, give_up},
                        [VM_QMP_BROKEN] = {VM_CLAIMED, give_up},
                        [VM_SHUTDOWN] = {VM_CLAIMED, note_shutdown},
                        [VM_RESUME] = {VM_CLAIMED, nothing},
                        [VM_SWAPPED] = {VM_UP, up},
                        [VM_KILL] = {VM_CLAIMED, kill_unwanted},
                        [VM_EXITED] = {VM_GONE, end}},
        [VM_UP] = {[VM_QMP_READY] = {VM_UP, up}, /* after an adoption */
                   [VM_QMP_CLOSED] = {VM_UP, drop_qmp},
                   [VM_QMP_BROKEN] = {VM_UP,
                                      drop_qmp}, /* only the reason of its end may get lost */
                   [VM_SHUTDOWN] = {VM_UP, note_shutdown},
                   [VM_RESUME] = {VM_UP, nothing},
                   [VM_SWAPPED] = {VM_UP, nothing},
                   [VM_KILL] = {VM_UP, kill_unwanted},
                   [VM_EXITED] = {VM_GONE, end}},
        [VM_GONE] = {[VM_QMP_READY] = {VM_GONE, nothing},
                     [VM_QMP_CLOSED] = {VM_GONE, nothing},
                     [VM_QMP_BROKEN] = {VM_GONE, nothing},
                     [VM_SHUTDOWN] = {VM_GONE, nothing},
                     [VM_RESUME] = {VM_GONE, nothing},
                     [VM_SWAPPED] = {VM_GONE, nothing},
                     [VM_KILL] = {VM_GONE, nothing},
                     [VM_EXITED] = {VM_GONE, nothing}},
};

/* The state changes first: an action may end in the owner's callback, which may free the vm. */
void vm_happen(struct vm *vm, enum vm_event event)
{
        void (*action)(struct vm *) = table[vm->step][event].action;

        assert(action);
        vm->step = table[vm->step][event].next;
        action(vm);
}

static void on_qmp_ready(void *ctx)
{
        vm_happen(ctx, VM_QMP_READY);
}

static void on_qmp_event(void *ctx, const char *name, const json_t *data)
{
        if (streq(name, "SHUTDOWN") && json_bool(data, "guest", false))
                vm_happen(ctx, VM_SHUTDOWN);
        else if (streq(name, "RESUME"))
                vm_happen(ctx, VM_RESUME);
}

static void on_qmp_close(void *ctx, const struct err *err)
{
        struct vm *vm = ctx;

        bool closed = err->code == EPIPE || err->code == ECONNRESET;

        if ((vm->step == VM_STARTING || vm->step == VM_RESTORING) && !closed)
                (void)snprintf(vm->kill_reason, sizeof(vm->kill_reason),
                               "QEMU did not start: %.120s", err->msg);
        vm_happen(vm, closed ? VM_QMP_CLOSED : VM_QMP_BROKEN);
}

static const struct qmp_events qmp_events = {on_qmp_ready, on_qmp_event, on_qmp_close};

static void on_process_exit(struct loop_child *child)
{
        vm_happen(container_of(child, struct vm, child), VM_EXITED);
}

static void on_doubt_late(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct vm *vm = container_of(w, struct vm, doubt);

        (void)loop;
        (void)revents;
        vm_kill_because(vm, "it said nothing for %d s", VM_DOUBT_MS / 1000);
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

void vm_set_dir(struct vm *vm, const char *dir)
{
        ev_stat_stop(vm->loop, &vm->console);
        free(vm->dir);
        free(vm->console_path);
        vm->dir = xstrdup(dir);
        vm->console_path = file_join(dir, "console.log");
        ev_stat_init(&vm->console, on_console_change, vm->console_path, 0.0);
        ev_stat_start(vm->loop, &vm->console);
}

struct vm *vm_new(struct ev_loop *loop, const char *dir, const struct vm_events *events)
{
        struct vm *vm = xnew(struct vm);

        vm->loop = loop;
        vm->events = *events;
        vm_set_dir(vm, dir);
        vm->leash = (struct leash)LEASH_NONE;
        ev_timer_init(&vm->doubt, on_doubt_late, VM_DOUBT_MS / 1e3, 0.0);
        return vm;
}

static int connect_qmp(struct vm *vm, struct err *err)
{
        AUTO_FREE char *socket = file_join(vm->dir, "qmp.sock");

        return qmp_connect(vm->loop, socket, &qmp_events, vm, &vm->qmp, err);
}

bool vm_confirm(struct vm *vm)
{
        if (vm->again && vm->killed)
                return false;
        settle(vm);
        return true;
}

void vm_hurry(struct vm *vm)
{
        process_hurry(vm->process.pid);
}

bool vm_is_up(const struct vm *vm)
{
        return vm->step == VM_UP;
}

enum vm_birth vm_birth(const struct vm *vm)
{
        return vm->process.birth;
}

const char *vm_birth_reason(const struct vm *vm)
{
        return vm->birth_reason;
}

const char *vm_birth_name(enum vm_birth birth)
{
        static const char *const names[] = {
                [VM_BOOT] = "boot", [VM_CLONE] = "clone", [VM_POOL] = "pool"};

        return names[birth];
}

struct qmp *vm_qmp(const struct vm *vm)
{
        return vm->qmp;
}

void vm_kill(struct vm *vm)
{
        vm_happen(vm, VM_KILL);
}

static void on_discarded_end(struct vm *vm, enum vm_end end, const char *message, void *ctx)
{
        (void)end;
        (void)message;
        (void)ctx;
        vm_free(vm);
}

void vm_discard(struct vm *vm)
{
        vm->events = (struct vm_events){.on_end = on_discarded_end};
        vm_kill(vm);
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
        vm->step = VM_GONE;
        settle(vm);
        leash_pull(&vm->leash);
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
