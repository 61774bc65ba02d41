/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/qemu_version.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/spawn.h"

/* "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", and lines that do not matter. */
#define PREFIX     "QEMU emulator version "
#define OUTPUT_MAX 512

struct qemu_version {
        struct ev_loop *loop;
        char *program;
        bool asked, known;
        char text[OUTPUT_MAX + 1];
        size_t len;
        int fd; /* its standard output; -1: none */
        ev_io reader;
        struct loop_child child;
        pid_t pid;
        struct qemu_version_wait *waits;
};

struct qemu_version *qemu_version_new(struct ev_loop *loop, const char *program)
{
        struct qemu_version *v = xnew(struct qemu_version);

        v->loop = loop;
        v->program = xstrdup(program);
        v->fd = -1;
        return v;
}

static void close_output(struct qemu_version *v)
{
        if (v->fd < 0)
                return;
        ev_io_stop(v->loop, &v->reader);
        (void)close(v->fd); /* a pipe's read end has nothing to lose */
        v->fd = -1;
}

void qemu_version_free(struct qemu_version *v)
{
        if (!v)
                return;
        close_output(v);
        loop_child_stop(v->loop, &v->child);
        free(v->program);
        free(v);
}

/* The first line without its beginning. */
static void tell(struct qemu_version *v)
{
        struct qemu_version_wait *wait = STEAL(v->waits), *next;

        v->known = true;
        v->text[v->len] = '\0';
        v->text[strcspn(v->text, "\n")] = '\0';
        if (has_prefix(v->text, PREFIX))
                memmove(v->text, v->text + strlen(PREFIX), strlen(v->text + strlen(PREFIX)) + 1);
        for (; wait; wait = next) {
                next = wait->next;
                wait->on_version(wait, v->text);
        }
}

static void on_output(struct ev_loop *loop, ev_io *w, int revents)
{
        struct qemu_version *v = container_of(w, struct qemu_version, reader);
        ssize_t n = read(v->fd, v->text + v->len, OUTPUT_MAX - v->len);

        (void)loop;
        (void)revents;
        if (n > 0)
                v->len += (size_t)n;
        if (n > 0 && v->len < OUTPUT_MAX)
                return;
        close_output(v);
        tell(v);
}

static void on_exit_seen(struct loop_child *child)
{
        const struct qemu_version *v = container_of(child, struct qemu_version, child);
        struct err ignored; /* what it wrote is all that counts */
        int status;

        (void)spawn_reap(v->pid, &status, &ignored);
}

static int start(struct qemu_version *v)
{
        const char *const argv[] = {v->program, "--version", NULL};
        AUTO_CLOSE int in = -1;
        struct spawn_fd fd = {.theirs = STDOUT_FILENO};
        const struct spawn spec = {.argv = argv, .fds = &fd, .fd_count = 1, .die_with_us = true};
        struct err ignored; /* then there is no version to show */
        int ends[2], pidfd;

        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -1;
        in = ends[1];
        v->fd = ends[0];
        fd.ours = in;
        ev_io_init(&v->reader, on_output, v->fd, EV_READ);
        ev_io_start(v->loop, &v->reader);
        if (spawn_start(&spec, &v->pid, &pidfd, &ignored) < 0)
                return -1;
        loop_child_start(v->loop, &v->child, pidfd, on_exit_seen);
        return 0;
}

void qemu_version_ask(struct qemu_version *v, struct qemu_version_wait *wait)
{
        if (v->known) {
                wait->on_version(wait, v->text);
                return;
        }
        wait->next = v->waits;
        v->waits = wait;
        if (v->asked)
                return;
        v->asked = true;
        if (start(v) < 0) {
                close_output(v);
                tell(v);
        }
}

void qemu_version_forget(struct qemu_version *v, const struct qemu_version_wait *wait)
{
        for (struct qemu_version_wait **p = &v->waits; *p; p = &(*p)->next)
                if (*p == wait) {
                        *p = wait->next;
                        return;
                }
}
