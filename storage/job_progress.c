/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/job_progress.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"

#define INTERVAL_MS       100
#define LAYER_INTERVAL_MS 40 /* several layers take turns */

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

void job_progress_layer(struct job_progress *progress, const char *digest, const char *state,
                        int64_t done, int64_t total)
{
        int64_t now = clock_mono_ms();
        AUTO_FREE char *line = NULL;
        struct err ignored;

        if (progress->fd < 0 || (done != total && streq(state, progress->layer_state) &&
                                 now - progress->layer_ms < LAYER_INTERVAL_MS))
                return;
        progress->layer_ms = now;
        progress->layer_state = state;
        line = xasprintf("{\"event\":\"layer\",\"digest\":\"%s\",\"state\":\"%s\","
                         "\"done\":%lld,\"total\":%lld}\n",
                         digest, state, (long long)done, (long long)total);
        (void)fd_write_all(progress->fd, line, strlen(line), &ignored); /* as above */
}

void job_progress_image(const struct job_progress *progress, const char *digest)
{
        AUTO_FREE char *line = xasprintf("{\"event\":\"image\",\"manifest\":\"%s\"}\n", digest);
        struct err ignored;

        if (progress->fd >= 0)
                (void)fd_write_all(progress->fd, line, strlen(line), &ignored); /* as above */
}

void job_progress_notice(const struct job_progress *progress, const char *text)
{
        AUTO_JSON json_t *message = json_pack("{s:s, s:s}", "event", "notice", "text", text);
        AUTO_FREE char *line = NULL, *json = NULL;
        struct err ignored;

        if (progress->fd < 0 || !message) /* a text that is not UTF-8 */
                return;
        json = json_text(message);
        line = xasprintf("%s\n", json);
        (void)fd_write_all(progress->fd, line, strlen(line), &ignored); /* as above */
}
