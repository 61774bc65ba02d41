/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/reaper.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vminit/sys.h"

/* All that ended; the program's end is ours, and with it that of the whole namespace. */
static void bury(pid_t program)
{
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid == program)
                        _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
        }
}

static void forget_vminit(unsigned first_fd, const char *name)
{
        /* What vminit has open is not for a process that the service's own may look into. */
        (void)sys_close_range(first_fd);
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail */
        (void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

static _Noreturn void reap(pid_t program, const sigset_t *all)
{
        forget_vminit(3, "init");
        for (;;) {
                int signo = sigwaitinfo(all, NULL);
                if (signo == SIGCHLD)
                        bury(program);
                else if (signo > 0)
                        (void)kill(program, signo); /* our child, not buried */
        }
}

static _Noreturn void end_as(int status)
{
        if (WIFSIGNALED(status)) {
                const struct sigaction sa = {.sa_handler = SIG_DFL};
                sigset_t none;
                (void)sigaction(WTERMSIG(status), &sa, NULL); /* KILL refuses, rightly */
                (void)kill(getpid(), WTERMSIG(status));       /* blocked */
                sigemptyset(&none);
                (void)sigprocmask(SIG_SETMASK, &none, NULL); /* and delivered here */
        }
        _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* All that ended; what the program leaves behind goes to pid 1, as it would without us. */
static void end_with(pid_t program)
{
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid == program)
                        end_as(status);
        }
}

/* A process that can be waited for has handed its children to us already: none is missed. */
static _Noreturn void end_group(pid_t program)
{
        int status = 0;
        (void)kill(-program, SIGKILL);
        (void)kill(program, SIGKILL); /* before its setpgid it leads no group */
        (void)waitpid(program, &status, 0);
        while (waitpid(-program, NULL, 0) > 0) {
        }
        end_as(status);
}

static _Noreturn void keep(pid_t program, const sigset_t *all)
{
        forget_vminit(0, "exec");
        (void)sys_capset(UINT64_C(1) << CAP_KILL); /* fewer are always allowed */
        for (;;) {
                siginfo_t info;
                int signo = sigwaitinfo(all, &info);
                if (signo == SIGCHLD)
                        end_with(program);
                else if (signo == REAPER_ORDER && info.si_value.sival_int == 0)
                        end_group(program);
                else if (signo == REAPER_ORDER)
                        (void)kill(program, info.si_value.sival_int);
                else if (signo > 0)
                        (void)kill(program, signo); /* our child, not buried */
        }
}

/* The parent becomes BECOME, which does not return; the child leads a group of its own. */
static int split(bool tty, int cgroup, void (*become)(pid_t program, const sigset_t *all),
                 struct fail *f)
{
        sigset_t all;
        sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, NULL); /* cannot fail */
        pid_t pid = sys_clone(0, cgroup);
        if (pid < 0)
                return fail_set(f, errno, "start a process");
        if (pid > 0)
                become(pid, &all);
        /* A group of its own: Ctrl-C is for the program, not for init. */
        if (setpgid(0, 0) || (tty && tcsetpgrp(0, getpid())))
                return fail_set(f, errno, "set up the program's process group");
        return 0;
}

int reaper_become(bool tty, struct fail *f)
{
        return split(tty, -1, reap, f);
}

int reaper_keep(bool tty, int cgroup, struct fail *f)
{
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* cannot fail */
        return split(tty, cgroup, keep, f);
}
