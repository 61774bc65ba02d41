/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/cli/cli.h"

/* Opening the state and adopting VMs takes well under a second; a loaded machine gets more. */
#define READY_TIMEOUT_MS 30000
/* How much of the log is shown when the start fails. */
#define LOG_TAIL_BYTES 2048
/* Numbers of the descriptors in the daemon. */
#define READY_FD 3
#define OWNER_FD 4

bool daemon_serving(const struct roots *roots)
{
        AUTO_FREE char *path = roots_run_path(roots, API_SOCKET_NAME);
        AUTO_CLOSE int fd = -1;

        return fd_connect_unix(path, &fd, NULL) == 0;
}

/* berthd beside this program (as built, or in ../sbin as installed), else found by PATH. */
static char *find_berthd(void)
{
        static const char *const places[] = {"berthd", "../sbin/berthd"};
        AUTO_FREE char *self = realpath("/proc/self/exe", NULL);
        char *slash = self ? strrchr(self, '/') : NULL;

        if (slash) {
                *slash = '\0';
                for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                        AUTO_FREE char *path = file_join(self, places[i]);

                        if (access(path, X_OK) == 0)
                                return STEAL(path);
                }
        }
        return xstrdup("berthd");
}

/* Show what the daemon wrote since it was started. */
static void show_log(const char *path, off_t from)
{
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[LOG_TAIL_BYTES];
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0)
                return;
        if (st.st_size - from > (off_t)sizeof(text))
                from = st.st_size - (off_t)sizeof(text);
        n = pread(fd, text, sizeof(text), from);
        if (n > 0)
                (void)fprintf(stderr, "--- end of %s\n%.*s---\n", path, (int)n, text); /* a help */
}

/* Wait for the byte or the end of the pipe. -ETIMEDOUT: neither came. */
static int wait_ready(int ready_fd, struct err *err)
{
        int64_t deadline = clock_mono_ms() + READY_TIMEOUT_MS, left;

        while ((left = deadline - clock_mono_ms()) > 0) {
                struct pollfd p = {.fd = ready_fd, .events = POLLIN};
                int n = poll(&p, 1, (int)left);

                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return err_errno(err, errno, "wait for berthd");
        }
        return err_set(err, ETIMEDOUT, "berthd has not become ready within %d s",
                       READY_TIMEOUT_MS / 1000);
}

static int launch(const struct daemon_start *start, int log_fd, int ready_fd, pid_t *ret_pid,
                  int *ret_pidfd, struct err *err)
{
        AUTO_FREE char *berthd = find_berthd();
        const char *argv[12] = {berthd, "--ready-fd", "3"};
        struct spawn_fd fds[4] = {{log_fd, 1}, {log_fd, 2}, {ready_fd, READY_FD}};
        struct spawn spec = {.argv = argv, .fds = fds, .fd_count = 3, .cwd = "/"};
        size_t n = 3;

        if (start->roots->root) {
                argv[n++] = "--root";
                argv[n++] = start->roots->root;
        }
        if (start->images) {
                argv[n++] = "--images";
                argv[n++] = start->images;
        }
        if (start->owner_fd >= 0) {
                argv[n++] = "--owner-fd";
                argv[n++] = "4";
                fds[spec.fd_count++] = (struct spawn_fd){start->owner_fd, OWNER_FD};
        }
        return spawn_start(&spec, ret_pid, ret_pidfd, err);
}

/* The pipe ended: ready, or dead. */
static int check_started(const struct roots *roots, pid_t pid, int pidfd, struct err *err)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int status = 0;

        if (daemon_serving(roots))
                return 0;
        if (poll(&p, 1, 1000) > 0 && spawn_reap(pid, &status, NULL) == 0)
                return err_set(err, ENOTCONN, "berthd ended at its start (status %d)",
                               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        return err_set(err, ENOTCONN, "berthd runs (pid %d) but does not serve %s/%s", (int)pid,
                       roots->run, API_SOCKET_NAME);
}

int daemon_start(const struct daemon_start *start, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
        AUTO_FREE char *log = file_join(start->roots->state, "berthd.log");
        AUTO_CLOSE int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        AUTO_CLOSE int ready_r = -1, pidfd = -1;
        int pipefd[2], r;
        pid_t pid = -1;
        off_t from;

        if (log_fd < 0)
                return err_errno(err, errno, "%s", log);
        from = lseek(log_fd, 0, SEEK_END);
        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe");
        ready_r = pipefd[0];
        r = launch(start, log_fd, pipefd[1], &pid, &pidfd, err);
        (void)close(pipefd[1]); /* only the daemon's copy may keep the pipe open */
        if (r == 0)
                r = wait_ready(ready_r, err);
        if (r == 0)
                r = check_started(start->roots, pid, pidfd, err);
        if (r < 0) {
                show_log(log, from);
                return err_wrap(err, "start berthd");
        }
        *ret_pid = pid;
        *ret_pidfd = steal_fd(&pidfd);
        return 0;
}

static int lock_start(const struct roots *roots, int *ret_fd, struct err *err)
{
        AUTO_FREE char *path = roots_run_path(roots, "start.lock");
        AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
                return err_errno(err, errno, "%s", path);
        while (flock(fd, LOCK_EX) < 0)
                if (errno != EINTR)
                        return err_errno(err, errno, "%s: lock", path);
        *ret_fd = steal_fd(&fd);
        return 0;
}

int daemon_ensure(struct cli *cli, struct err *err)
{
        struct daemon_start start = {.roots = &cli->roots, .owner_fd = -1};
        AUTO_CLOSE int lock = -1, pidfd = -1;
        pid_t pid;
        int r;

        if (cli->have_daemon || cli->no_start)
                return 0;
        if (!daemon_serving(&cli->roots)) {
                r = roots_create(&cli->roots, err);
                if (r == 0)
                        r = lock_start(&cli->roots, &lock, err);
                if (r == 0 && !daemon_serving(&cli->roots))
                        r = daemon_start(&start, &pid, &pidfd, err);
                if (r < 0)
                        return r;
        }
        cli->have_daemon = true;
        return 0;
}
