/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs run to their end, for tests: the test program is its own worker (see DRIVER_MAIN), so that
 * what is tested is the real thing in a real process.
 */
#ifndef TESTS_UNIT_STORAGE_DRIVER_H
#define TESTS_UNIT_STORAGE_DRIVER_H

#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "storage/image.h"
#include "storage/job.h"

/* First thing in main(): serve as the worker when started as one. */
#define DRIVER_MAIN(argc, argv)                                           \
        do {                                                              \
                if ((argc) > 1 && !strcmp((argv)[1], "--storage-worker")) \
                        return storage_worker_main((argc), (argv));       \
        } while (0)

struct driver {
        struct ev_loop *loop;
        bool done;
        struct err err; /* code 0: success */
        json_t *result;
        int progress; /* calls */
};

static void driver_on_progress(void *ctx, const char *stage, int64_t done, int64_t total)
{
        (void)stage;
        (void)done;
        (void)total;
        ((struct driver *)ctx)->progress++;
}

static void driver_on_notice(void *ctx, const char *text)
{
        (void)ctx;
        (void)fprintf(stderr, "# %s\n", text);
}

static void driver_on_done(void *ctx, const json_t *result, const struct err *err)
{
        struct driver *d = ctx;

        d->done = true;
        if (err)
                d->err = *err;
        else
                d->result = json_deep_copy(result);
        ev_break(d->loop, EVBREAK_ALL);
}

/* 0, or <0 with err; *ret_result (may be NULL) is the caller's. */
static int driver_run(struct image_store *store, const struct storage_job_request *request,
                      json_t **ret_result, struct err *err)
{
        struct driver d = {.loop = ev_default_loop(0), .err = ERR_INIT};
        const struct storage_job_events events = {.on_progress = driver_on_progress,
                                                  .on_notice = driver_on_notice,
                                                  .on_done = driver_on_done,
                                                  .ctx = &d};
        struct storage_job *job;
        int r = storage_job_start(d.loop, store, "/proc/self/exe", request, &events, &job, err);

        if (r < 0)
                return r;
        while (!d.done)
                ev_run(d.loop, 0);
        ev_run(d.loop, EVRUN_NOWAIT); /* what was deferred is freed */
        ev_run(d.loop, EVRUN_NOWAIT);
        if (ret_result && d.result)
                *ret_result = d.result;
        else
                json_decref(d.result);
        if (d.err.code)
                *err = d.err;
        return -d.err.code;
}

__attribute__((unused)) static int driver_load(struct image_store *store, const char *path,
                                               const char *ref, json_t **ret, struct err *err)
{
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        const struct storage_job_request request = {.kind = JOB_LOAD, .archive_fd = fd, .ref = ref};

        return fd < 0 ? err_errno(err, errno, "%s", path) : driver_run(store, &request, ret, err);
}

__attribute__((unused)) static int driver_import(struct image_store *store, const char *path,
                                                 const char *ref, const json_t *changes,
                                                 json_t **ret, struct err *err)
{
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        const struct storage_job_request request = {
                .kind = JOB_IMPORT, .archive_fd = fd, .ref = ref, .changes = changes};

        return fd < 0 ? err_errno(err, errno, "%s", path) : driver_run(store, &request, ret, err);
}

__attribute__((unused)) static int driver_unpack(struct image_store *store, const char *digest,
                                                 json_t **ret, struct err *err)
{
        const struct storage_job_request request = {
                .kind = JOB_UNPACK, .archive_fd = -1, .digest = digest};

        return driver_run(store, &request, ret, err);
}

__attribute__((unused)) static int driver_pull(struct image_store *store, const char *ref,
                                               json_t **ret, struct err *err)
{
        const struct storage_job_request request = {.kind = JOB_PULL, .archive_fd = -1, .ref = ref};

        return driver_run(store, &request, ret, err);
}

#endif
