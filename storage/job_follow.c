/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull is followed by the unpacking of what it brings: once it knows its image, a job of its own
 * starts, hears of each layer that is whole and checked, and makes the disk meanwhile. The pull
 * ends when both have. When the follower fails nothing is lost: who wants the disk asks for it, and
 * is told why there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "storage/job_internal.h"
#include "storage/publish.h"

void job_follow_end(struct storage_job *job)
{
        if (job->ready >= 0)
                (void)close(steal_fd(&job->ready)); /* the writing end */
}

void job_follow_drop(struct storage_job *job)
{
        storage_job_cancel(job->follower);
        job->follower = NULL;
        job_follow_end(job);
}

void job_follow_stop(struct storage_job *job)
{
        struct err ignored;

        job_follow_end(job);
        if (job->follower && job->follower->pid && !job->follower->exited)
                (void)fd_pidfd_signal(job->follower->child.pidfd, SIGKILL, &ignored); /* gone? */
}

static void on_follower_done(void *ctx, const json_t *result, const struct err *err)
{
        struct storage_job *job = ctx;

        (void)result;
        (void)err;
        job->follower = NULL;
        job_follow_end(job);
        if (job->over) /* else the pull goes on */
                job_tell(job);
}

/* Before the pull is over, its own progress is what people see. */
static void on_follower_progress(void *ctx, const char *stage, int64_t done, int64_t total)
{
        const struct storage_job *job = ctx;

        if (job->over && job->events.on_progress)
                job->events.on_progress(job->events.ctx, stage, done, total);
}

void job_follow_start(struct storage_job *job, const char *digest)
{
        const struct storage_job_request request = {
                .kind = JOB_UNPACK, .archive_fd = -1, .digest = digest};
        const struct storage_job_events events = {
                .on_progress = on_follower_progress, .on_done = on_follower_done, .ctx = job};
        AUTO_CLOSE int ready = -1;
        struct err ignored;
        int pipefd[2];

        if (job->ready >= 0 || job->follower || !digest_valid(digest) ||
            publish_has_rootfs(&job->store, digest) || pipe2(pipefd, O_CLOEXEC) < 0)
                return;
        ready = pipefd[0];
        job->ready = pipefd[1];
        if (fd_set_nonblock(job->ready, &ignored) < 0 ||
            job_start(job->loop, &job->store, job->worker, &request, ready, &events, &job->follower,
                      &ignored) < 0)
                job_follow_end(job);
}

/* The pipe has room for the digests of all layers that an image may have. SIGPIPE is ignored. */
void job_follow_layer(struct storage_job *job, const char *digest, const char *state)
{
        AUTO_FREE char *line = NULL;
        struct err ignored;

        if (job->ready < 0 || !(streq(state, "done") || streq(state, "present")))
                return;
        line = xasprintf("%.80s\n", digest);
        if (fd_write_all(job->ready, line, strlen(line), &ignored) < 0)
                job_follow_drop(job);
}
