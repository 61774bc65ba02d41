/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash points: an operation runs in a child that is killed (ptrace) at the entry of its n-th
 * system call that changes files. The test looks at what is on disk then.
 */
#ifndef TESTS_CRASH_H
#define TESTS_CRASH_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"

#define CRASH_NEVER 0    /* as n: it runs to its end */
#define CRASH_MAX   2000 /* points: far above what any operation writes */

static bool crash_writes(const struct __ptrace_syscall_info *info)
{
        static const uint64_t calls[] = {
                SYS_write,    SYS_pwrite64,  SYS_writev,    SYS_pwritev,
                SYS_fsync,    SYS_fdatasync, SYS_ftruncate, SYS_fallocate,
                SYS_renameat, SYS_renameat2, SYS_unlinkat,  SYS_mkdirat,
                SYS_linkat,   SYS_symlinkat, SYS_fchmod,    SYS_copy_file_range,
#ifdef SYS_unlink
                SYS_unlink,   SYS_rename,    SYS_mkdir,     SYS_rmdir,
                SYS_link,     SYS_chmod,
#endif
        };

        if (info->op != PTRACE_SYSCALL_INFO_ENTRY)
                return false;
        if (info->entry.nr == SYS_openat)
                return info->entry.args[2] & O_CREAT;
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
                if (info->entry.nr == calls[i])
                        return true;
        return false;
}

/* Let it run up to its n-th writing call and kill it there. Its exit status; -1: it was killed. */
static int crash_until(pid_t pid, unsigned n)
{
        struct __ptrace_syscall_info info;
        unsigned seen = 0;
        int status;

        if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
                return 3;
        (void)ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
        for (;;) {
                if (ptrace(PTRACE_SYSCALL, pid, 0, 0) < 0 || waitpid(pid, &status, 0) < 0)
                        return 3;
                if (WIFEXITED(status))
                        return WEXITSTATUS(status);
                if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
                        continue;
                if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0 ||
                    !crash_writes(&info) || ++seen != n)
                        continue;
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, &status, 0);
                return -1;
        }
}

/**
 * Run operation(ctx) in a child up to its n-th change of files. Its exit status, which is what
 * operation returned; -1: it was killed.
 */
static int crash_run(int (*operation)(void *ctx), void *ctx, unsigned n)
{
        pid_t pid;

        (void)fflush(stdout);
        pid = fork();
        if (pid < 0)
                return 3;
        if (pid > 0)
                return crash_until(pid, n);
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 || raise(SIGSTOP) != 0)
                _exit(2);
        _exit(operation(ctx));
}

#endif
