/* SPDX-License-Identifier: Apache-2.0 */
/* How runs and VMs end: asked to, told to, on their own; and what is left behind is removed. */
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/instance_internal.h"
#include "orchestrator/linux_names.h"

void instance_end_run(struct instance *in, enum vm_state state, enum exit_reason reason, int code,
                      const char *message)
{
        probe_stop(&in->probe);
        in->exit_reason = reason;
        in->exit_code = code;
        instance_set_message(in, message);
        in->env->on_ended(in->env, in);
        in->state = state;
        in->since_ms = in->env->now_ms(in->env);
        if (in->attach && state == VM_FAILED)
                in->attach->on_failed(in->attach, message);
        instance_note(in); /* the next daemon must not count this end again */
}

static void finish(struct instance *in)
{
        struct err err = ERR_INIT;

        instance_arm(in, 0);
        ev_timer_stop(in->env->loop, &in->reconnect);
        images_cancel(in->env->images, in);
        instance_forget_taps(in);
        instance_drop_member(in);
        instance_close_taps(in);
        if (file_remove_tree(in->dir, &err) < 0 || file_remove_tree(in->scratch, &err) < 0)
                log_warn("vm", in->id, "%s", err.msg);
        if (in->attach) {
                struct attach *attach = STEAL(in->attach);

                attach->instance = NULL;
                attach->on_gone(attach);
        }
        in->env->on_gone(in->env, in);
}

void instance_drop_guest(struct instance *in)
{
        static const struct guest_exit lost = {
                .code = 125, .start_failed = true, .text = "the VM ended"};

        in->greeted = in->run_waits = false;
        hook_runner_drop(&in->hooks);
        probe_stop(&in->probe);
        instance_tell_stats(in, NULL);
        if (in->guest)
                guest_free(STEAL(in->guest));
        while (in->sessions) {
                struct exec_session *session = in->sessions;

                in->sessions = session->next;
                session->on_exited(session, &lost);
        }
        if (in->log)
                log_writer_close(STEAL(in->log));
}

/* A pool whose machines fail is not used for ever. */
void instance_judge_pool(struct instance *in, const char *why)
{
        if (in->pooled)
                pool_judge(in->env->pool, in->pool_memory, in->pool_cpus, why);
        in->pooled = false;
}

void instance_fail(struct instance *in, enum exit_reason reason, const char *message)
{
        if (in->state == VM_FAILED)
                return;
        if (in->state == VM_EXITED && !in->remove_wanted) { /* its end has been told already */
                if (in->vm)
                        vm_kill(in->vm);
                in->env->on_change(in->env, in);
                return;
        }
        if (in->state == VM_STOPPING || in->remove_wanted) {
                if (in->vm)
                        vm_kill(in->vm);
                else
                        finish(in);
                return;
        }
        if (in->ahead) { /* nobody knows of it, or misses it yet */
                log_info("vm", in->id, "made ahead for %s/%s, failed: %s", in->stack, in->service,
                         message);
                instance_arm(in, 0);
                images_cancel(in->env->images, in);
                instance_set_state(in, VM_FAILED);
                if (in->vm)
                        vm_kill(in->vm);
                return;
        }
        instance_judge_pool(in, message);
        instance_arm(in, 0);
        images_cancel(in->env->images, in);
        instance_emit(in, "failed", exit_reason_name(reason), "%s", message);
        instance_end_run(in, VM_FAILED, reason, 0, message);
        if (in->vm)
                vm_kill(in->vm);
}

static void on_vm_up(struct vm *vm, void *ctx)
{
        struct instance *in = ctx;

        in->times.up = vm_up_ns(vm);
        if (in->greeted)
                instance_configure_new(in);
}

static void on_vm_end(struct vm *vm, enum vm_end end, const char *message, void *ctx)
{
        static const enum exit_reason reasons[] = {[VM_END_POWEROFF] = EXIT_VMM,
                                                   [VM_END_PANIC] = EXIT_PANIC,
                                                   [VM_END_KILLED] = EXIT_VMM};
        struct instance *in = ctx;

        vm_free(vm);
        in->vm = NULL;
        ev_timer_stop(in->env->loop, &in->reconnect);
        instance_drop_guest(in);
        if (in->state == VM_STOPPING || in->remove_wanted) {
                finish(in);
                return;
        }
        if (in->state == VM_EXITED || in->state == VM_FAILED) {
                in->env->on_change(in->env, in);
                return;
        }
        instance_fail(in, reasons[end], message && *message ? message : "the VM ended");
}

const struct vm_events instance_vm_events = {on_vm_up, on_vm_end, NULL};

/* Once the last output is in the log: end the VM. */
void instance_power_off(struct instance *in)
{
        struct err err = ERR_INIT;

        if (in->powered_off)
                return;
        in->powered_off = true;
        instance_arm(in, INSTANCE_POWEROFF_MS);
        if (in->disposable || !in->guest || !guest_is_live(in->guest) ||
            guest_poweroff(in->guest, &err) < 0)
                vm_kill(in->vm);
}

