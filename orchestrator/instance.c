/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/instance.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/linux_names.h"
#include "schema/hooks.h"

/* A guest that breaks off is given this many chances before its VM is killed. */
#define RECONNECTS_MAX 3
#define RECONNECT_MS   200
/* Output that is still under way after the exit may take this long. */
#define OUTPUT_DRAIN_MS 3000

#define BIT(stream) (1u << (stream))

static const struct guest_callbacks guest_callbacks;

void instance_emit(const struct instance *in, const char *type, const char *reason, const char *fmt,
                   ...)
{
        AUTO_FREE char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        event_emit(in->env->events, in->stack, in->service, in->replica, type, reason, "%s", text);
}

void instance_arm(struct instance *in, int64_t ms)
{
        ev_timer_stop(in->env->loop, &in->deadline);
        ev_timer_set(&in->deadline, (double)ms / 1000.0, 0.0);
        if (ms > 0)
                ev_timer_start(in->env->loop, &in->deadline);
}

void instance_set_state(struct instance *in, enum vm_state state)
{
        in->state = state;
        in->since_ms = in->env->now_ms(in->env);
        in->env->on_change(in->env, in);
}

static void set_message(struct instance *in, const char *message)
{
        char *copy = message && *message ? xstrdup(message) : NULL;

        free(in->message);
        in->message = copy;
}

static void save(const struct instance *in)
{
        struct err err = ERR_INIT;

        if (in->vm && instance_save(in, &err) < 0)
                log_warn("vm", in->id, "%s", err.msg);
}

static void end_run(struct instance *in, enum vm_state state, enum exit_reason reason, int code,
                    const char *message)
{
        probe_stop(&in->probe);
        in->exit_reason = reason;
        in->exit_code = code;
        set_message(in, message);
        in->env->on_ended(in->env, in);
        in->state = state;
        in->since_ms = in->env->now_ms(in->env);
        if (in->attach && state == VM_FAILED)
                in->attach->on_failed(in->attach, message);
        save(in); /* that the end was told: the next daemon must not count it again */
        in->env->on_change(in->env, in);
}

/* ----------------------------------------------------------------- the end of a VM, and cleanup */

static void finish(struct instance *in)
{
        struct err err = ERR_INIT;

        instance_arm(in, 0);
        ev_timer_stop(in->env->loop, &in->reconnect);
        images_cancel(in->env->images, in);
        instance_forget_taps(in);
        instance_drop_member(in);
        for (size_t i = 0; i < in->nics_len; i++)
                if (in->nics[i].tap_fd >= 0)
                        (void)close(steal_fd(&in->nics[i].tap_fd)); /* a tap has no data to lose */
        if (file_remove_tree(in->dir, &err) < 0 || file_remove_tree(in->scratch, &err) < 0)
                log_warn("vm", in->id, "%s", err.msg);
        if (in->attach) {
                struct attach *attach = STEAL(in->attach);

                attach->instance = NULL;
                attach->on_gone(attach);
        }
        in->env->on_gone(in->env, in);
}

void instance_own_session(struct instance *in, struct exec_session *session)
{
        session->next = in->sessions;
        in->sessions = session;
}

static void disown_session(struct instance *in, const struct exec_session *session)
{
        for (struct exec_session **p = &in->sessions; *p; p = &(*p)->next)
                if (*p == session) {
                        *p = session->next;
                        return;
                }
}

static void drop_guest(struct instance *in)
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
static void judge_pool(struct instance *in, const char *why)
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
        judge_pool(in, message);
        instance_arm(in, 0);
        images_cancel(in->env->images, in);
        instance_emit(in, "failed", exit_reason_name(reason), "%s", message);
        end_run(in, VM_FAILED, reason, 0, message);
        if (in->vm)
                vm_kill(in->vm);
}

static void configure_new(struct instance *in);

