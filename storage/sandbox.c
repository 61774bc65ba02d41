/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/sandbox.h"

#include <assert.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "storage/worker.h"

#define CPU_SECONDS 3600
#define MEMORY_MAX  (UINT64_C(3) << 30) /* a tree of TREE_NODES_MAX names stays below 1 GiB */
#define FILE_MAX    (UINT64_C(4) << 40) /* apparent size of a sparse disk */

#if defined(__SANITIZE_ADDRESS__)
#        define SANITIZED 1
#elif defined(__has_feature)
#        if __has_feature(address_sanitizer)
#                define SANITIZED 1
#        endif
#endif
#ifndef SANITIZED
#        define SANITIZED 0
#endif

#if defined(__x86_64__)
#        define SANDBOX_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#        define SANDBOX_ARCH AUDIT_ARCH_AARCH64
#endif

/* Files that are open or may be opened by who it is, memory, time, signals to itself. No exec. */
static const int allowed[] = {
        SYS_read,          SYS_write,
        SYS_pread64,       SYS_pwrite64,
        SYS_readv,         SYS_writev,
        SYS_openat,        SYS_close,
        SYS_fstat,         SYS_newfstatat,
        SYS_statx,         SYS_lseek,
        SYS_ftruncate,     SYS_fallocate,
        SYS_fsync,         SYS_fdatasync,
        SYS_renameat2,     SYS_unlinkat,
        SYS_fcntl,         SYS_ioctl,
        SYS_fadvise64,     SYS_ppoll,
        SYS_mmap,          SYS_munmap,
        SYS_mremap,        SYS_mprotect,
        SYS_madvise,       SYS_brk,
        SYS_futex,         SYS_getrandom,
        SYS_clock_gettime, SYS_gettimeofday,
        SYS_uname,         SYS_sysinfo,
        SYS_getpid,        SYS_gettid,
        SYS_getuid,        SYS_geteuid,
        SYS_getgid,        SYS_getegid,
        SYS_rt_sigaction,  SYS_rt_sigprocmask,
        SYS_rt_sigreturn,  SYS_restart_syscall,
        SYS_tgkill,        SYS_exit,
        SYS_exit_group,    SYS_prlimit64,
        SYS_renameat,      SYS_sync_file_range,
#if defined(__x86_64__)
        SYS_poll,          SYS_rename,
        SYS_unlink,
#endif
};

/* What speaking over the network takes besides; threads are those of curl's name resolver. */
static const int network[] = {
        SYS_socket,
        SYS_connect,
        SYS_sendto,
        SYS_recvfrom,
        SYS_sendmsg,
        SYS_recvmsg,
        SYS_sendmmsg,
        SYS_recvmmsg,
        SYS_getsockopt,
        SYS_setsockopt,
        SYS_getsockname,
        SYS_getpeername,
        SYS_bind,
        SYS_shutdown,
        SYS_socketpair,
        SYS_epoll_create1,
        SYS_epoll_ctl,
        SYS_epoll_pwait,
        SYS_eventfd2,
        SYS_pipe2,
        SYS_timerfd_create,
        SYS_timerfd_settime,
        SYS_clone,
        SYS_clone3,
        SYS_set_robust_list,
        SYS_rseq,
        SYS_sched_yield,
        SYS_sched_getaffinity,
        SYS_flock,
        SYS_getdents64,
        SYS_set_tid_address,
        SYS_clock_nanosleep,
        SYS_readlinkat,
        SYS_faccessat,
        SYS_faccessat2,
        SYS_fstatfs,
        SYS_statfs,
#if defined(__x86_64__)
        SYS_epoll_wait,
        SYS_readlink,
        SYS_access,
        SYS_open,
        SYS_stat,
        SYS_lstat,
        SYS_time,
        SYS_select,
#endif
};

/* What it takes to start processes that do less. */
static const int parent[] = {
        SYS_clone,       SYS_wait4,           SYS_kill,
        SYS_pipe2,       SYS_prctl,           SYS_dup3,
        SYS_close_range, SYS_getppid,         SYS_set_robust_list,
        SYS_rseq,        SYS_copy_file_range,
#if defined(__x86_64__)
        SYS_dup2,
#endif
};

