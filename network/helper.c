/* SPDX-License-Identifier: Apache-2.0 */
#include "network/helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"

static void helper_live(const char *name, void (*serve)(int sock, void *ctx), void *ctx, int sock)
        __attribute__((noreturn));

static void helper_live(const char *name, void (*serve)(int sock, void *ctx), void *ctx, int sock)
{
        (void)prctl(PR_SET_NAME, name);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close_range(3, (unsigned)sock - 1, 0); /* the control socket above all */
        (void)close_range((unsigned)sock + 1, ~0U, 0);
        serve(sock, ctx);
        _exit(0);
}

int helper_start(const char *name, void (*serve)(int sock, void *ctx), void *ctx, int timeout_s,
                 int *ret_sock, struct err *err)
{
        const struct timeval timeout = {.tv_sec = timeout_s};
        AUTO_CLOSE int ours = -1;
        AUTO_CLOSE int theirs = -1;
        int pair[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_errno(err, errno, "socket pair");
        ours = pair[0];
        theirs = pair[1];
        pid = fork();
        if (pid < 0)
                return err_errno(err, errno, "fork");
        if (pid == 0)
                helper_live(name, serve, ctx, theirs);
        (void)setsockopt(ours, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        *ret_sock = steal_fd(&ours);
        return 0;
}