static void on_vm_up(struct vm *vm, void *ctx)
{
        struct instance *in = ctx;

        in->times.up = vm_up_ns(vm);
        if (in->greeted)
                configure_new(in);
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
        drop_guest(in);
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
static void power_off(struct instance *in)
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
                drop_guest(in);
                finish(in);
        } else if (in->state == VM_EXITED && in->open_streams) {
                instance_arm(in, OUTPUT_DRAIN_MS);
        } else {
                power_off(in);
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
        set_message(in, NULL);
        probe_forget(&in->probe);
        in->health_shown = HEALTH_NONE;
        instance_arm(in, INSTANCE_BOOT_TIMEOUT_MS);
        instance_set_state(in, VM_BOOTING);
        save(in); /* before the guest knows: a daemon that dies here asks again */
        if (in->guest && guest_is_live(in->guest) && guest_run(in->guest, &err) < 0)
                instance_fail(in, EXIT_BOOT, err.msg);
        /* else: on_guest_hello() sees that the guest was not asked yet */
}

void instance_end(struct instance *in, enum exit_reason why, const char *reason)
{
        int signo = in->stop_signal ? linux_signal(in->stop_signal) : 0;
        struct err err = ERR_INIT;

        if (in->state != VM_RUNNING || in->ending != EXIT_NONE)
                return;
        instance_emit(in, "ending", exit_reason_name(why), "%s", reason);
        in->ending = why;
        set_message(in, reason);
        probe_stop(&in->probe);
        if (!in->guest || !guest_is_live(in->guest) ||
            guest_stop(in->guest, signo, (unsigned)in->stop_grace_ms, &err) < 0)
                instance_fail(in, why, reason);
        else
                instance_arm(in, in->stop_grace_ms + INSTANCE_STOP_SLACK_MS);
}

static void stop_service(struct instance *in)
{
        struct err err = ERR_INIT;
        int signo = in->stop_signal ? linux_signal(in->stop_signal) : 0;

        if (guest_stop(in->guest, signo, (unsigned)in->stop_grace_ms, &err) == 0)
                instance_arm(in, in->stop_grace_ms + INSTANCE_STOP_SLACK_MS);
        else
                power_off(in);
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
        hook_runner_cancel(&in->hooks); /* post_start, if it still runs */
        if (state != VM_RUNNING || !in->guest || !guest_is_live(in->guest)) {
                power_off(in);
                return;
        }
        instance_arm(in, in->stop_grace_ms);
        hook_runner_start(&in->hooks, in->guest, "pre_stop", in->pre_stop, on_pre_stop_done, in);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
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
                if (in->hooks.guest && guest_is_live(in->hooks.guest)) {
                        hook_runner_cancel(&in->hooks);
                        on_pre_stop_done(in, "pre_stop did not end within stop_grace_period");
                        return;
                }
                __attribute__((fallthrough));
        case VM_EXITED:
                if (in->vm && !in->powered_off)
                        power_off(in);
                else if (in->vm)
                        vm_kill(in->vm);
                return;
        case VM_RUNNING: /* it was told to end */
        case VM_FAILED:
                if (in->vm)
                        vm_kill(in->vm);
                return;
        }
}

/* ------------------------------------------------------------------------------ the guest talks */

static void send_configuration(struct instance *in)
{
        struct guest_config config = *guest_setup_config(in->setup);
        struct err err = ERR_INIT;

        random_bytes(config.seed, sizeof(config.seed));
        config.clock_ns = (uint64_t)clock_wall_ns();
        if (guest_configure(in->guest, &config, &err) < 0) {
                instance_fail(in, EXIT_BOOT, err.msg);
                return;
        }
        in->run_waits = true;
        instance_run(in);
}

void instance_run(struct instance *in)
{
        struct err err = ERR_INIT;

        if (!in->run_waits || !instance_has_taps(in))
                return;
        in->run_waits = false;
        if (guest_run(in->guest, &err) < 0)
                instance_fail(in, EXIT_BOOT, err.msg);
}

static void note_kernel_time(struct instance *in, const struct guest_phase *phase)
{
        if (streq(phase->name, "vminit"))
                in->times.kernel_ns = (int64_t)phase->guest_ns;
}

static void guest_exited(struct instance *in, const struct guest_exit *exit);

static void run_again(struct instance *in)
{
        struct err err = ERR_INIT;

        if (guest_run(in->guest, &err) < 0)
                instance_fail(in, EXIT_BOOT, err.msg);
}