static const int child[] = {
        SYS_read,   SYS_write,  SYS_lseek,          SYS_fstat,        SYS_close,
        SYS_mmap,   SYS_munmap, SYS_mremap,         SYS_mprotect,     SYS_madvise,
        SYS_brk,    SYS_futex,  SYS_clock_gettime,  SYS_gettimeofday, SYS_getrandom,
        SYS_getpid, SYS_gettid, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_restart_syscall,
        SYS_tgkill, SYS_exit,   SYS_exit_group,     SYS_newfstatat,   SYS_getppid,
};

struct call_list {
        const int *calls;
        unsigned len;
};

#define CALLS_MAX 250

static_assert(ARRAY_SIZE(allowed) + ARRAY_SIZE(network) <= CALLS_MAX &&
                      ARRAY_SIZE(allowed) + ARRAY_SIZE(parent) <= CALLS_MAX,
              "a jump's length is one byte");

static int filter_calls(struct call_list one, struct call_list two, struct err *err)
{
#ifdef SANDBOX_ARCH
        enum { HEAD = 4 };
        struct sock_filter code[HEAD + CALLS_MAX + 2] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        };
        unsigned count = one.len + two.len;
        const struct sock_fprog program = {.len = (unsigned short)(HEAD + count + 2),
                                           .filter = code};

        for (unsigned i = 0; i < count; i++) {
                int call = i < one.len ? one.calls[i] : two.calls[i - one.len];

                code[HEAD + i] = (struct sock_filter)BPF_JUMP(
                        BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, (unsigned char)(count - i), 0);
        }
        code[HEAD + count] =
                (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        code[HEAD + count + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                return err_errno(err, errno, "limit system calls");
#else
        (void)one;
        (void)two;
        (void)err;
        (void)allowed;
        (void)network;
        (void)parent;
        (void)child;
#endif
        return 0;
}

static int limit(int resource, uint64_t value, const char *what, struct err *err)
{
        const struct rlimit rl = {.rlim_cur = value, .rlim_max = value};

        return setrlimit((__rlimit_resource_t)resource, &rl) < 0
                       ? err_errno(err, errno, "limit %s", what)
                       : 0;
}

static int set_limits(struct err *err)
{
        int r = limit(RLIMIT_CORE, 0, "core", err);

        if (r == 0)
                r = limit(RLIMIT_CPU, CPU_SECONDS, "cpu", err);
        if (r == 0)
                r = limit(RLIMIT_FSIZE, FILE_MAX, "file size", err);
        if (r == 0 && !SANITIZED) /* the sanitizer's shadow alone has terabytes */
                r = limit(RLIMIT_AS, MEMORY_MAX, "memory", err);
        return r;
}

static int drop_root(bool with_network, struct err *err)
{
        if (geteuid() != 0)
                return 0;
        if (unshare(CLONE_NEWIPC | (with_network ? 0 : CLONE_NEWNET)) < 0)
                return err_errno(err, errno, "leave the network");
        if (setgroups(0, NULL) < 0 || setresgid(WORKER_GID, WORKER_GID, WORKER_GID) < 0 ||
            setresuid(WORKER_UID, WORKER_UID, WORKER_UID) < 0)
                return err_errno(err, errno, "become nobody");
        return 0;
}

static int enter(bool with_network, struct call_list more, struct err *err)
{
        const struct call_list always = {allowed, ARRAY_SIZE(allowed)};
        int r = drop_root(with_network, err);

        if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || chdir("/") < 0))
                r = err_errno(err, errno, "give up privileges");
        /* Forgotten at a change of user, so after it. */
        if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                r = err_errno(err, errno, "die with the parent");
        if (r == 0)
                r = set_limits(err);
        return r == 0 && !SANITIZED ? filter_calls(always, more, err) : r;
}

int sandbox_enter(struct err *err)
{
        return enter(false, (struct call_list){0}, err);
}

int sandbox_enter_parent(struct err *err)
{
        return enter(false, (struct call_list){parent, ARRAY_SIZE(parent)}, err);
}

int sandbox_enter_network(struct err *err)
{
        return enter(true, (struct call_list){network, ARRAY_SIZE(network)}, err);
}

int sandbox_enter_child(struct err *err)
{
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return err_errno(err, errno, "die with the parent");
        return SANITIZED ? 0
                         : filter_calls((struct call_list){child, ARRAY_SIZE(child)},
                                        (struct call_list){0}, err);
}
