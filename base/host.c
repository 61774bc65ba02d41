/* SPDX-License-Identifier: Apache-2.0 */
#include "base/host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"

#define MEMINFO_MAX (64 << 10)
#define AVAILABLE   "MemAvailable:"
#define SPARE       (INT64_C(256) << 20)

int64_t host_memory_available(void)
{
        AUTO_FREE char *text = NULL;
        const char *line;

        if (file_read("/proc/meminfo", MEMINFO_MAX, &text, NULL, NULL) < 0 ||
            !(line = strstr(text, AVAILABLE)))
                return 0;
        return strtoll(line + strlen(AVAILABLE), NULL, 10) * 1024;
}

bool host_memory_spare(int64_t bytes)
{
        return host_memory_available() > 2 * bytes + SPARE;
}

int64_t host_memory_total(void)
{
        return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}