static void emit_started(const struct instance *in)
{
        const char *why = vm_birth_reason(in->vm);
        long long ms = (long long)((in->times.started - in->times.decided) / 1000000);

        if (in->runs > 1)
                instance_emit(in, "started", "restart", "service runs again after %lld ms", ms);
        else
                instance_emit(in, "started", vm_birth_name(vm_birth(in->vm)),
                              "service runs after %lld ms%s%s%s", ms,
                              !*why                         ? ""
                              : vm_birth(in->vm) == VM_BOOT ? " (booted: "
                                                            : " (cloned: ",
                              why, *why ? ")" : "");
}

/* The service runs, and so did what was to run behind its start. */
static void service_started(struct instance *in)
{
        in->state = VM_RUNNING;
        in->since_ms = in->env->now_ms(in->env);
        emit_started(in);
        in->env->on_started(in->env, in);
        if (in->attach)
                in->attach->on_started(in->attach);
        save(in);
        in->env->on_change(in->env, in);
}

/* A guest that nobody has configured; it must not be before a claimed VM has its disks. */
static void configure_new(struct instance *in)
{
        in->greeted = in->vm && !vm_is_up(in->vm);
        if (in->greeted)
                return;
        if (in->vm) {
                vm_confirm(in->vm);
                in->times.spawned = vm_spawned_ns(in->vm); /* not the first, if a clone failed */
        }
        if (in->setup)
                send_configuration(in);
        else if (in->state != VM_STOPPING)
                instance_fail(in, EXIT_BOOT, "the daemon ended while the VM was starting");
}

/* A service whose hook failed has not started; what then comes is up to its restart policy. */
static void on_post_start_done(void *ctx, const char *failure)
{
        struct instance *in = ctx;

        if (failure)
                instance_fail(in, EXIT_START, failure);
        else
                service_started(in);
}

/* Told by the guest, or found by a daemon that was not there when it started. */
static void run_reported(struct instance *in)
{
        in->times.started = clock_mono_ns();
        in->open_streams = BIT(GUEST_STDOUT) | BIT(GUEST_STDERR);
        instance_arm(in, 0);
        hook_runner_start(&in->hooks, in->guest, "post_start", in->post_start, on_post_start_done,
                          in);
}

static void on_guest_hello(void *arg, const struct guest_hello *hello)
{
        struct instance *in = arg;

        in->reconnects = 0;
        if (*hello->boot_id)
                (void)snprintf(in->boot_id, sizeof(in->boot_id), "%s", hello->boot_id);
        for (size_t i = 0; i < hello->n_phases; i++)
                note_kernel_time(in, &hello->phases[i]);
        if (!in->times.hello)
                in->times.hello = clock_mono_ns();
        switch (hello->state) {
        case WIRE_S_NEW:
                configure_new(in);
                return;
        case WIRE_S_EXITED:
        case WIRE_S_START_FAILED:
                if (in->state == VM_BOOTING && hello->run < in->runs)
                        run_again(in); /* the daemon that asked for it died with the question */
                else
                        guest_exited(in, &hello->exit);
                return;
        case WIRE_S_BROKEN:
                instance_fail(in, EXIT_BOOT, hello->exit.text);
                return;
        case WIRE_S_CONFIGURED: /* whether it was told to run is not known; twice does no harm */
                if (in->state == VM_BOOTING && !in->run_waits)
                        run_again(in);
                break;
        case WIRE_S_STARTING: /* on_started comes */
                break;
        case WIRE_S_RUNNING:
                if (in->state == VM_BOOTING && hello->run < in->runs)
                        run_again(in);
                else if (in->state == VM_BOOTING)
                        run_reported(in);
                break;
        }
        if (in->setup)
                guest_setup_free(STEAL(in->setup));
        if (in->state == VM_STOPPING)
                power_off(in);
        in->env->on_change(in->env, in); /* probes go on */
}

static void on_guest_phase(void *arg, const struct guest_phase *phase)
{
        note_kernel_time(arg, phase);
}

