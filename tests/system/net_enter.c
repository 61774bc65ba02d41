/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_enter PID COMMAND...: run a command in the network (and user) namespace of a netd, with the
 * capabilities that this gives. nsenter loses them when an ordinary user runs it.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int enter(const char *pid, const char *kind, int flag)
{
        char path[64];
        struct stat theirs, ours;
        int fd;

        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
        if (stat(path, &ours) < 0)
                return -1;
        (void)snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, kind);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &theirs) < 0)
                return -1;
        if (ours.st_ino == theirs.st_ino)
                return 0;
        return setns(fd, flag);
}

static int keep_capabilities(void)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_capget, &header, data) < 0)
                return -1;
        data[0].inheritable = data[0].permitted;
        data[1].inheritable = data[1].permitted;
        if (syscall(SYS_capset, &header, data) < 0)
                return -1;
        for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
                (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
        return 0;
}

int main(int argc, char **argv)
{
        if (argc < 3)
                return 2;
        if (enter(argv[1], "user", CLONE_NEWUSER) < 0 || enter(argv[1], "net", CLONE_NEWNET) < 0 ||
            keep_capabilities() < 0) {
                perror("net_enter");
                return 1;
        }
        (void)execvp(argv[2], argv + 2);
        perror(argv[2]);
        return 127;
}
