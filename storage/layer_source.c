/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/layer_source.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/fd.h"
#include "storage/layer_send.h"
#include "storage/sandbox.h"

#define PIPE_SIZE (1 << 20) /* what the reader may be ahead */

/* Only the layer and the pipe stay open, and standard error. */
static void run_child(int blob, int out, const struct image_limits *limits, pid_t parent)
{
        struct err ignored;

        digest_free(digest_new()); /* its first use reads files */
        if (dup2(blob, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
            close_range(STDERR_FILENO + 1, ~0U, 0) < 0 || sandbox_enter_child(&ignored) < 0)
                _exit(1);
        /* Of a parent that was gone before it could be told to die with it. */
        if (getppid() != parent)
                _exit(1);
        layer_send(STDIN_FILENO, STDOUT_FILENO, limits);
}

int layer_source_start(struct layer_source *source, int blob, const struct image_limits *limits,
                       struct err *err)
{
        AUTO_CLOSE int in = -1, out = -1;
        pid_t self = getpid();
        int pipefd[2];

        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe");
        in = pipefd[0];
        out = pipefd[1];
        (void)fcntl(in, F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one is slower, no more */
        source->pid = fork();
        if (source->pid < 0) {
                source->pid = 0;
                return err_errno(err, errno, "start a reader");
        }
        if (source->pid == 0)
                run_child(blob, out, limits, self);
        source->fd = steal_fd(&in);
        wire_in_init(&source->in, source->fd, UINT64_MAX);
        return 0;
}

static int fail(const struct wire_frame *frame, struct err *err)
{
        struct wire_fail fail = {0};
        size_t n = frame->header.len;

        memcpy(&fail, frame->payload, n < sizeof(fail) ? n : sizeof(fail));
        fail.text[sizeof(fail.text) - 1] = '\0';
        return err_set(err, fail.code > 0 && fail.code < 4096 ? fail.code : EIO, "%s", fail.text);
}

int layer_source_next(struct layer_source *source, struct wire_frame *ret, struct err *err)
{
        int r = wire_in_next(&source->in, ret, err);

        return r == 0 && ret->header.kind == WIRE_FAIL ? fail(ret, err) : r;
}

void layer_source_stop(struct layer_source *source)
{
        if (!source->pid)
                return;
        (void)kill(source->pid, SIGKILL); /* it may have ended: it is reaped only here */
        while (waitpid(source->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        (void)close(source->fd); /* the reading end */
        wire_in_release(&source->in);
        source->pid = 0;
}
