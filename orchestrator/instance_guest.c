/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest tells, and what it is asked in answer. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/instance_internal.h"

/* A guest that breaks off is given this many chances before its VM is killed. */
#define RECONNECTS_MAX 3
#define RECONNECT_MS   200

static const struct guest_callbacks guest_callbacks;

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

static void send_configuration(struct instance *in)
{
        struct guest_config config = *guest_setup_config(in->setup);
        struct err err = ERR_INIT;

        in->times.configured = 0; /* if it was, that guest is gone */
        random_bytes(config.seed, sizeof(config.seed));
        config.clock_ns = (uint64_t)clock_wall_ns();
        if (guest_configure(in->guest, &config, &err) < 0) {
                instance_fail(in, EXIT_BOOT, err.msg);
                return;
        }
        in->run_waits = true;
        instance_run(in);
}

/* It is configured, and has its network: nothing takes the place of this VM any more. */
static void settle(struct instance *in)
{
        const char *why = vm_birth_reason(in->vm);

        if (in->run_waits || !in->times.configured)
                return;
        guest_setup_free(STEAL(in->setup));
        instance_judge_pool(in, *why ? why : NULL);
}

/* Its service may wait for long: it works, and has all the time. */
static void stay_ahead(struct instance *in)
{
        if (!vm_confirm(in->vm))
                return;
        instance_arm(in, 0);
        in->env->on_change(in->env, in);
}

void instance_run(struct instance *in)
{
        struct err err = ERR_INIT;

        if (!in->run_waits || in->ahead || !instance_has_taps(in))
                return;
        if (!vm_confirm(in->vm))
                return;
        in->run_waits = false;
        if (guest_run(in->guest, &err) < 0)
                instance_fail(in, EXIT_BOOT, err.msg);
        else
                settle(in);
}

static void note_kernel_time(struct instance *in, const struct guest_phase *phase)
{
        if (streq(phase->name, "vminit"))
                in->times.kernel_ns = (int64_t)phase->guest_ns;
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
                        instance_arm(in, INSTANCE_OUTPUT_DRAIN_MS);
                else
                        instance_power_off(in);
                return;
        }
        if (in->state != VM_RUNNING && in->state != VM_BOOTING)
                return;
        instance_arm(in, 0);
        if (in->ending != EXIT_NONE) {
                enum exit_reason why = in->ending;
                AUTO_FREE char *message = xstrdup(in->message);

                in->ending = EXIT_NONE;
                instance_end_run(in, VM_EXITED, why, exit->code, message);
                instance_emit(in, "exited", exit_reason_name(why), "%s", message ? message : "");
                return;
        }
        instance_end_run(in, VM_EXITED, exit_reason_of(exit), exit->code, exit->text);
        instance_emit(in, "exited", exit_reason_name(exit_reason_of(exit)), "exit code %d%s%s",
                      exit->code, *exit->text ? ": " : "", exit->text);
}

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
                              "service runs after %lld ms%s%s%s%s", ms,
                              in->was_ahead ? " (its VM was made while it waited)" : "",
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
        instance_note(in);
}

/* A guest that nobody has configured; it must not be before a claimed VM has its disks. */
void instance_configure_new(struct instance *in)
{
        in->greeted = in->vm && !vm_is_up(in->vm);
        if (in->greeted)
                return;
        if (in->vm)
                in->times.spawned = vm_spawned_ns(in->vm); /* not the first, if a clone failed */
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
        in->open_streams = INSTANCE_STREAMS;
        instance_arm(in, 0);
        hook_runner_start(&in->hooks, in->guest, "post_start", in->post_start, on_post_start_done,
                          in);
}

/* It was lost, or inherited, in the middle of its start. A daemon that ends does not move the tap
 * of a machine any more, and whether it had is not known. */
static void run_configured(struct instance *in)
{
        if (!in->desired && vm_birth(in->vm) == VM_POOL) {
                instance_fail(in, EXIT_VMM, "the daemon ended before the VM had its network");
                return;
        }
        in->times.configured = clock_mono_ns();
        in->run_waits = true;
        instance_run(in);
}

static void on_guest_hello(void *arg, const struct guest_hello *hello)
{
        struct instance *in = arg;

        log_debug("guest", in->id, "answers: state=%d run=%llu", (int)hello->state,
                  (unsigned long long)hello->run);
        in->reconnects = 0;
        if (*hello->boot_id)
                (void)snprintf(in->boot_id, sizeof(in->boot_id), "%s", hello->boot_id);
        for (size_t i = 0; i < hello->n_phases; i++)
                note_kernel_time(in, &hello->phases[i]);
        if (!in->times.hello)
                in->times.hello = clock_mono_ns();
        switch (hello->state) {
        case WIRE_S_NEW:
                instance_configure_new(in);
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
                if (in->state == VM_BOOTING)
                        run_configured(in);
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
        if (!in->run_waits)
                guest_setup_free(STEAL(in->setup));
        if (in->state == VM_STOPPING)
                instance_power_off(in);
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
        if (text)
                instance_fail(in, EXIT_BOOT, text);
        else if (in->ahead)
                stay_ahead(in);
        else
                settle(in);
}

void instance_go_on(struct instance *in)
{
        int64_t *times[] = {&in->times.spawned, &in->times.up, &in->times.hello,
                            &in->times.configured};
        struct err err = ERR_INIT;

        in->was_ahead = true;
        in->since_ms = in->env->now_ms(in->env);
        in->times.decided = clock_mono_ns();
        in->times.kernel_ns = 0;
        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
                if (*times[i])
                        *times[i] = in->times.decided;
        if (!in->vm)
                return;
        vm_hurry(in->vm);
        instance_arm(in, INSTANCE_BOOT_TIMEOUT_MS);
        if (instance_save(in, &err) < 0)
                instance_fail(in, EXIT_BOOT, err.msg);
        else
                instance_run(in);
}

static void on_guest_started(void *arg, uint64_t run, int pid)
{
        struct instance *in = arg;

        (void)run;
        (void)pid;
        if (in->state == VM_BOOTING)
                run_reported(in);
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
        in->open_streams &= ~INSTANCE_STREAM(stream);
        if (in->open_streams == 0 && in->attach)
                in->attach->on_output_end(in->attach);
        if (in->open_streams == 0 && in->vm &&
            (in->state == VM_STOPPING || (in->remove_wanted && in->state == VM_EXITED)))
                instance_power_off(in);
}

static void on_guest_oom(void *arg, uint64_t count)
{
        instance_emit(arg, "oom", "", "the memory limit killed %llu process%s of the service",
                      (unsigned long long)count, count == 1 ? "" : "es");
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
        instance_drop_guest(in);
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

void instance_on_reconnect_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct instance *in = container_of(w, struct instance, reconnect);
        struct err err = ERR_INIT;

        (void)loop;
        (void)revents;
        if (instance_connect(in, &err) < 0)
                instance_reconnect(in, &err);
}
