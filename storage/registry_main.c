/* SPDX-License-Identifier: Apache-2.0 */
/* berth-registry: one job with a registry, in a process of its own (job.h). libcurl is mapped here.
 */
#include <stdio.h>
#include <string.h>

#include "storage/worker.h"

int main(int argc, char **argv)
{
        if (argc != 2 || strcmp(argv[1], WORKER_OPTION) != 0) {
                (void)fputs("berth-registry: berthd starts this program; it is of no other use\n",
                            stderr);
                return 64;
        }
        return worker_main(registry_worker_run);
}
