/* SPDX-License-Identifier: Apache-2.0 */
/* A worker for every job: programs that are their own worker, which is what tests are. */
#include "storage/job.h"
#include "storage/worker.h"

static int run_any(const json_t *request, json_t **ret, struct err *err)
{
        return json_bool(request, "network", false) ? registry_worker_run(request, ret, err)
                                                    : archive_worker_run(request, ret, err);
}

int storage_worker_main(int argc, char **argv)
{
        (void)argc;
        (void)argv;
        return worker_main(run_any);
}
