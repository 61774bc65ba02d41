/* SPDX-License-Identifier: Apache-2.0 */
#include "base/leash.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

int leash_make(struct leash *ret, struct err *err)
{
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe");
        *ret = (struct leash){.ours = fds[1], .theirs = fds[0]};
        return 0;
}

int leash_put_on(int fd)
{
        if (fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETSIG, SIGKILL) < 0)
                return -1;
        return fcntl(fd, F_SETFL, O_ASYNC);
}

void leash_pull(struct leash *leash)
{
        if (leash->ours >= 0)
                (void)close(leash->ours); /* a pipe that nobody reads: the closing is the message */
        if (leash->theirs >= 0)
                (void)close(leash->theirs);
        leash->ours = leash->theirs = -1;
}

void leash_let_go(struct leash *leash)
{
        if (leash->theirs >= 0)
                (void)fcntl(leash->theirs, F_SETFL, 0); /* cannot fail on a pipe of ours */
        leash_pull(leash);
}
