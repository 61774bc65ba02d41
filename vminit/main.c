/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "vminit/apply.h"
#include "vminit/init.h"
#include "vminit/rehearse.h"
#include "vminit/rootfs.h"
#include "vminit/sys.h"

/*
 * vminit: pid 1 of a berth VM. See init.h for how the parts work together and docs/wire.md for what
 * it speaks with the host.
 */

#define EVENTS_MAX 32

void init_phase(struct init *in, const char *name)
{
        if (in->n_phases >= INIT_PHASES)
                return;
        struct init_phase *phase = &in->phases[in->n_phases++];
        (void)snprintf(phase->name, sizeof(phase->name), "%s", name); /* names are ours and short */
        phase->ns = sys_now_ns();
}

void init_log(struct init *in, const char *fmt, ...)
{
        char text[FAIL_TEXT_MAX];
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(text, sizeof(text), fmt, args); /* a cut message is still one */
        va_end(args);
        sys_say("%s", text);
        if (in->n_logs < INIT_LOGS)
                memcpy(in->logs[in->n_logs++], text, sizeof(text));
}

void init_work(struct init *in)
{
        bool moved = true;
        while (moved) {
                struct wire_frame frame;
                moved = false;
                while (port_next(&in->port, &frame)) {
                        host_frame(in, &frame);
                        moved = true;
                }
                if (in->poweroff_wanted)
                        service_poweroff();
                service_run_if_wanted(in);
                for (size_t i = 0; i < INIT_SESSIONS; i++) {
                        if (in->sessions[i].state != SESSION_FREE)
                                session_push(&in->sessions[i]);
                }
                moved = talk(in) || moved;
                moved = port_flush(&in->port) || moved;
        }
}

/*
 * Events only say where to look, and looking costs one EAGAIN: so they set flags generously instead
 * of being matched with the stream they belong to.
 */
static void take_event(struct init *in, const struct epoll_event *event)
{
        if (event->data.fd == in->port.fd) {
                in->port.readable = in->port.writable = true;
        } else if (event->data.fd == in->signals) {
                struct signalfd_siginfo info;
                while (read(in->signals, &info, sizeof(info)) > 0) {
                }
                service_reap(in);
        } else if (event->data.fd == in->timer) {
                uint64_t expirations;
                if (read(in->timer, &expirations, sizeof(expirations)) > 0)
                        service_kill(in);
        } else if (event->data.fd == in->oom_events) {
                service_check_oom(in);
        } else {
                for (size_t i = 0; i < INIT_SESSIONS; i++) {
                        struct session *s = &in->sessions[i];
                        if (s->state != SESSION_FREE)
                                s->in_ready = s->out_ready[0] = s->out_ready[1] = true;
                }
                service_check_reports(in);
        }
}

static void add(struct init *in, int fd, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.fd = fd};
        if (epoll_ctl(in->epoll, EPOLL_CTL_ADD, fd, &event))
                sys_say("epoll_ctl: %s", strerror(errno));
}

static int open_events(struct init *in, struct fail *f)
{
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        (void)sigprocmask(SIG_BLOCK, &set, NULL); /* cannot fail */
        in->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        in->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        in->epoll = epoll_create1(EPOLL_CLOEXEC);
        in->own_pid_ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
        if (in->signals < 0 || in->timer < 0 || in->epoll < 0 || in->own_pid_ns < 0)
                return fail_set(f, errno, "set up the event loop");
        add(in, in->signals, EPOLLIN);
        add(in, in->timer, EPOLLIN);
        add(in, in->port.fd, EPOLLIN | EPOLLOUT | EPOLLET);
        return 0;
}

static int boot(struct init *in, struct fail *f)
{
        (void)umask(0);
        const struct sigaction ignore = {.sa_handler = SIG_IGN};
        (void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail */
        init_phase(in, "vminit");
        int rc = rootfs_boot(f);
        if (rc)
                return rc;
        /* Standard streams exist and lead nowhere; everything opened later has a number above 2. */
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int i = 0; i < 3; i++) {
                if (null != i && dup2(null, i) < 0)
                        return fail_set(f, errno, "open /dev/null");
        }
        if (null > 2)
                close(null);
        rc = apply_boot(f);
        if (rc)
                return rc;
        struct utsname uts;
        if (uname(&uts) == 0)
                sys_say("Linux %s is up", uts.release);
        /* What the kernel has to say at boot is said. Notices of devices that come and go cost time
         * in every clone; warnings and what we say pass. */
        (void)klogctl(8, NULL, 5); /* its time is all that is lost */
        config_reset(&in->config);
        in->cgroup = in->oom_events = in->main_pidfd = -1;
        rc = port_open(&in->port, f);
        if (rc == 0)
                rc = open_events(in, f);
        init_phase(in, "channel");
        return rc;
}

int main(int argc, char **argv)
{
        static struct init in;
        struct fail f;
        if (argc == 2 && strcmp(argv[1], REHEARSE_ARGUMENT) == 0)
                return 0; /* it plays a service */
        if (getpid() != 1) {
                static const char usage[] = "vminit is the first process of a berth VM\n";
                (void)!write(2, usage, sizeof(usage) - 1); /* there is nobody else to tell */
                return 2;
        }
        if (boot(&in, &f)) {
                sys_say("%s", f.text);
                service_poweroff();
        }
        for (;;) {
                struct epoll_event events[EVENTS_MAX];
                init_work(&in);
                int n = epoll_wait(in.epoll, events, EVENTS_MAX, service_balloon(&in));
                for (int i = 0; i < n; i++)
                        take_event(&in, &events[i]);
        }
}
