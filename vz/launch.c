/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start a QEMU that needs nobody: its sockets listen already when it starts, so there is no moment
 * at which a daemon would have to wait for them, and it serves them to whichever daemon comes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "vz/machine.h"
#include "vz/process.h"
#include "vz/tsc.h"
#include "vz/vm_file.h"

/* dir/guest.sock and the NUL must fit into sun_path. */
#define DIR_MAX 90

#define PRELOAD "LD_PRELOAD="

struct fds {
        struct spawn_fd list[SPAWN_FDS_MAX];
        size_t len;
};

static void pass(struct fds *fds, int ours, int theirs)
{
        fds->list[fds->len++] = (struct spawn_fd){ours, theirs};
}

static int open_console(const char *dir, const char *boot_log, int *ret_fd, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, "console.log");
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return err_errno(err, errno, "%s", path);
        if (boot_log)
                (void)fd_write_all(fd, boot_log, strlen(boot_log), NULL); /* it is only a note */
        *ret_fd = fd;
        return 0;
}

static int listen_at(const char *dir, const char *name, int *ret_fd, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, name);

        return fd_listen_unix(path, ret_fd, err);
}

static int check_spec(const struct vm_spec *spec, struct err *err)
{
        if (!spec->dir || strlen(spec->dir) >= DIR_MAX)
                return err_set(err, EINVAL,
                               "%s: the path of a VM's folder must be shorter than %d "
                               "bytes (sockets are in it): use a shorter root",
                               spec->dir ? spec->dir : "", DIR_MAX);
        for (size_t i = 0; i < spec->disks_len; i++)
                if (spec->disks[i].fd < 0)
                        return err_set(err, EINVAL, "disk %s is not open", spec->disks[i].serial);
        for (size_t i = 0; i < spec->nics_len; i++)
                if (spec->nics[i].tap_fd < 0)
                        return err_set(err, EINVAL, "tap of network card %zu is not open", i);
        return 0;
}

/* Nice can be taken back by root, or where RLIMIT_NICE reaches 0. */
static bool may_raise(void)
{
        struct rlimit limit;

        return geteuid() == 0 || (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= 20);
}

/* Our environment, with a library to load first; the list is the caller's, the rest is ours. */
static const char **with_preload(const char *setting)
{
        const char **env = NULL;
        size_t len = 0;

        for (char **e = environ; *e; e++)
                if (!has_prefix(*e, PRELOAD))
                        *(const char **)array_push(&env, &len) = *e;
        *(const char **)array_push(&env, &len) = setting;
        *(const char **)array_push(&env, &len) = NULL;
        return env;
}

static int spawn_qemu(const struct vm_spec *spec, const struct process_mode *mode, char **argv,
                      struct vm_process *p, struct err *err)
{
        AUTO_CLOSE int qmp = -1, guest = -1, console = -1;
        AUTO_FREE char *setting = mode->preload ? xasprintf(PRELOAD "%s", mode->preload) : NULL;
        AUTO_FREE const char **env = setting ? with_preload(setting) : NULL;
        struct fds fds = {.len = 0};
        struct spawn spawn = {
                .argv = (const char *const *)(void *)argv,
                .env = env,
                .fds = fds.list,
                .binds = spec->binds,
                .bind_count = spec->binds_len,
                .die_with_us = mode->role == MACHINE_TEMPLATE,
                .leash = mode->leash,
                .nice = (mode->leash || spec->background) && may_raise() ? PROCESS_NICE : 0};
        int r = listen_at(spec->dir, "qmp.sock", &qmp, err);

