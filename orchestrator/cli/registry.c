/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/registry.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/credential_helper.h"

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

char *registry_login_file(void)
{
        const char *file = env("REGISTRY_AUTH_FILE"), *docker = env("DOCKER_CONFIG");
        AUTO_FREE char *config = docker ? file_join(docker, "config.json") : NULL;

        if (file || config)
                return absolute(file ? file : config);
        return env("HOME") ? file_join(env("HOME"), ".docker/config.json") : NULL;
}

/* ---------------------------------------------------------------------------------------- login */

#define FILE_MAX (4u << 20)

/* How files name a registry: Docker Hub has had its own key for ever. */
static const char *key_of(const char *registry)
{
        return streq(registry, "docker.io") ? "https://index.docker.io/v1/" : registry;
}

static int read_file(const char *file, json_t **ret, struct err *err)
{
        AUTO_FREE char *text = NULL;
        size_t len = 0;
        int r = file_read(file, FILE_MAX, &text, &len, err);

        if (r == -ENOENT || (r == 0 && len == 0)) {
                *ret = json_object();
                return 0;
        }
        if (r == 0)
                r = json_parse(text, len, FILE_MAX, file, ret, err);
        if (r == 0 && !json_is_object(*ret))
                r = err_set(err, EINVAL, "%s: not a file of credentials", file);
        return r;
}

static int write_file(const char *file, const json_t *json, struct err *err)
{
        AUTO_FREE char *folder = xstrndup(file, (size_t)(strrchr(file, '/') - file));
        AUTO_FREE char *text = json_pretty(json);
        int r = *folder ? file_mkdir_p(folder, 0700, err) : 0;

        return r < 0 ? r : file_write_atomic(file, text, strlen(text), 0600, err);
}

int registry_login_store(const char *file, const char *registry, const char *username,
                         const char *password, char **ret_where, struct err *err)
{
        AUTO_FREE char *pair = xasprintf("%s:%s", username, password);
        AUTO_FREE char *auth = base64_encode(pair, strlen(pair));
        AUTO_JSON json_t *json = NULL;
        const char *helper;
        json_t *auths;
        int r = read_file(file, &json, err);

        if (r < 0)
                return r;
        helper = credential_helper_of(json, registry);
        if (helper) {
                r = credential_helper_store(helper, key_of(registry), username, password, err);
                if (r == 0)
                        *ret_where = xasprintf("docker-credential-%s", helper);
                return r;
        }
        auths = json_object_get(json, "auths");
        if (!json_is_object(auths)) {
                auths = json_object();
                (void)json_object_set_new(json, "auths", auths); /* fails only without memory */
        }
        (void)json_object_set_new(auths, key_of(registry),
                                  json_pack("{s:s}", "auth", auth)); /* fails only without memory */
        r = write_file(file, json, err);
        if (r == 0)
                *ret_where = xstrdup(file);
        return r;
}

int registry_login_erase(const char *file, const char *registry, struct err *err)
{
        AUTO_JSON json_t *json = NULL;
        const char *helper;
        int r = read_file(file, &json, err);

        if (r < 0)
                return r;
        helper = credential_helper_of(json, registry);
        if (helper)
                r = credential_helper_erase(helper, key_of(registry), err);
        if (r < 0)
                return r;
        if (json_object_del(json_object_get(json, "auths"), key_of(registry)) < 0)
                return helper ? 0 : REGISTRY_UNKNOWN;
        return write_file(file, json, err);
}
