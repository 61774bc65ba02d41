/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spawn.h"

#include <assert.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/strbuf.h"

/* What standard error of a failed helper may add to an error text. */
#define SPAWN_QUOTE_MAX 300

/* What a child tells when it cannot become the program. */
struct failure {
        int code;   /* errno */
        int bind;   /* number of the bind that failed, from 1; 0: none */
        bool mount; /* it may have no mounts of its own */
};

static void child_report(int report, struct failure failure) __attribute__((noreturn));

/* The parent reads it; end of file instead means that exec worked. */
static void child_report(int report, struct failure failure)
{
        (void)!write(report, &failure, sizeof(failure)); /* nobody is left to hear of a failure */
        _exit(127);
}

static void child_fail(int report, int code) __attribute__((noreturn));

static void child_fail(int report, int code)
{
        child_report(report, (struct failure){.code = code});
}

static void child_signals(void)
{
        struct sigaction sa = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int s = 1; s < NSIG; s++)
                (void)sigaction(s, &sa, NULL); /* fails for KILL, STOP and libc's own: fine */
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
}

/*
 * Two passes, so that a target number never tramples a source that is still needed: first all
 * sources go above every target, then each to its place. Returns the first number to close.
 */
static int child_fds(const struct spawn *spec, int *report)
{
        int high = 3, moved[SPAWN_FDS_MAX];
        bool std[3] = {false, false, false};

        for (size_t i = 0; i < spec->fd_count; i++)
                high = spec->fds[i].theirs >= high ? spec->fds[i].theirs + 1 : high;
        *report = fcntl(*report, F_DUPFD_CLOEXEC, high);
        if (*report < 0)
                _exit(127);
        for (size_t i = 0; i < spec->fd_count; i++) {
                moved[i] = fcntl(spec->fds[i].ours, F_DUPFD_CLOEXEC, high);
                if (moved[i] < 0)
                        child_fail(*report, errno);
        }
        for (int i = 0; i < high; i++)
                if (i > 2)
                        (void)close(i); /* most are not open */
        for (size_t i = 0; i < spec->fd_count; i++) {
                if (dup2(moved[i], spec->fds[i].theirs) < 0) /* clears close-on-exec */
                        child_fail(*report, errno);
                if (spec->fds[i].theirs < 3)
                        std[spec->fds[i].theirs] = true;
        }
        for (int i = 0; i < 3; i++)
                if (!std[i]) {
                        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                        if (null < 0 || dup2(null, i) < 0)
                                child_fail(*report, errno);
                        (void)close(null); /* a copy is in place */
                }
        return high;
}

static bool write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

        if (fd >= 0)
                (void)close(fd); /* procfs has nothing to flush */
        return good;
}

/* Mounts of our own: as root, or else in a user namespace in which we are who we are. */
static bool child_own_mounts(void)
{
        unsigned uid = getuid(), gid = getgid();
        char users[64], groups[64];

        (void)snprintf(users, sizeof(users), "%u %u 1", uid, uid);   /* fits */
        (void)snprintf(groups, sizeof(groups), "%u %u 1", gid, gid); /* fits */
        if (unshare(CLONE_NEWNS) < 0 &&
            (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
             !write_text("/proc/self/setgroups", "deny") ||
             !write_text("/proc/self/uid_map", users) || !write_text("/proc/self/gid_map", groups)))
                return false;
        /* What the host mounts later is seen; nothing that is mounted here is seen there. */
        return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
}

static void child_binds(const struct spawn *spec, int report)
{
        struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};

        if (spec->bind_count == 0)
                return;
        if (!child_own_mounts())
                child_report(report, (struct failure){.code = errno, .mount = true});
        for (size_t i = 0; i < spec->bind_count; i++) {
                const struct spawn_bind *b = &spec->binds[i];

                if (mount(b->source, b->target, NULL, MS_BIND | MS_REC, NULL) < 0 ||
                    (b->read_only && mount_setattr(AT_FDCWD, b->target, AT_RECURSIVE, &read_only,
                                                   sizeof(read_only)) < 0))
                        child_report(report, (struct failure){.code = errno, .bind = (int)i + 1});
        }
}

static void child_exec(const struct spawn *spec, pid_t parent, int report)
        __attribute__((noreturn));

