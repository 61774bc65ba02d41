/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/job_progress.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#define INTERVAL_MS 100

void job_progress_report(struct job_progress *progress, const char *stage, int64_t done,
                         int64_t total)
{
        int64_t now = clock_mono_ms();
        AUTO_FREE char *line = NULL;
        struct err ignored;

        if (progress->fd < 0 || (done != total && now - progress->last_ms < INTERVAL_MS))
                return;
        progress->last_ms = now;
        line = xasprintf("{\"event\":\"progress\",\"stage\":\"%s\",\"done\":%lld,\"total\":%lld}\n",
                         stage, (long long)done, (long long)total);
        /* Nobody listens: the daemon is gone, and the lock on the staging folder with it. */
        (void)fd_write_all(progress->fd, line, strlen(line), &ignored);
}