static void on_guest_configured(void *arg, const char *text)
{
        struct instance *in = arg;

        in->times.configured = clock_mono_ns();
        (void)snprintf(in->boot_id, sizeof(in->boot_id), "%s", guest_boot_id(in->guest));
        guest_setup_free(STEAL(in->setup));
        judge_pool(in, text ? text : *vm_birth_reason(in->vm) ? vm_birth_reason(in->vm) : NULL);
        if (text)
                instance_fail(in, EXIT_BOOT, text);
}

static void on_guest_started(void *arg, uint64_t run, int pid)
{
        struct instance *in = arg;

        (void)run;
        (void)pid;
        if (in->state == VM_BOOTING)
                run_reported(in);
}

static enum exit_reason exit_reason_of(const struct guest_exit *exit)
{
        if (exit->start_failed)
                return EXIT_START;
        if (exit->oom)
                return EXIT_OOM;
        return exit->signal ? EXIT_SIGNAL : EXIT_CODE;
}

static void guest_exited(struct instance *in, const struct guest_exit *exit)
{
        hook_runner_cancel(&in->hooks);
        if (in->attach)
                in->attach->on_exited(in->attach, exit);
        if (in->state == VM_STOPPING) {
                if (in->open_streams)
                        instance_arm(in, OUTPUT_DRAIN_MS);
                else
                        power_off(in);
                return;
        }
        if (in->state != VM_RUNNING && in->state != VM_BOOTING)
                return;
        instance_arm(in, 0);
        if (in->ending != EXIT_NONE) {
                enum exit_reason why = in->ending;
                AUTO_FREE char *message = xstrdup(in->message);

                in->ending = EXIT_NONE;
                end_run(in, VM_EXITED, why, exit->code, message);
                instance_emit(in, "exited", exit_reason_name(why), "%s", message ? message : "");
                return;
        }
        end_run(in, VM_EXITED, exit_reason_of(exit), exit->code, exit->text);
        instance_emit(in, "exited", exit_reason_name(exit_reason_of(exit)), "exit code %d%s%s",
                      exit->code, *exit->text ? ": " : "", exit->text);
}

static void on_guest_exited(void *arg, uint64_t run, const struct guest_exit *exit)
{
        (void)run;
        guest_exited(arg, exit);
}

static enum log_stream log_stream_of(enum guest_stream stream)
{
        return stream == GUEST_STDERR ? LOG_STDERR : LOG_STDOUT;
}

static void acknowledge(struct instance *in, enum guest_stream stream)
{
        if (in->attach && in->attach->full)
                return;
        if (in->log && in->guest && guest_is_live(in->guest))
                guest_ack(in->guest, stream, log_writer_offset(in->log, log_stream_of(stream)));
}

void instance_acknowledge(struct instance *in)
{
        acknowledge(in, GUEST_STDOUT);
        acknowledge(in, GUEST_STDERR);
}

static void on_guest_output(void *arg, enum guest_stream stream, uint64_t offset, const void *bytes,
                            size_t len)
{
        struct instance *in = arg;
        struct err err = ERR_INIT;

        if (!in->log)
                return;
        if (log_writer_append(in->log, log_stream_of(stream), offset, bytes, len, &err) < 0)
                log_warn("logs", in->id, "%s", err.msg);
        if (in->attach)
                in->attach->on_output(in->attach, stream, bytes, len);
        acknowledge(in, stream);
}

static void on_guest_output_end(void *arg, enum guest_stream stream, uint64_t offset)
{
        struct instance *in = arg;
        struct err err = ERR_INIT;

        (void)offset;
        if (in->log && log_writer_flush(in->log, log_stream_of(stream), &err) < 0)
                log_warn("logs", in->id, "%s", err.msg);
        if (in->log)
                acknowledge(in, stream);
        if (in->state == VM_BOOTING)
                return; /* of the run before: the next one starts when the guest has told it */
        in->open_streams &= ~BIT(stream);
        if (in->open_streams == 0 && in->attach)
                in->attach->on_output_end(in->attach);
        if (in->open_streams == 0 && in->vm &&
            (in->state == VM_STOPPING || (in->remove_wanted && in->state == VM_EXITED)))
                power_off(in);
}

