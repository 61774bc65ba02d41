/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth-storage: one job with an image's hostile bytes, in a process of its own (job.h). A program
 * of its own, too, so that the daemon stays small: libarchive, with all it brings along, is mapped
 * only here. What speaks to registries is another (registry_main.c): loading libraries that a job
 * does not need would be half of the time of a pull that finds nothing new.
 */
#include <stdio.h>
#include <string.h>

#include "storage/worker.h"

int main(int argc, char **argv)
{
        if (argc != 2 || strcmp(argv[1], WORKER_OPTION) != 0) {
                (void)fputs("berth-storage: berthd starts this program; it is of no other use\n",
                            stderr);
                return 64;
        }
        return worker_main(archive_worker_run);
}