        if (r == 0)
                r = listen_at(spec->dir, "guest.sock", &guest, err);
        if (r == 0)
                r = open_console(spec->dir, mode->boot_log, &console, err);
        if (r < 0)
                return r;
        pass(&fds, console, 1);
        pass(&fds, console, 2);
        pass(&fds, qmp, MACHINE_FD_QMP);
        pass(&fds, guest, MACHINE_FD_GUEST);
        pass(&fds, console, MACHINE_FD_CONSOLE);
        if (mode->leash)
                pass(&fds, mode->leash->theirs, MACHINE_FD_LEASH);
        if (mode->memory_fd >= 0)
                pass(&fds, mode->memory_fd, MACHINE_FD_MEMORY);
        if (mode->state_fd >= 0)
                pass(&fds, mode->state_fd, MACHINE_FD_STATE);
        for (size_t i = 0; i < spec->disks_len; i++)
                pass(&fds, spec->disks[i].fd, MACHINE_FD_DISK + (int)i);
        for (size_t i = 0; i < spec->nics_len; i++)
                pass(&fds, spec->nics[i].tap_fd, MACHINE_FD_TAP + (int)i);
        spawn.fd_count = fds.len;
        p->spawned_ns = clock_mono_ns();
        p->child = true;
        return spawn_start(&spawn, &p->pid, &p->pidfd, err);
}

/* Write down who runs; when that fails the process must not live on unknown. */
static int describe(const struct vm_spec *spec, struct vm_file *file, struct vm_process *p,
                    struct err *err)
{
        int r, status;

        file->pid = p->pid;
        file->spawned_ns = p->spawned_ns;
        r = fd_proc_start_time(p->pid, &file->start_time, err);
        if (r == 0)
                r = vm_file_write(spec->dir, file, err);
        if (r < 0) {
                (void)fd_pidfd_signal(p->pidfd, SIGKILL, NULL); /* gone is as good */
                (void)spawn_reap(p->pid, &status, NULL);        /* err tells the first failure */
                (void)close(steal_fd(&p->pidfd));               /* a pidfd has nothing to flush */
        }
        return r;
}

static void free_argv(char ***argv)
{
        machine_argv_free(*argv);
}

int process_launch(const struct vm_spec *spec, const struct process_mode *mode,
                   struct vm_process *ret, struct err *err)
{
        static const struct process_mode cold = {.memory_fd = -1, .state_fd = -1};
        const struct process_mode *how = mode ? mode : &cold;
        enum vm_birth birth = how->leash                   ? VM_POOL
                              : how->role == MACHINE_CLONE ? VM_CLONE
                                                           : VM_BOOT;
        unsigned tsc_khz = mode || spec->accel != ACCEL_TCG ? how->tsc_khz : tsc_measure_khz();
        __attribute__((cleanup(free_argv))) char **argv = NULL;
        bool balloon = how->role == MACHINE_COLD || (how->role == MACHINE_CLONE && how->preload);
        struct vm_process p = {.pidfd = -1, .accel = spec->accel, .birth = birth};
        struct vm_file file = {.accel = spec->accel,
                               .memory_bytes = spec->memory_bytes,
                               .cpus = spec->cpus,
                               .birth = birth};
        int r = check_spec(spec, err);

        if (r == 0)
                r = machine_argv(spec, how->role, balloon, tsc_khz, &argv, err);
        if (r == 0)
                r = vm_file_boot_id(file.boot_id, err);
        if (r == 0)
                r = vm_file_write(spec->dir, &file, err);
        if (r == 0)
                r = spawn_qemu(spec, how, argv, &p, err);
        if (r == 0)
                r = describe(spec, &file, &p, err);
        if (r == 0)
                *ret = p;
        return r;
}

void process_hurry(pid_t pid)
{
        AUTO_FREE char *path = xasprintf("/proc/%d/task", (int)pid);
        AUTO_DIR DIR *dir = opendir(path);
        const struct dirent *de;

        while (dir && (de = readdir(dir)))
                if (de->d_name[0] != '.') /* a thread that ends meanwhile needs nothing */
                        (void)setpriority(PRIO_PROCESS, (id_t)strtoul(de->d_name, NULL, 10), 0);
}
