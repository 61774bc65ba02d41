/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "vz/vm.h"

/* A description of a descriptor has a line or two for each kind of file; a tap's is 80 bytes. */
#define FDINFO_MAX 4096

static bool is_tap(int fds, const char *fd)
{
        char target[sizeof("/dev/net/tun")];
        ssize_t n = readlinkat(fds, fd, target, sizeof(target));

        return n == (ssize_t)sizeof(target) - 1 && memcmp(target, "/dev/net/tun", (size_t)n) == 0;
}

/* "iff:\tvm0\n" names the device; nothing behind the tab: there is none any more. */
static bool has_no_device(pid_t pid, const char *fd)
{
        AUTO_FREE char *path = xasprintf("/proc/%d/fdinfo/%s", (int)pid, fd);
        AUTO_FREE char *text = NULL;
        size_t n;

        return file_read(path, FDINFO_MAX, &text, &n, NULL) == 0 && strstr(text, "\niff:\t\n");
}

bool vm_tap_lost(pid_t pid)
{
        AUTO_FREE char *path = xasprintf("/proc/%d/fd", (int)pid);
        AUTO_DIR DIR *dir = opendir(path);
        const struct dirent *de;

        while (dir && (de = readdir(dir)))
                if (is_tap(dirfd(dir), de->d_name) && has_no_device(pid, de->d_name))
                        return true;
        return false;
}