static void on_guest_oom(void *arg, uint64_t count)
{
        instance_emit(arg, "oom", "", "the memory limit killed %llu process(es) of the service",
                      (unsigned long long)count);
}

static void on_guest_log(void *arg, const char *text)
{
        const struct instance *in = arg;

        log_debug("vminit", in->id, "%s", text);
}

static void on_guest_stats(void *arg, const struct guest_stats *stats)
{
        instance_tell_stats(arg, stats);
}

static void on_guest_exec_output(void *arg, void *exec, enum guest_stream stream, const void *bytes,
                                 size_t len)
{
        struct exec_session *session = exec;

        (void)arg;
        session->on_output(session, stream, bytes, len);
}

static void on_guest_exec_writable(void *arg, void *exec)
{
        const struct instance *in = arg;
        struct exec_session *session = exec;

        if (session && session->on_writable)
                session->on_writable(session);
        else if (!session && in->attach)
                in->attach->on_writable(in->attach);
}

static void on_guest_exec_exited(void *arg, void *exec, const struct guest_exit *exit)
{
        struct exec_session *session = exec;

        disown_session(arg, session);
        session->on_exited(session, exit);
}

void instance_reconnect(struct instance *in, const struct err *why)
{
        if (!in->vm || in->powered_off || in->state == VM_FAILED)
                return;
        if (++in->reconnects > RECONNECTS_MAX) {
                instance_fail(in, EXIT_VMM, why->msg);
                return;
        }
        ev_timer_stop(in->env->loop, &in->reconnect);
        ev_timer_set(&in->reconnect, RECONNECT_MS / 1000.0, 0.0);
        ev_timer_start(in->env->loop, &in->reconnect);
}

static void on_guest_lost(void *arg, const struct err *err)
{
        struct instance *in = arg;

        log_debug("guest", in->id, "%s", err->msg);
        drop_guest(in);
        instance_reconnect(in, err);
}

static const struct guest_callbacks guest_callbacks = {
        .on_hello = on_guest_hello,
        .on_phase = on_guest_phase,
        .on_configured = on_guest_configured,
        .on_started = on_guest_started,
        .on_exited = on_guest_exited,
        .on_output = on_guest_output,
        .on_output_end = on_guest_output_end,
        .on_oom = on_guest_oom,
        .on_log = on_guest_log,
        .on_stats = on_guest_stats,
        .on_exec_output = on_guest_exec_output,
        .on_exec_writable = on_guest_exec_writable,
        .on_exec_exited = on_guest_exec_exited,
        .on_lost = on_guest_lost,
};

int instance_connect(struct instance *in, struct err *err)
{
        AUTO_FREE char *path = file_join(in->dir, "guest.sock");
        int r;

        r = log_writer_open(in->env->logs, in->stack, in->service,
                            in->replica + in->lane * LOG_LANE, in->id, &in->log, err);
        if (r == 0)
                r = guest_connect(in->env->loop, path, log_writer_offset(in->log, LOG_STDOUT),
                                  log_writer_offset(in->log, LOG_STDERR), &guest_callbacks, in,
                                  &in->guest, err);
        if (r < 0 && in->log)
                log_writer_close(STEAL(in->log));
        return r;
}

static void on_reconnect_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct instance *in = container_of(w, struct instance, reconnect);
        struct err err = ERR_INIT;

        (void)loop;
        (void)revents;
        if (instance_connect(in, &err) < 0)
                instance_reconnect(in, &err);
}

/* --------------------------------------------------------------------------------------- health */

static void on_probe_change(struct probe *probe, void *ctx)
{
        struct instance *in = ctx;
        struct err err = ERR_INIT;
        static const char *const types[] = {[HEALTH_NONE] = NULL,
                                            [HEALTH_STARTING] = NULL,
                                            [HEALTH_HEALTHY] = "healthy",
                                            [HEALTH_UNHEALTHY] = "unhealthy"};

        if (probe->state != in->health_shown) {
                in->health_shown = probe->state;
                in->health_since_ms = in->env->now_ms(in->env);
                if (types[probe->state])
                        instance_emit(in, types[probe->state], "", "%s",
                                      probe->message ? probe->message : "healthcheck passed");
                if (in->state == VM_RUNNING && instance_save(in, &err) < 0)
                        log_warn("vm", in->id, "%s", err.msg);
        }
        in->env->on_change(in->env, in);
}

