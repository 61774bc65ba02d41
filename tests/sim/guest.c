/* SPDX-License-Identifier: Apache-2.0 */
/* vz/guest.h without a guest: what vminit would say, from the state of the world's VM. */
#include "vz/guest.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

#define ANSWER_MS    10   /* of a request to its answer */
#define CONFIGURE_MS 50   /* mounts, addresses */
#define START_MS     30   /* from RUN to the running service */
#define STOP_MS      40   /* a service that handles its signal */
#define POWEROFF_MS  80   /* sync, unmount */
#define SLOW_MS      9000 /* the same on a loaded host */

struct session {
        int id, code;
        void *arg;
};

struct guest {
        struct sim_vm *vm; /* NULL: lost */
        const struct guest_callbacks *cb;
        void *arg;
        bool live;
        int last_id;
        struct session *sessions;
        size_t sessions_len;
        struct guest *next;
};

static struct guest *guests;

static void tell_hello(void *owner, int arg);
static void tell_lost(void *owner, int arg);

/* ---------------------------------------------------------------------------- what it says */

static void tell_output_end(void *owner, int stream)
{
        struct guest *g = owner;

        g->cb->on_output_end(g->arg, stream ? GUEST_STDERR : GUEST_STDOUT, 0);
}

static struct guest_exit exit_of(const struct sim_vm *vm)
{
        return (struct guest_exit){.code = vm->exit_code > 128 ? vm->exit_code
                                                               : vm->exit_code & 127,
                                   .signal = vm->exit_code > 128 ? vm->exit_code - 128 : 0,
                                   .start_failed = vm->start_failed,
                                   .text = vm->start_failed ? "no such program" : ""};
}

static void tell_started(void *owner, int arg)
{
        struct guest *g = owner;

        (void)arg;
        if (g->vm)
                g->cb->on_started(g->arg, 1, 100);
}

static void tell_exited(void *owner, int arg)
{
        struct guest *g = owner;
        struct guest_exit exit;

        (void)arg;
        if (!g->vm)
                return;
        exit = exit_of(g->vm);
        g->cb->on_exited(g->arg, 1, &exit);
}

/* arg: it fails. */
static void tell_configured(void *owner, int arg)
{
        struct guest *g = owner;

        g->cb->on_configured(g->arg, arg ? "mount of volume: no such device" : NULL);
}

static void tell_session(void *owner, int id)
{
        struct guest *g = owner;

        for (size_t i = 0; i < g->sessions_len; i++) {
                struct session s = g->sessions[i];
                struct guest_exit exit = {.code = s.code, .text = ""};

                if (s.id != id)
                        continue;
                g->sessions[i] = g->sessions[--g->sessions_len];
                if (g->vm && s.code == 0)
                        sim_hashes_add(
                                &sim_truth(g->vm->stack, g->vm->service, g->vm->replica)->healthy,
                                g->vm->hash);
                g->cb->on_exec_exited(g->arg, s.arg, &exit);
                return;
        }
}

static void say_hello(struct guest *g)
{
        static const enum wire_state states[] = {[GUEST_NEW] = WIRE_S_NEW,
                                                 [GUEST_CONFIGURED] = WIRE_S_CONFIGURED,
                                                 [GUEST_STARTING] = WIRE_S_STARTING,
                                                 [GUEST_RUNNING] = WIRE_S_RUNNING,
                                                 [GUEST_EXITED] = WIRE_S_EXITED};
        struct guest_hello hello = {.version = 1,
                                    .state = g->vm->start_failed ? WIRE_S_START_FAILED
                                                                 : states[g->vm->guest],
                                    .run = g->vm->guest >= GUEST_STARTING,
                                    .exit = exit_of(g->vm)};

        g->live = true;
        (void)snprintf(hello.boot_id, sizeof(hello.boot_id), "boot-%s", g->vm->id);
        if (g->vm->guest == GUEST_EXITED) {
                sim_post(1, tell_output_end, g, 0);
                sim_post(1, tell_output_end, g, 1);
        }
        g->cb->on_hello(g->arg, &hello);
}

