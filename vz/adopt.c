/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Find the QEMU that an earlier daemon started. A pid alone proves nothing, pids are used again:
 * the pidfd is opened first and the start time compared after, so that what is held is what was
 * meant.
 */
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "vz/process.h"
#include "vz/vm_end.h"
#include "vz/vm_file.h"

static int gone(const char *dir, struct err *err)
{
        AUTO_FREE char *console = xcalloc(1, VM_END_TAIL_MAX);
        struct vm_end_traces traces = {.console = console};
        char message[VM_END_MESSAGE_MAX];

        traces.console_len = vm_end_read_console(dir, console, VM_END_TAIL_MAX);
        (void)vm_end_decide(&traces, message); /* the text says it all */
        return err_set(err, ESRCH, "%s", message);
}

/*
 * The daemon died between spawning and writing the pid down. QEMU called listen() on its sockets
 * itself, which makes it the peer that the kernel names.
 */
static int ask_socket(const char *dir, struct vm_file *file, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, "qmp.sock");
        AUTO_CLOSE int fd = -1;
        struct ucred cred;
        socklen_t len = sizeof(cred);
        int r = fd_connect_unix(path, &fd, err);

        if (r < 0)
                return r;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
                return err_errno(err, errno, "%s: peer", path);
        file->pid = cred.pid;
        r = fd_proc_start_time(cred.pid, &file->start_time, err);
        return r < 0 ? r : vm_file_write(dir, file, err);
}

static int open_process(const char *dir, const struct vm_file *file, int *ret_pidfd,
                        struct err *err)
{
        AUTO_CLOSE int pidfd = -1;
        uint64_t start_time;

        if (fd_pidfd_open(file->pid, &pidfd, err) < 0 ||
            fd_proc_start_time(file->pid, &start_time, err) < 0 || start_time != file->start_time)
                return gone(dir, err);
        *ret_pidfd = steal_fd(&pidfd);
        return 0;
}

int process_find(const char *dir, struct vm_process *ret, struct err *err)
{
        char boot_id[VM_BOOT_ID_MAX];
        struct vm_file file;
        int pidfd = -1, r = vm_file_read(dir, &file, err);

        if (r == -ENOENT)
                return err_set(err, ESRCH, "%s: no VM was started here", dir);
        if (r == 0)
                r = vm_file_boot_id(boot_id, err);
        if (r < 0)
                return r;
        if (!streq(boot_id, file.boot_id))
                return err_set(err, ESRCH, "the host restarted");
        if (file.pid == 0 && ask_socket(dir, &file, err) < 0)
                return gone(dir, err);
        r = open_process(dir, &file, &pidfd, err);
        if (r == 0)
                *ret = (struct vm_process){.pid = file.pid,
                                           .pidfd = pidfd,
                                           .accel = file.accel,
                                           .birth = file.birth,
                                           .spawned_ns = file.spawned_ns};
        return r;
}