void instance_remove(struct instance *in)
{
        if (in->remove_wanted)
                return;
        in->remove_wanted = true;
        if (!in->vm) {
                instance_drop_guest(in);
                finish(in);
        } else if (in->state == VM_EXITED && in->open_streams) {
                instance_arm(in, INSTANCE_OUTPUT_DRAIN_MS);
        } else {
                instance_power_off(in);
        }
}

bool instance_is_reusable(struct instance *in)
{
        return in->state == VM_EXITED && in->vm && !in->remove_wanted && !in->powered_off &&
               (in->guest || ev_is_active(&in->reconnect));
}

void instance_restart(struct instance *in, const char *reason)
{
        struct err err = ERR_INIT;

        if (!instance_is_reusable(in))
                bug("a VM that cannot is asked to run its service again");
        instance_emit(in, "restarting", "", "%s", reason);
        in->runs++;
        in->times.decided = clock_mono_ns();
        in->exit_reason = EXIT_NONE;
        in->exit_code = 0;
        instance_set_message(in, NULL);
        probe_forget(&in->probe);
        in->health_shown = HEALTH_NONE;
        instance_arm(in, INSTANCE_BOOT_TIMEOUT_MS);
        instance_set_state(in, VM_BOOTING);
        instance_save_noted(in); /* before the guest knows: a daemon that dies here asks again */
        if (in->guest && guest_is_live(in->guest) && guest_run(in->guest, &err) < 0)
                instance_fail(in, EXIT_BOOT, err.msg);
        /* else: on_guest_hello() sees that the guest was not asked yet */
}

/* A service that is told to end in its VM, or whose VM is stopped. */
static void stop_service(struct instance *in)
{
        AUTO_FREE char *reason = xstrdup(in->message);
        struct err err = ERR_INIT;
        int signo = in->stop_signal ? linux_signal(in->stop_signal) : 0;

        if (guest_stop(in->guest, signo, (unsigned)in->stop_grace_ms, &err) == 0)
                instance_arm(in, in->stop_grace_ms + INSTANCE_STOP_SLACK_MS);
        else if (in->state == VM_STOPPING)
                instance_power_off(in);
        else
                instance_fail(in, in->ending, reason ? reason : err.msg);
}

/* The service is stopped whatever became of them. */
static void on_pre_stop_done(void *ctx, const char *failure)
{
        struct instance *in = ctx;

        if (failure)
                instance_emit(in, "hook-failed", "", "%s; the service is stopped all the same",
                              failure);
        stop_service(in);
}

static void run_pre_stop(struct instance *in)
{
        instance_arm(in, in->stop_grace_ms);
        hook_runner_start(&in->hooks, in->guest, "pre_stop", in->pre_stop, on_pre_stop_done, in);
}

void instance_end(struct instance *in, enum exit_reason why, const char *reason)
{
        if (in->state != VM_RUNNING || in->ending != EXIT_NONE)
                return;
        instance_emit(in, "ending", exit_reason_name(why), "%s", reason);
        in->ending = why;
        instance_set_message(in, reason);
        probe_stop(&in->probe);
        if (in->guest && guest_is_live(in->guest))
                run_pre_stop(in);
        else
                instance_fail(in, why, reason);
}

void instance_stop(struct instance *in, const char *reason)
{
        enum vm_state state = in->state;

        if (state == VM_STOPPING || in->remove_wanted)
                return;
        instance_emit(in, "stopping", "", "%s", reason);
        probe_stop(&in->probe);
        if (state == VM_RUNNING) {
                in->exit_reason = EXIT_STOPPED;
                in->env->on_ended(in->env, in);
        }
        instance_set_state(in, VM_STOPPING);
        if (!in->vm) {
                finish(in);
                return;
        }
        if (state != VM_RUNNING || !in->guest || !guest_is_live(in->guest)) {
                hook_runner_cancel(&in->hooks); /* post_start, if it still runs */
                instance_power_off(in);
        } else if (in->ending == EXIT_NONE) {
                run_pre_stop(in);
        } /* else: it was told to end already, pre_stop hooks run or have run */
}

/* Hooks that have their time, and do not end with it. */
static bool give_up_hooks(struct instance *in)
{
        if (!in->hooks.guest || !guest_is_live(in->hooks.guest))
                return false;
        hook_runner_cancel(&in->hooks);
        on_pre_stop_done(in, "pre_stop did not end within stop_grace_period");
        return true;
}

void instance_on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct instance *in = container_of(w, struct instance, deadline);

        (void)loop;
        (void)revents;
        switch (in->state) {
        case VM_PREPARING:
        case VM_BOOTING:
                instance_fail(in, EXIT_BOOT,
                              "the guest did not start its service in time; "
                              "see `berth logs --boot`");
                return;
        case VM_STOPPING:
                if (give_up_hooks(in))
                        return;
                __attribute__((fallthrough));
        case VM_EXITED:
                if (in->vm && !in->powered_off)
                        instance_power_off(in);
                else if (in->vm)
                        vm_kill(in->vm);
                return;
        case VM_RUNNING: /* it was told to end */
                if (give_up_hooks(in))
                        return;
                __attribute__((fallthrough));
        case VM_FAILED:
                if (in->vm)
                        vm_kill(in->vm);
                return;
        }
}
