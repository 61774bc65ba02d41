/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#        define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

static int write_and_close(int fd, const void *bytes, size_t len)
{
        const char *p = bytes;
        while (len > 0) {
                ssize_t n = write(fd, p, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        int code = errno;
                        close(fd);
                        return -code;
                }
                p += n;
                len -= (size_t)n;
        }
        return close(fd) ? -errno : 0;
}

int sys_write_file(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 ? -errno : write_and_close(fd, text, strlen(text));
}

int sys_create_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (fchmod(fd, mode)) {
                int code = errno;
                close(fd);
                return -code;
        }
        return write_and_close(fd, bytes, len);
}

ssize_t sys_read_file(const char *path, char *buf, size_t size)
{
        buf[0] = '\0';
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        size_t len = 0;
        ssize_t n = 0;
        while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
                len += (size_t)n;
        int code = n < 0 ? errno : 0;
        close(fd);
        if (code)
                return -code;
        if (len > 0 && buf[len - 1] == '\n')
                len--;
        buf[len] = '\0';
        return (ssize_t)len;
}

bool sys_find_value(const char *text, const char *key, uint64_t *ret_value)
{
        size_t len = strlen(key);
        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, len) != 0 || (line[len] != ' ' && line[len] != ':'))
                        continue;
                const char *p = line + len + strspn(line + len, ": \t");
                uint64_t value = 0;
                if (*p < '0' || *p > '9')
                        return false;
                for (; *p >= '0' && *p <= '9'; p++)
                        value = value * 10 + (uint64_t)(*p - '0');
                *ret_value = value;
                return true;
        }
        return false;
}

bool sys_parse_u64(const char *text, uint64_t *ret_value)
{
        uint64_t value = 0;
        if (!*text)
                return false;
        for (const char *p = text; *p; p++) {
                unsigned digit = (unsigned)(*p - '0');
                if (digit > 9 || value > (UINT64_MAX - digit) / 10)
                        return false;
                value = value * 10 + digit;
        }
        *ret_value = value;
        return true;
}

uint64_t sys_now_ns(void)
{
        struct timespec ts = {0};
        (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void sys_say(const char *fmt, ...)
{
        char line[512] = "<4>vminit: ";
        size_t len = strlen(line);
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(line + len, sizeof(line) - len - 1, fmt, args); /* a cut one is still one */
        va_end(args);
        /* Without it the kernel keeps the line back until the next one comes. */
        line[strlen(line) + 1] = '\0';
        line[strlen(line)] = '\n';
        (void)sys_write_file("/dev/kmsg", line); /* there is nobody else to tell */
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
        return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int sys_openat_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
        struct open_how how = {
                .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
                .mode = mode,
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };
        return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

pid_t sys_clone(uint64_t flags, int cgroup_fd)
{
        struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
        if (cgroup_fd >= 0) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)cgroup_fd;
        }
        return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int sys_close_range(unsigned first)
{
        return (int)syscall(SYS_close_range, first, ~0u, 0);
}

int sys_close_range_cloexec(unsigned first)
{
        return (int)syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC);
}

int sys_capset(uint64_t permitted)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2] = {0};
        data[0].permitted = data[0].effective = (uint32_t)permitted;
        data[1].permitted = data[1].effective = (uint32_t)(permitted >> 32);
        return (int)syscall(SYS_capset, &header, data);
}