static void tell_hello(void *owner, int arg)
{
        struct guest *g = owner;

        (void)arg;
        if (g->vm && g->vm->alive)
                say_hello(g);
}

static void tell_lost(void *owner, int arg)
{
        struct guest *g = owner;
        const struct err why = {.code = ECONNRESET, .msg = "the guest hung up"};
        static const struct guest_exit gone = {.code = 125, .text = "the guest hung up"};

        (void)arg;
        while (g->sessions_len) {
                struct session s = g->sessions[--g->sessions_len];

                g->cb->on_exec_exited(g->arg, s.arg, &gone);
        }
        g->cb->on_lost(g->arg, &why);
}

/* ---------------------------------------------------------------------- what happens in the VM */

void sim_guest_told_started(const struct sim_vm *vm)
{
        for (struct guest *g = guests; g; g = g->next)
                if (g->vm == vm && g->live)
                        sim_post(0, tell_started, g, 0);
}

void sim_guest_told_exited(const struct sim_vm *vm, bool twice)
{
        for (struct guest *g = guests; g; g = g->next) {
                if (g->vm != vm || !g->live)
                        continue;
                sim_post(0, tell_output_end, g, 0);
                sim_post(1, tell_exited, g, 0);
                sim_post(2, tell_output_end, g, 1);
                if (twice)
                        sim_post(3, tell_exited, g, 0);
        }
}

void sim_guest_lost(const struct sim_vm *vm)
{
        for (struct guest *g = guests; g; g = g->next)
                if (g->vm == vm) {
                        g->vm = NULL;
                        g->live = false;
                        sim_cancel(g);
                        sim_post(0, tell_lost, g, 0);
                }
}

/* -------------------------------------------------------------------------------- vz/guest.h */

int guest_connect(struct ev_loop *loop, const char *path, uint64_t stdout_from,
                  uint64_t stderr_from, const struct guest_callbacks *cb, void *arg,
                  struct guest **ret_guest, struct err *err)
{
        AUTO_FREE char *dir = xstrndup(path, strlen(path) - strlen("/guest.sock"));
        struct sim_vm *vm = sim_vm_of_dir(dir);
        struct guest *g;

        (void)loop;
        (void)stdout_from;
        (void)stderr_from;
        if (!vm || sim_fault(CALL_GUEST_CONNECT) != HOW_FINE)
                return err_set(err, ECONNREFUSED, "%s", path);
        g = xnew(struct guest);
        g->vm = vm;
        g->cb = cb;
        g->arg = arg;
        g->next = guests;
        guests = g;
        if (vm->up_ms != SIM_NEVER)
                sim_post(vm->up_ms > sim->mono_ms ? vm->up_ms - sim->mono_ms : ANSWER_MS,
                         tell_hello, g, 0);
        *ret_guest = g;
        return 0;
}

void guest_free(struct guest *guest)
{
        for (struct guest **p = &guests; *p; p = &(*p)->next)
                if (*p == guest) {
                        *p = guest->next;
                        sim_cancel(guest);
                        free(guest->sessions);
                        free(guest);
                        return;
                }
}

bool guest_is_live(const struct guest *guest)
{
        return guest->live;
}

const char *guest_boot_id(const struct guest *guest)
{
        return guest->vm ? guest->vm->id : "";
}

static int need_live(const struct guest *guest, struct err *err)
{
        return guest->live ? 0 : err_set(err, ENOTCONN, "the guest is not there");
}

int guest_configure(struct guest *guest, const struct guest_config *config, struct err *err)
{
        enum sim_how how = sim_fault(CALL_GUEST_CONFIGURE);

        (void)config;
        if (need_live(guest, err) < 0 || how == HOW_ERROR)
                return err_set(err, EINVAL, "the configuration is too long");
        if (guest->vm->guest != GUEST_NEW)
                sim_broken("a guest is configured twice: %s/%s/%u", guest->vm->stack,
                           guest->vm->service, guest->vm->replica);
        sim_effect("guest_configure");
        guest->vm->guest = GUEST_CONFIGURED;
        if (how != HOW_HANG)
                sim_post(how == HOW_SLOW ? SLOW_MS : CONFIGURE_MS, tell_configured, guest,
                         how == HOW_PARTIAL);
        return 0;
}

