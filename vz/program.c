/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

char *program_find(const char *name)
{
        AUTO_FREE char *path = xstrdup(getenv("PATH"));
        char *rest = path, *dir;

        if (strchr(name, '/'))
                return xstrdup(name);
        while ((dir = strsep(&rest, ":")) != NULL) {
                AUTO_FREE char *candidate = file_join(*dir ? dir : ".", name);

                if (access(candidate, X_OK) == 0)
                        return STEAL(candidate);
        }
        return NULL;
}
