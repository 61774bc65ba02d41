/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vminit/apply.h"
#include "vminit/balloon.h"
#include "vminit/cgroup.h"
#include "vminit/init.h"
#include "vminit/mounts.h"
#include "vminit/rehearse.h"
#include "vminit/rootfs.h"
#include "vminit/sys.h"

#define GRACE_MAX_MS \
        UINT64_C(86400000) /* a day; keeps the timer's arithmetic far from its limits */

/* The first second of a service is its own. */
#define BALLOON_AFTER_NS UINT64_C(1000000000)

static void watch(struct init *in, int fd, uint32_t events)
{
        /* Descriptors leave the set when they are closed; who it was for does not matter, see
         * main.c. */
        struct epoll_event event = {.events = events | EPOLLET, .data.fd = fd};
        if (fd >= 0)
                (void)epoll_ctl(in->epoll, EPOLL_CTL_ADD, fd,
                                &event); /* EEXIST: a pty is in and out */
}

void service_watch(struct init *in, struct session *s)
{
        if (s->tty) {
                watch(in, s->out[0], EPOLLIN | EPOLLOUT);
        } else {
                watch(in, s->in, EPOLLOUT);
                watch(in, s->out[0], EPOLLIN);
                watch(in, s->out[1], EPOLLIN);
        }
        watch(in, s->report, EPOLLIN);
}

void service_configure(struct init *in)
{
        init_phase(in, "configure");
        int rc = config_finish(&in->config, &in->fail);
        if (rc == 0)
                rc = apply_config(&in->config, &in->fail);
        /* The kernel makes it up when it is first read: after the seed, or all clones have the
         * same. */
        (void)sys_read_file("/proc/sys/kernel/random/boot_id", in->boot_id, sizeof(in->boot_id));
        in->state = rc ? WIRE_S_BROKEN : WIRE_S_CONFIGURED;
        in->tell_configured = true;
        if (rc) {
                init_log(in, "%s", in->fail.text);
                return;
        }
        init_phase(in, "configured");
        in->cgroup = cgroup_open();
        in->oom_events = cgroup_open_events();
        watch(in, in->oom_events, EPOLLPRI);
}

static void close_pidfd(struct init *in)
{
        if (in->main_pidfd >= 0)
                close(in->main_pidfd);
        in->main_pidfd = -1;
}

static void start(struct init *in)
{
        const struct config *c = &in->config;
        struct session *s = &in->sessions[0];
        struct launch l = {
                .config = c,
                .args = c->args,
                .env = c->env,
                .user = c->user,
                .workdir = c->workdir,
                .make_workdir = true,
                .tty = c->flags & WIRE_F_TTY,
                .privileged = c->flags & WIRE_F_PRIVILEGED,
                .cgroup = in->cgroup,
                .join = -1,
                .own_pid_ns = in->own_pid_ns,
        };
        in->run++;
        in->run_wanted = false;
        in->oom = false;
        in->oom_base = cgroup_oom_kills();
        if (s->state == SESSION_ENDED)
                session_free(s);
        struct fail renew;
        if (in->run > 1 && mounts_renew(c, &renew))
                init_log(in, "%s", renew.text); /* what was there stays */
        in->out_closed[0] = in->out_closed[1] = false;
        if (session_start(s, 0, &l, c->flags & WIRE_F_STDIN, 0, 0)) {
                in->state = WIRE_S_START_FAILED;
                in->tell_exited = true;
                return;
        }
        in->state = WIRE_S_STARTING;
        in->main_pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
        (void)fcntl(in->main_pidfd, F_SETFD, FD_CLOEXEC); /* it has it from birth */
        service_watch(in, s);
}

void service_run_if_wanted(struct init *in)
{
        bool idle = in->state == WIRE_S_CONFIGURED || in->state == WIRE_S_EXITED ||
                    in->state == WIRE_S_START_FAILED;
        bool told =
                !in->tell_exited && !in->tell_configured && !in->tell_end[0] && !in->tell_end[1];
        bool closed = in->out_closed[0] && in->out_closed[1];
        if (in->run_wanted && idle && told && (closed || in->run == 0))
                start(in);
}

/*
 * Pid 1 of a pid namespace does not get signals it has no handler for. Waiting for the end of a
 * process that cannot hear the question helps nobody.
 */
static bool can_hear(pid_t pid, int signo)
{
        char path[32], text[2048];
        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        if (sys_read_file(path, text, sizeof(text)) <= 0)
                return true;
        static const char *const masks[] = {"\nSigBlk:\t", "\nSigCgt:\t"};
        for (size_t i = 0; i < 2; i++) {
                const char *at = strstr(text, masks[i]);
                uint64_t mask = 0;
                if (!at)
                        return true;
                for (at += strlen(masks[i]); *at && *at != '\n'; at++)
                        mask = mask << 4 |
                               (uint64_t)(*at <= '9' ? *at - '0' : (*at | 32) - 'a' + 10);
                if (mask >> (signo - 1) & 1)
                        return true;
        }
        return false;
}

void service_kill(struct init *in)
{
        struct session *s = &in->sessions[0];
        if (s->pid > 0)
                (void)kill(s->pid, SIGKILL); /* and with pid 1 its whole namespace */
        cgroup_kill();
}

