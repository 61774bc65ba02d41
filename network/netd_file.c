/* SPDX-License-Identifier: Apache-2.0 */
#include "network/netd_file.h"

#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

/* Ours is about 150 bytes. */
#define NETD_JSON_MAX 4096

int netd_file_write(const char *dir, const char *stack, const char *name, const char *subnet,
                    struct err *err)
{
        AUTO_JSON json_t *j = json_object();
        AUTO_FREE char *path = file_join(dir, NETD_JSON);
        AUTO_FREE char *text = NULL;
        uint64_t start;
        int r = fd_proc_start_time(getpid(), &start, err);

        if (r < 0)
                return r;
        json_set_int(j, "version", NETD_FILE_VERSION);
        json_set_int(j, "pid", getpid());
        json_set_int(j, "start_time", (int64_t)start);
        json_set_str(j, "stack", stack);
        json_set_str(j, "name", name);
        json_set_str(j, "subnet", subnet);
        text = json_pretty(j);
        return file_write_atomic(path, text, strlen(text), 0600, err);
}

int netd_process_open(pid_t pid, uint64_t start_time, int *ret_pidfd, struct err *err)
{
        AUTO_CLOSE int pidfd = -1;
        uint64_t start;
        int r = fd_pidfd_open(pid, &pidfd, err);

        if (r < 0)
                return r;
        r = fd_proc_start_time(pid, &start, err); /* after the pidfd: it cannot change any more */
        if (r < 0)
                return r;
        if (start != start_time)
                return err_set(err, ESRCH, "process %d is another one by now", (int)pid);
        *ret_pidfd = steal_fd(&pidfd);
        return 0;
}

int netd_file_open(const char *dir, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, NETD_JSON);
        AUTO_JSON json_t *j = NULL;
        AUTO_FREE char *text = NULL;
        int64_t pid, start;
        size_t n;
        int r = file_read(path, NETD_JSON_MAX, &text, &n, err);

        if (r < 0)
                return r;
        r = json_parse(text, n, NETD_JSON_MAX, path, &j, err);
        if (r < 0)
                return r;
        r = json_need_int(j, "pid", 2, INT32_MAX, path, &pid, err);
        if (r < 0)
                return r;
        r = json_need_int(j, "start_time", 0, INT64_MAX, path, &start, err);
        if (r < 0)
                return r;
        r = netd_process_open((pid_t)pid, (uint64_t)start, ret_pidfd, err);
        if (r == 0 && ret_pid)
                *ret_pid = (pid_t)pid;
        return r;
}

void netd_file_remove(const char *dir)
{
        static const char *const names[] = {NETD_SOCKET, NETD_JSON, NETD_LOG};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                AUTO_FREE char *path = file_join(dir, names[i]);

                (void)unlink(path); /* not there, or not ours: the next start tells */
        }
}
