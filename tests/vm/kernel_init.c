/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1 of tests/vm/05-kernel.t: tries what the guest kernel promises (vz/kernel/config), and what
 * it must not have. One "yes NAME" or "no NAME: why" a line on the console.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
        if (result >= 0)
                printf("yes %s\n", name);
        else
                printf("no %s: %s\n", name, strerror(errno));
}

static void tell_mount(const char *name, const char *source, const char *target, const char *type,
                       const char *options)
{
        (void)mkdir(target, 0755);
        tell(name, mount(source, target, type, 0, options));
}

static void file_systems(void)
{
        tell_mount("sysfs", "s", "/sys", "sysfs", NULL);
        tell_mount("tmpfs", "t", "/tmp", "tmpfs", "size=1m,mode=1777");
        tell_mount("devpts", "p", "/dev/pts", "devpts", "ptmxmode=0666");
        tell_mount("mqueue", "q", "/dev/mqueue", "mqueue", NULL);
        tell_mount("cgroup2", "c", "/sys/fs/cgroup", "cgroup2", NULL);
        tell_mount("ext4", "/dev/vda", "/disk", "ext4", NULL);
        (void)mkdir("/disk/lower", 0755);
        (void)mkdir("/disk/upper", 0755);
        (void)mkdir("/disk/work", 0755);
        tell_mount("overlay", "o", "/root", "overlay",
                   "lowerdir=/disk/lower,upperdir=/disk/upper,workdir=/disk/work");
        tell_mount("9p", "share", "/share", "9p", "trans=virtio,version=9p2000.L");
        tell("fuse", open("/dev/fuse", O_RDWR));
        tell("9p file", access("/share/hello", R_OK));
        tell("xattr on ext4", setxattr("/disk/lower", "user.x", "1", 1, 0));
        tell("xattr on tmpfs", setxattr("/tmp", "trusted.x", "1", 1, 0));
        tell("security xattr", setxattr("/disk/lower", "security.x", "1", 1, 0));
}

static void controllers(void)
{
        char buf[256] = "", *rest = buf, *word;
        int fd = open("/sys/fs/cgroup/cgroup.controllers", O_RDONLY);

        if (read(fd, buf, sizeof(buf) - 1) < 0)
                return;
        buf[strcspn(buf, "\n")] = 0;
        while ((word = strsep(&rest, " ")) != NULL)
                printf("yes cgroup %s\n", word);
}

static void sockets(void)
{
        tell("ipv4", socket(AF_INET, SOCK_STREAM, 0));
        tell("ipv6", socket(AF_INET6, SOCK_DGRAM, 0));
        tell("unix", socket(AF_UNIX, SOCK_SEQPACKET, 0));
        tell("packet", socket(AF_PACKET, SOCK_RAW, 0));
        tell("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
        tell("ping socket", socket(AF_INET, SOCK_RAW, 1));
        tell("eth0", access("/sys/class/net/eth0", F_OK));
        tell("tun", open("/dev/net/tun", O_RDWR));
}

static void system_calls(void)
{
        struct sock_filter all = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
        struct sock_fprog program = {1, &all};
        struct flock lock = {.l_type = F_WRLCK};
        aio_context_t aio = 0;
        sigset_t none;
        int file = open("/disk/file", O_RDWR | O_CREAT, 0600);

        sigemptyset(&none);
        tell("flock", flock(file, LOCK_EX));
        tell("ofd lock", fcntl(file, F_OFD_SETLK, &lock));
        tell("aio", syscall(SYS_io_setup, 8, &aio));
        tell("epoll", epoll_create1(0));
        tell("inotify", inotify_init1(0));
        tell("eventfd", eventfd(0, 0));
        tell("timerfd", timerfd_create(CLOCK_BOOTTIME, 0));
        tell("signalfd", signalfd(-1, &none, 0));
        tell("memfd", memfd_create("m", MFD_ALLOW_SEALING));
        tell("posix queue", mq_open("/q", O_CREAT | O_RDWR, 0600, NULL));
        tell("sysv memory", shmget(1, 4096, IPC_CREAT | 0600));
        tell("pty", open("/dev/ptmx", O_RDWR));
        tell("getrandom", syscall(SYS_getrandom, &none, 8, 0));
        tell("membarrier", syscall(SYS_membarrier, 0, 0, 0));
        tell("pidfd", syscall(SYS_pidfd_open, getpid(), 0));
        tell("clone3", syscall(SYS_clone3, NULL, 0) < 0 && errno == EINVAL ? 0 : -1);
        tell("close_range", syscall(SYS_close_range, 1000, 2000, 0));
        tell("openat2", syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno == EINVAL ? 0 : -1);
        tell("namespaces",
             unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET |
                     CLONE_NEWCGROUP | 0x80 /* time */ | CLONE_NEWUSER));
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        tell("seccomp filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void left_out(void)
{
        tell("io_uring", syscall(SYS_io_uring_setup, 0, NULL) < 0 && errno == ENOSYS ? -1 : 0);
        tell("bpf", syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == ENOSYS ? -1 : 0);
        tell("userfaultfd", syscall(SYS_userfaultfd, 0) < 0 && errno == ENOSYS ? -1 : 0);
        tell("modules", syscall(SYS_init_module, NULL, 0, "") < 0 && errno == ENOSYS ? -1 : 0);
        tell("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0) < 0 && errno == ENOSYS ? -1 : 0);
        tell("swap", syscall(SYS_swapon, "", 0) < 0 && errno == ENOSYS ? -1 : 0);
        tell("/dev/mem", access("/dev/mem", F_OK));
        tell("/proc/kallsyms", access("/proc/kallsyms", F_OK));
        tell("pci", access("/sys/bus/pci", F_OK));
}

int main(void)
{
        struct timespec boot;
        struct sysinfo info;
        int console;

        (void)clock_gettime(CLOCK_BOOTTIME, &boot);
        (void)mkdir("/dev", 0755);
        (void)mkdir("/proc", 0755);
        if (mount("d", "/dev", "devtmpfs", 0, NULL) || mount("p", "/proc", "proc", 0, NULL))
                return 1;
        console = open("/dev/hvc0", O_RDWR | O_NOCTTY);
        if (dup2(console, 1) < 0)
                return 2;
        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        (void)sysinfo(&info);
        printf("boot %ld ms\n", (long)(boot.tv_sec * 1000 + boot.tv_nsec / 1000000));
        printf("memory %lu free %lu\n", info.totalram >> 10, info.freeram >> 10);
        file_systems();
        controllers();
        sockets();
        left_out();
        system_calls();
        printf("done\n");
        sync();
        (void)reboot(RB_AUTOBOOT);
        return 3;
}
