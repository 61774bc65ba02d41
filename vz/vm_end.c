/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/vm_end.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"

#define PANIC "Kernel panic - not syncing"
/* vminit's last words. The kernel's own ("Restarting system") do not reach the console any more. */
#define RESTART "vminit: power off"

/* Copy one line, without its end and without anything that is not printable ASCII. */
static void copy_line(const char *from, const char *end, char *ret, size_t size)
{
        size_t n = 0;

        for (; from < end && *from != '\n' && *from != '\r' && n + 1 < size; from++)
                ret[n++] = *from >= ' ' && *from <= '~' ? *from : '?';
        ret[n] = 0;
}

static const char *find(const struct vm_end_traces *t, const char *what)
{
        return t->console_len ? memmem(t->console, t->console_len, what, strlen(what)) : NULL;
}

/* The last line that has words in it: QEMU's standard error goes to the console log too. */
static void last_line(const struct vm_end_traces *t, char *ret, size_t size)
{
        const char *end = t->console + t->console_len, *start;

        while (end > t->console && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
                end--;
        for (start = end; start > t->console && start[-1] != '\n'; start--)
                ;
        copy_line(start, end, ret, size);
}

static enum vm_end decide_failed(const struct vm_end_traces *t, char *message)
{
        char last[VM_END_MESSAGE_MAX / 2] = "";

        if (t->console_len)
                last_line(t, last, sizeof(last));
        if (!WIFSIGNALED(t->wait_status))
                (void)snprintf(message, VM_END_MESSAGE_MAX,
                               "QEMU ended with status %d; last console line: %s",
                               WEXITSTATUS(t->wait_status), last);
        else if (WTERMSIG(t->wait_status) == SIGKILL)
                (void)snprintf(message, VM_END_MESSAGE_MAX,
                               "QEMU was killed by signal 9 (by hand, or host memory is out)");
        else
                (void)snprintf(message, VM_END_MESSAGE_MAX,
                               "QEMU ended by signal %d; last console line: %s",
                               WTERMSIG(t->wait_status), last);
        return VM_END_KILLED;
}

enum vm_end vm_end_decide(const struct vm_end_traces *t, char message[VM_END_MESSAGE_MAX])
{
        const char *panic = find(t, PANIC);

        message[0] = 0;
        /* When it ended by itself before our signal came, how it did says more than that we tried.
         */
        if (t->killed_by_us && (!t->status_known || WIFSIGNALED(t->wait_status))) {
                (void)snprintf(message, VM_END_MESSAGE_MAX, "%s",
                               t->kill_reason ? t->kill_reason : "killed on request");
                return VM_END_KILLED;
        }
        if (t->status_known && !(WIFEXITED(t->wait_status) && WEXITSTATUS(t->wait_status) == 0))
                return decide_failed(t, message);
        if (panic) {
                copy_line(panic, t->console + t->console_len, message, VM_END_MESSAGE_MAX);
                return VM_END_PANIC;
        }
        if (t->shutdown_seen || t->status_known || find(t, RESTART)) {
                (void)snprintf(message, VM_END_MESSAGE_MAX, "the guest powered off");
                return VM_END_POWEROFF;
        }
        (void)snprintf(message, VM_END_MESSAGE_MAX,
                       "QEMU is gone and left no reason (killed, or the host restarted)");
        return VM_END_KILLED;
}

size_t vm_end_read_console(const char *dir, char *buf, size_t size)
{
        AUTO_FREE char *path = file_join(dir, "console.log");
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        ssize_t n;
        off_t from;

        if (fd < 0 || fstat(fd, &st) < 0)
                return 0;
        from = st.st_size > (off_t)size ? st.st_size - (off_t)size : 0;
        n = pread(fd, buf, size, from);
        return n > 0 ? (size_t)n : 0;
}
