/* SPDX-License-Identifier: Apache-2.0 */
/* A pull and the unpacking that follows it, with a worker that does as it is told. */
#include <dirent.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "storage/job.h"
#include "tests/tap.h"
#include "tests/unit/storage/driver.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* The pull names its image and fails; the unpacking would go on for long. */
static const char script[] =
        "#!/bin/sh\n"
        "read -r request\n"
        "case $request in\n"
        "*'\"pull\"'*)\n"
        "        echo '{\"event\": \"image\", \"manifest\": \"" DIGEST "\"}'\n"
        "        echo '{\"event\": \"error\", \"code\": 71, \"message\": \"it broke\"}'\n"
        "        exit 1 ;;\n"
        "esac\n"
        "exec sleep 60\n";

static char *staging; /* where followers make disks */

struct told {
        struct driver driver;
        int left; /* folders of others when it was told */
};

static int count_staging(void)
{
        AUTO_DIR DIR *d = opendir(staging);
        struct dirent *entry;
        int count = 0;

        while (d && (entry = readdir(d)))
                count += entry->d_name[0] != '.';
        return count;
}

static void on_told(void *ctx, const json_t *result, const struct err *err)
{
        struct told *told = ctx;

        told->left = count_staging();
        driver_on_done(&told->driver, result, err);
}

static struct storage_job *pull(struct told *told, struct image_store *store, const char *worker)
{
        const struct storage_job_request request = {
                .kind = JOB_PULL, .archive_fd = -1, .ref = "127.0.0.1:9/x:1"};
        const struct storage_job_events events = {.on_done = on_told, .ctx = told};
        struct storage_job *job = NULL;
        struct err err = ERR_INIT;

        *told = (struct told){.driver = {.loop = ev_default_loop(0), .err = ERR_INIT}};
        is_int(storage_job_start(told->driver.loop, store, worker, &request, &events, &job, &err),
               0, "a pull begins: %s", err.msg);
        return job;
}

static void test_failed(struct image_store *store, const char *worker)
{
        struct told told;

        (void)pull(&told, store, worker);
        while (!told.driver.done)
                ev_run(told.driver.loop, 0);
        has_str(told.driver.err.msg, "it broke", "it fails, and says its own reason");
        is_int(told.left, 0, "and what followed it is gone by then");
        ev_run(told.driver.loop, 0); /* what was deferred is freed */
}

static void on_look(struct ev_loop *loop, ev_prepare *w, int revents)
{
        (void)revents;
        if (count_staging() == 0)
                return;
        ev_prepare_stop(loop, w);
        ev_break(loop, EVBREAK_ALL);
}

static void test_cancelled(struct image_store *store, const char *worker)
{
        struct told told;
        struct storage_job *job = pull(&told, store, worker);
        ev_prepare look;

        ev_prepare_init(&look, on_look);
        ev_prepare_start(told.driver.loop, &look);
        ev_run(told.driver.loop, 0); /* until the follower has begun */
        is_int(count_staging(), 1, "its follower has begun");
        storage_job_cancel(job);
        ev_run(told.driver.loop, 0); /* ends when both are reaped and freed */
        ok(!told.driver.done, "no callback after a cancel");
        is_int(count_staging(), 0, "nothing is left");
}

int main(void)
{
        char dir[] = "/tmp/job_follow_test.XXXXXX";
        AUTO_FREE char *worker = NULL;
        AUTO(image_store) struct image_store *store = NULL;
        struct err err = ERR_INIT;

        if (!mkdtemp(dir))
                return 1;
        worker = file_join(dir, "worker");
        is_int(file_write_atomic(worker, script, strlen(script), 0755, &err), 0, "a worker");
        is_int(image_store_open(dir, &store, &err), 0, "a store: %s", err.msg);
        staging = file_join(dir, "tmp");
        test_failed(store, worker);
        test_cancelled(store, worker);
        is_int(file_remove_tree(dir, &err), 0, "end");
        free(staging);
        return tap_done();
}
