/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/registry.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

static const char *env(const char *name)
{
        const char *value = getenv(name);

        return value && *value ? value : NULL;
}

static char *absolute(const char *path)
{
        AUTO_FREE char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

        return here ? file_join(here, path) : xstrdup(path);
}

char *registry_auth_file(void)
{
        const char *file = env("REGISTRY_AUTH_FILE"), *docker = env("DOCKER_CONFIG");
        AUTO_FREE char *config = docker ? file_join(docker, "config.json") : NULL;

        return file ? absolute(file) : config ? absolute(config) : NULL;
}
