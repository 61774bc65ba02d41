/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/reaper.h"

#include <errno.h>
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

static _Noreturn void reap(pid_t program, const sigset_t *all)
{
        /* What vminit has open is not for a process that the service's own may look into. */
        (void)sys_close_range(3);
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail */
        (void)prctl(PR_SET_NAME, "init", 0, 0, 0);
        for (;;) {
                int signo = sigwaitinfo(all, NULL);
                if (signo == SIGCHLD)
                        bury(program);
                else if (signo > 0)
                        (void)kill(program, signo); /* our child, not buried */
        }
}

int reaper_become(bool tty, struct fail *f)
{
        sigset_t all;
        sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, NULL); /* cannot fail */
        pid_t pid = fork();
        if (pid < 0)
                return fail_set(f, errno, "start a process below init");
        if (pid > 0)
                reap(pid, &all);
        /* A group of its own: Ctrl-C is for the program, not for init. */
        if (setpgid(0, 0) || (tty && tcsetpgrp(0, getpid())))
                return fail_set(f, errno, "set up the program's process group");
        return 0;
}
