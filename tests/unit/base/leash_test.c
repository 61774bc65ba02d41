/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/spawn.h"
#include "tests/tap.h"

#define THEIRS 7

/* A child on a leash that would live for a minute. */
static pid_t start(struct leash *leash, int *ret_pidfd)
{
        const char *const argv[] = {"sleep", "60", NULL};
        struct err err = ERR_INIT;
        struct spawn_fd fds[1];
        struct spawn spawn = {.argv = argv, .fds = fds, .fd_count = 1, .leash = leash};
        pid_t pid = -1;

        is_int(leash_make(leash, &err), 0, "a leash");
        fds[0] = (struct spawn_fd){leash->theirs, THEIRS};
        is_int(spawn_start(&spawn, &pid, ret_pidfd, &err), 0, "a child (%s)", err.msg);
        return pid;
}

static bool ends(int pidfd, int ms)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        return poll(&p, 1, ms) == 1;
}

static void test_pull(void)
{
        struct leash leash = LEASH_NONE;
        int pidfd = -1, status = 0;
        pid_t pid = start(&leash, &pidfd);

        ok(!ends(pidfd, 50), "it lives");
        leash_pull(&leash);
        ok(ends(pidfd, 10000), "pulled: it ends");
        (void)spawn_reap(pid, &status, NULL);
        ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "killed");
        leash_pull(&leash);
        (void)close(pidfd);
}

static void test_let_go(void)
{
        struct leash leash = LEASH_NONE;
        int pidfd = -1, status = 0;
        pid_t pid = start(&leash, &pidfd);

        leash_let_go(&leash);
        is_int(leash.ours, -1, "let go: nothing is left");
        ok(!ends(pidfd, 100), "and it lives");
        (void)fd_pidfd_signal(pidfd, SIGTERM, NULL);
        (void)spawn_reap(pid, &status, NULL);
        ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "until somebody else ends it");
        (void)close(pidfd);
}

/* Somebody in between starts a child and is killed. */
static void test_death(bool let_go)
{
        int report[2], pidfd = -1;
        pid_t pid = -1, between;
        struct err err = ERR_INIT;

        (void)!pipe(report);
        between = fork();
        if (between == 0) {
                struct leash leash = LEASH_NONE;
                const char *const argv[] = {"sleep", "60", NULL};
                struct spawn_fd fds[1];
                struct spawn spawn = {.argv = argv, .fds = fds, .fd_count = 1, .leash = &leash};

                (void)leash_make(&leash, NULL);
                fds[0] = (struct spawn_fd){leash.theirs, THEIRS};
                (void)spawn_start(&spawn, &pid, &pidfd, NULL);
                if (let_go)
                        leash_let_go(&leash);
                (void)!write(report[1], &pid, sizeof(pid));
                (void)pause();
                _exit(0);
        }
        is_int(read(report[0], &pid, sizeof(pid)), (int)sizeof(pid), "a child's child");
        is_int(fd_pidfd_open(pid, &pidfd, &err), 0, "is there");
        (void)kill(between, SIGKILL);
        (void)waitpid(between, NULL, 0);
        is_int(ends(pidfd, let_go ? 100 : 10000), !let_go, "kill -9 of its parent %s",
               let_go ? "leaves it alone" : "ends it");
        (void)fd_pidfd_signal(pidfd, SIGKILL, NULL);
        (void)close(pidfd);
        (void)close(report[0]);
        (void)close(report[1]);
}

int main(void)
{
        test_pull();
        test_let_go();
        test_death(false);
        test_death(true);
        return tap_done();
}