void service_stop(struct init *in, int signo, uint64_t grace_ms)
{
        struct session *s = &in->sessions[0];
        if (s->pid <= 0)
                return;
        if (signo == 0)
                signo = in->config.stop_signal > 0 && in->config.stop_signal < NSIG
                                ? (int)in->config.stop_signal
                                : SIGTERM;
        if (grace_ms == 0 || signo == SIGKILL || !can_hear(s->pid, signo)) {
                service_kill(in);
                return;
        }
        (void)kill(s->pid, signo); /* our child, not reaped */
        if (grace_ms > GRACE_MAX_MS)
                grace_ms = GRACE_MAX_MS;
        struct itimerspec when = {.it_value = {.tv_sec = (time_t)(grace_ms / 1000),
                                               .tv_nsec = (long)(grace_ms % 1000) * 1000000}};
        (void)timerfd_settime(in->timer, 0, &when, NULL); /* valid times on a valid timer */
}

void service_exec(struct init *in, uint32_t id)
{
        const struct config_exec *x = &in->exec;
        const struct config *c = &in->config;
        struct session *s = NULL;
        struct fail f;
        for (size_t i = 1; i < INIT_SESSIONS && !s; i++)
                s = in->sessions[i].state == SESSION_FREE ? &in->sessions[i] : NULL;
        if (!s) {
                /* Only with a host that opens more than WIRE_EXEC_MAX: it gets no answer. */
                init_log(in, "exec session %u: too many sessions", id);
                return;
        }
        if (x->n_args == 0 || in->state != WIRE_S_RUNNING) {
                (void)fail_status(&f, ESRCH, 126, "%s",
                                  x->n_args ? "the service is not running"
                                            : "exec: malformed request");
                session_refuse(s, id, &f);
                return;
        }
        struct launch l = {
                .config = c,
                .args = x->args,
                .env = c->env,
                .extra_env = x->env,
                .user = x->user && x->user[0] ? x->user : c->user,
                .workdir = x->workdir && x->workdir[0] ? x->workdir : c->workdir,
                .tty = x->tty,
                .privileged = x->privileged || c->flags & WIRE_F_PRIVILEGED,
                .cgroup = in->cgroup,
                .join = in->main_pidfd,
                .own_pid_ns = in->own_pid_ns,
        };
        if (session_start(s, id, &l, true, (unsigned)x->rows, (unsigned)x->cols) == 0)
                service_watch(in, s);
}

static void main_started(struct init *in)
{
        in->state = WIRE_S_RUNNING;
        in->tell_started = true;
        if (in->run == 1) {
                init_phase(in, "exec");
                in->balloon_ns = sys_now_ns() + BALLOON_AFTER_NS;
        }
}

int service_balloon(struct init *in)
{
        const struct config *c = &in->config;
        uint64_t now = sys_now_ns();
        struct fail f;
        if (in->balloon_ns == 0)
                return -1;
        if (now < in->balloon_ns)
                return (int)((in->balloon_ns - now) / 1000000) + 1;
        in->balloon_ns = 0;
        if (balloon_open(c->n_disks + c->shares.n + c->n_interfaces, &f))
                init_log(in, "%s", f.text); /* the service runs without */
        return -1;
}

static void main_ended(struct init *in, bool ran)
{
        static const struct itimerspec disarm = {0};
        if (ran && in->state == WIRE_S_STARTING)
                main_started(in);
        (void)timerfd_settime(in->timer, 0, &disarm, NULL); /* valid arguments */
        close_pidfd(in);
        cgroup_kill(); /* the namespace went with its pid 1; this is for what was being injected */
        in->oom_count = cgroup_oom_kills();
        in->oom = in->oom_count > in->oom_base;
        in->state = ran ? WIRE_S_EXITED : WIRE_S_START_FAILED;
        if (!ran && !in->sessions[0].failed)
                (void)fail_status(&in->sessions[0].fail, ECHILD, 126,
                                  "killed before it could start");
        in->tell_exited = true;
}

void service_check_reports(struct init *in)
{
        for (size_t i = 0; i < INIT_SESSIONS; i++) {
                bool started = session_check_report(&in->sessions[i]);
                if (started && i == 0)
                        main_started(in);
        }
}

void service_reap(struct init *in)
{
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                rehearse_reaped(in, pid, status);
                for (size_t i = 0; i < INIT_SESSIONS; i++) {
                        struct session *s = &in->sessions[i];
                        if (s->state == SESSION_FREE || s->pid != pid)
                                continue;
                        bool ran = session_reaped(s, status);
                        if (i == 0)
                                main_ended(in, ran);
                        break;
                }
        }
}

void service_check_oom(struct init *in)
{
        uint64_t count = in->oom_events < 0 ? 0 : cgroup_oom_kills();
        if (count > in->oom_count) {
                in->oom_count = count;
                in->tell_oom = true;
        }
}

/* Wait until no child is left, but not for ever: one may hang in the kernel. */
static void wait_for_all(void)
{
        sigset_t set;
        const struct timespec limit = {.tv_sec = 2};
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        for (;;) {
                pid_t pid = waitpid(-1, NULL, WNOHANG);
                if (pid < 0 && errno == ECHILD)
                        return;
                if (pid == 0 && sigtimedwait(&set, NULL, &limit) < 0 && errno == EAGAIN)
                        return;
        }
}

_Noreturn void service_poweroff(void)
{
        (void)kill(-1, SIGKILL); /* everybody but us */
        wait_for_all();
        rootfs_unmount();
        sys_say("power off"); /* in the boot log: tells an end from a crash */
        /*
         * Without ACPI there is no power to turn off. With `reboot=t` a restart is a triple fault,
         * which ends QEMU -no-reboot at once.
         */
        (void)reboot(RB_AUTOBOOT);
        (void)reboot(RB_HALT_SYSTEM);
        for (;;)
                (void)pause();
}
