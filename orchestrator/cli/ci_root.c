/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/ci_root.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/daemon.h"

/* Teardown takes as long as the slowest service's grace period; past this something hangs. */
#define STOP_TIMEOUT_MS (60 * 1000)
#define ROOT_TEMPLATE   "berth-ci-XXXXXX"

/* In TMPDIR if a socket fits there, else in /tmp. */
static int make_folder(const char *images, struct roots *ret, struct err *err)
{
        const char *tmp = getenv("TMPDIR");
        const char *places[] = {tmp && tmp[0] == '/' ? tmp : "/tmp", "/tmp"};

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                AUTO_FREE char *path = file_join(places[i], ROOT_TEMPLATE);
                struct roots roots = {0};
                int r = roots_init(&roots, path, images, err);

                roots_release(&roots);
                if (r == -ENAMETOOLONG)
                        continue;
                if (r < 0)
                        return r;
                if (!mkdtemp(path))
                        return err_errno(err, errno, "%s: create folder", path);
                return roots_init(ret, path, images, err);
        }
        return -ENAMETOOLONG; /* err is set; /tmp is short, so this is not reached */
}

static int start(struct ci_root *root, struct err *err)
{
        struct daemon_start how = {.roots = &root->cli.roots, .images = root->cli.roots.images};
        AUTO_CLOSE int owner_r = -1;
        int pipefd[2], r = roots_create(&root->cli.roots, err);

        if (r < 0)
                return r;
        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe");
        owner_r = pipefd[0];
        root->owner_fd = pipefd[1];
        how.owner_fd = owner_r;
        return daemon_start(&how, &root->pid, &root->pidfd, err);
}

int ci_root_start(const struct cli *outer, struct ci_root *ret, struct err *err)
{
        struct ci_root root = {.cli = *outer, .owner_fd = -1, .pid = -1, .pidfd = -1};
        int r;

        root.cli.roots = (struct roots){0};
        root.cli.have_daemon = false;
        r = make_folder(outer->roots.images, &root.cli.roots, err);
        if (r < 0)
                return r;
        r = start(&root, err);
        if (r < 0) {
                ci_root_stop(&root, -1);
                return r;
        }
        root.cli.no_start = true; /* a second one would have no owner */
        *ret = root;
        return 0;
}

enum end {
        END_ORDERLY, /* nothing of it is left */
        END_DIED,    /* its VMs and networks run on */
        END_UNKNOWN, /* it still works on it */
};

static enum end wait_end(const struct ci_root *root, int signal_fd)
{
        struct pollfd p[2] = {{.fd = root->pidfd, .events = POLLIN},
                              {.fd = signal_fd, .events = POLLIN}};
        int n, status;

        do {
                n = poll(p, 2, STOP_TIMEOUT_MS);
        } while (n < 0 && errno == EINTR);
        if (p[0].revents)
                return spawn_reap(root->pid, &status, NULL) == 0 && status == 0 ? END_ORDERLY
                                                                                : END_DIED;
        if (p[1].revents)
                cli_warn("interrupted again; berthd (pid %d) removes %s by itself", (int)root->pid,
                         root->cli.roots.state);
        else
                cli_warn("berthd (pid %d) has not taken %s down within %d s; see its berthd.log",
                         (int)root->pid, root->cli.roots.state, STOP_TIMEOUT_MS / 1000);
        return END_UNKNOWN;
}

static void root_release(struct ci_root *root)
{
        if (root->owner_fd >= 0)
                (void)close(root->owner_fd); /* a pipe's end */
        if (root->pidfd >= 0)
                (void)close(root->pidfd); /* holds nothing */
        roots_release(&root->cli.roots);
        root->owner_fd = root->pidfd = -1;
}

static enum end stop_daemon(struct ci_root *root, int signal_fd)
{
        AUTO_JSON json_t *body = json_pack("{s:b}", "stop_vms", 1);

        /* Should it fail: the hang-up of the owner's pipe asks for the same. */
        (void)client_call(&root->cli, "POST", "/v1/shutdown", body, NULL, NULL);
        (void)close(steal_fd(&root->owner_fd)); /* as above */
        return wait_end(root, signal_fd);
}

/* What a daemon that died has left, the next one takes over, and down. */
static enum end stop_what_is_left(struct ci_root *root, int signal_fd)
{
        struct err err = ERR_INIT;

        cli_warn("berthd of %s has died; another one takes it down", root->cli.roots.state);
        (void)close(steal_fd(&root->pidfd)); /* holds nothing */
        if (start(root, &err) == 0)
                return stop_daemon(root, signal_fd);
        cli_warn("%s", err.msg);
        return END_DIED;
}

void ci_root_stop(struct ci_root *root, int signal_fd)
{
        enum end end = END_ORDERLY; /* nothing was started */
        struct err err = ERR_INIT;

        if (root->pidfd >= 0)
                end = stop_daemon(root, signal_fd);
        if (end == END_DIED)
                end = stop_what_is_left(root, signal_fd);
        /* What is needed to find what runs stays. */
        if (end == END_ORDERLY && root->cli.roots.state &&
            file_remove_tree(root->cli.roots.state, &err) < 0)
                cli_warn("%s", err.msg);
        root_release(root);
}

void ci_root_keep(struct ci_root *root)
{
        const char *state = root->cli.roots.state;

        if (fd_write_all(root->owner_fd, "k", 1, NULL) < 0)
                cli_warn("berthd of %s has ended already", state);
        (void)fprintf(stderr,
                      "kept: berth --root %s ps\n"
                      "remove it with: berth --root %s system stop --vms && rm -r %s\n",
                      state, state, state); /* best effort */
        root_release(root);
}