static void child_exec(const struct spawn *spec, pid_t parent, int report)
{
        int high;

        child_signals();
        if (!spec->foreground && setsid() < 0)
                child_fail(report, errno);
        if (spec->die_with_us &&
            (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)) /* gone already? */
                child_fail(report, errno);
        high = child_fds(spec, &report);
        for (size_t i = 0; spec->leash && i < spec->fd_count; i++)
                if (spec->fds[i].ours == spec->leash->theirs &&
                    leash_put_on(spec->fds[i].theirs) < 0)
                        child_fail(report, errno);
        if (spec->nice)
                (void)setpriority(PRIO_PROCESS, 0, spec->nice); /* lower is always allowed */
        if (close_range((unsigned)high, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                child_fail(report, errno);
        child_binds(spec, report);
        if (spec->cwd && chdir(spec->cwd) < 0)
                child_fail(report, errno);
        if (spec->uid && (setgroups(0, NULL) < 0 || setgid(spec->gid) < 0 || setuid(spec->uid) < 0))
                child_fail(report, errno);
        if (spec->env)
                environ = (char **)(uintptr_t)spec->env;
        (void)execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv); /* returns on error */
        child_fail(report, errno);
}

static int explain(const struct spawn *spec, const struct failure *failure, struct err *err)
{
        if (failure->mount)
                return err_errno(err, failure->code,
                                 "%s cannot have mounts of its own: run as root, or allow user "
                                 "namespaces (sysctl kernel.unprivileged_userns_clone=1)",
                                 spec->argv[0]);
        if (failure->bind)
                return err_errno(err, failure->code, "bind mount %s",
                                 spec->binds[failure->bind - 1].source);
        return err_errno(err, failure->code, "%s: cannot execute", spec->argv[0]);
}

int spawn_start(const struct spawn *spec, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
        AUTO_CLOSE int report_r = -1;
        AUTO_CLOSE int report_w = -1;
        struct failure failure = {.code = 0};
        pid_t pid, parent;
        int pipefd[2], r;
        ssize_t n;

        assert(spec->fd_count <= SPAWN_FDS_MAX);
        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return err_errno(err, errno, "%s: pipe", spec->argv[0]);
        report_r = pipefd[0];
        report_w = pipefd[1];
        parent = getpid();
        pid = fork();
        if (pid < 0)
                return err_errno(err, errno, "%s: fork", spec->argv[0]);
        if (pid == 0)
                child_exec(spec, parent, report_w);
        (void)close(steal_fd(&report_w)); /* our copy: the child holds the other */
        do {
                n = read(report_r, &failure, sizeof(failure));
        } while (n < 0 && errno == EINTR);
        if (n == (ssize_t)sizeof(failure)) {
                (void)waitpid(pid, NULL, 0); /* it ends by itself; its status says nothing new */
                return explain(spec, &failure, err);
        }
        r = fd_pidfd_open(pid, ret_pidfd, err); /* works for a zombie too: it is not reaped yet */
        if (r < 0)
                return r;
        *ret_pid = pid;
        return 0;
}

int spawn_reap(pid_t pid, int *ret_status, struct err *err)
{
        pid_t r;

        do {
                r = waitpid(pid, ret_status, 0);
        } while (r < 0 && errno == EINTR);
        if (r < 0)
                return err_errno(err, errno, "wait for process %d", (int)pid);
        return 0;
}

static void read_all(int fd, struct strbuf *into)
{
        char chunk[4096];
        ssize_t n;

        while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return;
                strbuf_add(into, chunk, (size_t)n); /* past the limit: read on, keep nothing */
        }
}

int spawn_run(const struct spawn *spec, size_t max, char **ret_out, struct err *err)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(max), quote = STRBUF_INIT(SPAWN_QUOTE_MAX);
        AUTO_CLOSE int out_r = -1, err_file = -1, pidfd = -1;
        struct spawn_fd fds[3];
        struct spawn with = *spec;
        int pipefd[2], status, r;
        pid_t pid;

        assert(spec->fd_count <= 1); /* standard input only */
        err_file = memfd_create("stderr", MFD_CLOEXEC);
        if (err_file < 0 || pipe2(pipefd, O_CLOEXEC) < 0)
                return err_errno(err, errno, "%s: pipe", spec->argv[0]);
        out_r = pipefd[0];
        fds[0] = (struct spawn_fd){pipefd[1], 1};
        fds[1] = (struct spawn_fd){err_file, 2};
        if (spec->fd_count)
                fds[2] = spec->fds[0];
        with.fds = fds;
        with.fd_count = 2 + spec->fd_count;
        r = spawn_start(&with, &pid, &pidfd, err);
        (void)close(pipefd[1]); /* the child's end: only its own copy may keep the pipe open */
        if (r < 0)
                return r;
        read_all(out_r, &out);
        r = spawn_reap(pid, &status, err);
        if (r < 0)
                return r;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                (void)lseek(err_file, 0, SEEK_SET); /* a memfd can seek */
                read_all(err_file, &quote);
                if (!quote.len) /* some tools complain on standard output */
                        strbuf_add(&quote, strbuf_str(&out),
                                   out.len < SPAWN_QUOTE_MAX ? out.len : SPAWN_QUOTE_MAX);
                return err_set(err, EIO, "%s failed (status %d): %s", spec->argv[0],
                               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                               strbuf_str(&quote));
        }
        *ret_out = strbuf_take(&out);
        return 0;
}
