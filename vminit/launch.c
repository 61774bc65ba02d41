/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "vminit/port_probe.h"
#include "vminit/sys.h"

bool launch_is_kept(const struct launch *l)
{
        return l->join >= 0 && !(l->config->flags & WIRE_F_INIT) &&
               strcmp(l->args[0], PORT_PROBE) != 0;
}

int launch_start(const struct launch *l, pid_t *ret_pid, int *ret_report, struct fail *f)
{
        int report[2];
        uint64_t flags = l->join >= 0 ? 0 : CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWCGROUP;
        if (pipe2(report, O_CLOEXEC))
                return fail_set(f, errno, "create a pipe");
        /* Entering a pid namespace concerns children only, so it is vminit that enters, and comes
         * back. */
        int code = l->join >= 0 && setns(l->join, CLONE_NEWPID) ? errno : 0;
        pid_t pid = code ? -1 : sys_clone(flags, launch_is_kept(l) ? -1 : l->cgroup);
        if (pid == 0) {
                close(report[0]);
                launch_child(l, report[1]);
        }
        if (pid < 0 && !code)
                code = errno;
        if (l->join >= 0 && setns(l->own_pid_ns, CLONE_NEWPID))
                sys_say("cannot return to the first pid namespace: %s", strerror(errno));
        close(report[1]);
        if (code) {
                close(report[0]);
                return fail_set(f, code, "start a process");
        }
        (void)fcntl(report[0], F_SETFL, O_NONBLOCK); /* cannot fail on a pipe of ours */
        *ret_pid = pid;
        *ret_report = report[0];
        return 0;
}

int launch_report(int report, struct fail *f)
{
        struct fail got = {0};
        ssize_t n = read(report, &got, sizeof(got)); /* pipe writes of this size are atomic */
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n != (ssize_t)sizeof(got))
                return 1;
        got.text[sizeof(got.text) - 1] = '\0';
        *f = got;
        return got.code ? -got.code : -EIO;
}
