/* SPDX-License-Identifier: Apache-2.0 */
#include "network/netd_end.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "network/netd_file.h"

/* What is read of netd's last words. */
#define NET_LOG_MAX 65536

/* A process that was killed, until it can be reaped. */
struct corpse {
        struct loop_child child;
        struct ev_loop *loop;
        pid_t pid;
};

static void on_corpse_exit(struct loop_child *child)
{
        struct corpse *c = container_of(child, struct corpse, child);
        int status;

        loop_child_stop(c->loop, child);
        (void)spawn_reap(c->pid, &status, NULL); /* fails for one that we adopted: not our child */
        loop_defer_free(c->loop, free, c);
}

void netd_end_kill(struct ev_loop *loop, pid_t pid, int pidfd)
{
        struct corpse *c = xnew(struct corpse);

        (void)fd_pidfd_signal(pidfd, SIGKILL, NULL); /* fails when it is gone already */
        c->loop = loop;
        c->pid = pid;
        loop_child_start(loop, &c->child, pidfd, on_corpse_exit);
}

void netd_end_words(const char *dir, const char *label, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, NETD_LOG);
        AUTO_FREE char *text = NULL;
        const char *line;
        size_t n;

        if (file_read(path, NET_LOG_MAX, &text, &n, NULL) < 0 || n == 0)
                return;
        if (text[n - 1] == '\n')
                text[n - 1] = '\0';
        line = strrchr(text, '\n');
        line = line ? line + 1 : text;
        if (has_prefix(line, "berth-netd: "))
                line += strlen("berth-netd: ");
        (void)err_set(err, EIO, "%s: %s", label, line);
}

void netd_end_describe(pid_t pid, char *ret, size_t size)
{
        siginfo_t info = {.si_pid = 0};

        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
                (void)snprintf(ret, size, "ended");
        else if (info.si_code == CLD_EXITED)
                (void)snprintf(ret, size, "ended with status %d", info.si_status);
        else
                (void)snprintf(ret, size, "was killed by signal %d", info.si_status);
}