int guest_run(struct guest *guest, struct err *err)
{
        enum sim_how how = sim_fault(CALL_GUEST_RUN);
        struct sim_vm *vm = guest->vm;

        if (need_live(guest, err) < 0)
                return -ENOTCONN;
        sim_effect("guest_run");
        vm->guest = GUEST_STARTING;
        vm->exit_code = 0; /* how a former run in this VM ended says nothing about this one */
        vm->start_failed = false;
        vm->started_ms = how == HOW_HANG ? SIM_NEVER
                                         : sim->mono_ms + CONFIGURE_MS + START_MS +
                                                   (how == HOW_SLOW ? SLOW_MS : 0);
        if (how == HOW_ERROR) {
                vm->guest = GUEST_EXITED;
                vm->start_failed = true;
                vm->exit_code = 127;
                sim_guest_told_exited(vm, false);
        }
        return 0;
}

int guest_stop(struct guest *guest, int signo, unsigned grace_ms, struct err *err)
{
        enum sim_how how = sim_fault(CALL_GUEST_STOP);
        struct sim_vm *vm = guest->vm;

        (void)signo;
        if (need_live(guest, err) < 0 || how == HOW_ERROR)
                return err_set(err, ENOTCONN, "the guest is not there");
        sim_effect("guest_stop");
        if (vm->guest == GUEST_EXITED) {
                sim_guest_told_exited(vm, how == HOW_DOUBLE);
        } else if (how != HOW_HANG) {
                vm->exit_code = how == HOW_SLOW ? 137 : 143;
                vm->exit_ms = sim->mono_ms + (how == HOW_SLOW ? grace_ms : STOP_MS);
        }
        return 0;
}

int guest_poweroff(struct guest *guest, struct err *err)
{
        enum sim_how how = sim_fault(CALL_GUEST_POWEROFF);

        if (need_live(guest, err) < 0 || how == HOW_ERROR)
                return err_set(err, ENOTCONN, "the guest is not there");
        sim_effect("guest_poweroff");
        guest->vm->dying = how != HOW_HANG;
        guest->vm->end = VM_END_POWEROFF;
        if (how != HOW_HANG)
                guest->vm->death_ms = sim->mono_ms + (how == HOW_SLOW ? SLOW_MS : POWEROFF_MS);
        return 0;
}

void guest_ack(struct guest *guest, enum guest_stream stream, uint64_t offset)
{
        (void)guest;
        (void)stream;
        (void)offset;
}

int guest_stats(struct guest *guest, struct err *err)
{
        (void)guest;
        return err_set(err, ENOTSUP, "nobody asks for statistics here");
}

int guest_exec_open(struct guest *guest, const struct guest_exec *exec, void *arg, struct err *err)
{
        enum sim_how how = sim_fault(CALL_GUEST_EXEC);
        struct session *s;

        (void)exec;
        if (need_live(guest, err) < 0 || how == HOW_ERROR)
                return err_set(err, EAGAIN, "too many sessions");
        s = array_push(&guest->sessions, &guest->sessions_len);
        s->id = ++guest->last_id;
        s->arg = arg;
        s->code = *sim_sick(guest->vm->stack, guest->vm->service) ? 1 : 0;
        if (how != HOW_HANG)
                sim_post(how == HOW_SLOW ? SLOW_MS : ANSWER_MS, tell_session, guest, s->id);
        return s->id;
}

/* Killed: its end comes, and was not well. */
void guest_exec_close(struct guest *guest, int id)
{
        for (size_t i = 0; i < guest->sessions_len; i++)
                if (guest->sessions[i].id == id) {
                        guest->sessions[i].code = 137;
                        sim_post(ANSWER_MS, tell_session, guest, id);
                }
}

void guest_exec_credit(struct guest *guest, int id, enum guest_stream stream, size_t len)
{
        (void)guest;
        (void)id;
        (void)stream;
        (void)len;
}
