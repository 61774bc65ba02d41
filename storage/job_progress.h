/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says while it works: JSON lines on a pipe, at most some a second. */
#ifndef STORAGE_JOB_PROGRESS_H
#define STORAGE_JOB_PROGRESS_H

#include <stdint.h>

struct job_progress {
        int fd; /* -1: say nothing */
        int64_t last_ms, layer_ms;
        const char *layer_state; /* of the last line about a layer */
};

/** One line, unless the last was a moment ago and this is not the end of a stage. */
void job_progress_report(struct job_progress *progress, const char *stage, int64_t done,
                         int64_t total);

/** The same about one layer of a pull or push; state: a constant word. */
void job_progress_layer(struct job_progress *progress, const char *digest, const char *state,
                        int64_t done, int64_t total);

/** A pull knows its image: the manifest's digest. */
void job_progress_image(const struct job_progress *progress, const char *digest);

/** A sentence for people: why it takes longer. */
void job_progress_notice(const struct job_progress *progress, const char *text);

#endif