/* Where others reach it: a program that listens on loopback only is not healthy. */
static void address_text(const struct instance *in, char *ret)
{
        value_ip4_text(in->nics_len ? in->nics[0].ip : INADDR_LOOPBACK, ret);
}

void instance_update_probe(struct instance *in, const struct service *service)
{
        const struct image_entry *entry = images_find(in->env->images, in->image);
        char address[VALUE_IP4_MAX];
        struct probe_spec spec;

        if (in->state != VM_RUNNING || !in->guest || !guest_is_live(in->guest))
                return;
        address_text(in, address);
        probe_spec_resolve(service, entry ? entry->image : NULL, address, &spec);
        if (in->probe.guest == in->guest && probe_spec_equal(&spec, &in->probe.spec))
                probe_spec_release(&spec);
        else
                probe_start(&in->probe, in->guest, &spec, in->probe.state);
}

/* --------------------------------------------------------------------------------- birth, death */

struct instance *instance_new(struct instance_env *env, struct desired *desired,
                              const struct service *service, unsigned replica)
{
        struct instance *in = xnew(struct instance);
        char id[13];

        random_hex(id, 12);
        in->env = env;
        in->id = xstrdup(id);
        in->dir = xasprintf("%s/vm/%s", env->run_dir, id);
        in->scratch = xasprintf("%s/%s.ext4", env->scratch_dir, id);
        in->replica = replica;
        in->runs = 1;
        in->member_tap = -1;
        in->open_streams = BIT(GUEST_STDOUT) | BIT(GUEST_STDERR);
        in->times.decided = clock_mono_ns();
        in->since_ms = env->now_ms(env);
        if (desired) {
                in->desired = desired_ref(desired);
                in->stack = xstrdup(desired->stack->name);
                in->service = xstrdup(service->name);
                in->image_ref = xstrdup(service->image);
                in->image = xstrdup(
                        desired_image(desired, (size_t)(service - desired->stack->services)));
                in->stop_signal = xstrdup(service->stop_signal);
                in->stop_grace_ms = service->stop_grace_period_ms;
                in->post_start = hooks_to_json(&service->post_start);
                in->pre_stop = hooks_to_json(&service->pre_stop);
        }
        probe_init(&in->probe, env->loop, on_probe_change, in);
        ev_timer_init(&in->deadline, on_deadline, 0.0, 0.0);
        ev_timer_init(&in->reconnect, on_reconnect_due, 0.0, 0.0);
        return in;
}

void instance_free(struct instance *in)
{
        if (!in)
                return;
        instance_arm(in, 0);
        ev_timer_stop(in->env->loop, &in->reconnect);
        images_cancel(in->env->images, in);
        instance_forget_taps(in);
        instance_drop_member(in);
        drop_guest(in);
        probe_release(&in->probe);
        json_decref(in->post_start);
        json_decref(in->pre_stop);
        vm_free(in->vm);
        if (in->attach)
                in->attach->instance = NULL;
        guest_setup_free(in->setup);
        for (size_t i = 0; i < in->nics_len; i++) {
                free(in->nics[i].network);
                str_list_clear(&in->nics[i].aliases);
                if (in->nics[i].tap_fd >= 0)
                        (void)close(in->nics[i].tap_fd); /* a tap has no data to lose */
        }
        instance_free_ports(in);
        free(in->trouble);
        str_list_clear(&in->volumes);
        desired_unref(in->desired);
        free(in->nics);
        free(in->id);
        free(in->stack);
        free(in->service);
        free(in->image_ref);
        free(in->image);
        free(in->dir);
        free(in->scratch);
        free(in->message);
        free(in->stop_signal);
        free(in->rootfs);
        free(in->pool_reason);
        free(in);
}
