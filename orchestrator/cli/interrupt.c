/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/interrupt.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "base/mem.h"

int interrupt_open_for(const int *signals)
{
        sigset_t set;
        int fd;

        sigemptyset(&set);
        for (; *signals; signals++)
                sigaddset(&set, *signals);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                bug("sigprocmask");
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                bug("signalfd");
        return fd;
}

int interrupt_open(void)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, 0};

        return interrupt_open_for(signals);
}

int interrupt_read(int fd, int *ret_code)
{
        struct signalfd_siginfo info;

        if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
                return 0;
        if (ret_code)
                *ret_code = info.ssi_code;
        return (int)info.ssi_signo;
}
