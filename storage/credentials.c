/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/credentials.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/base64.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/spawn.h"

#define FILE_MAX        (4u << 20)
#define HELPER_MAX      65536
#define HELPER_NAME_MAX 64
#define HELPER_SECONDS  "30"
#define HUB_KEY         "https://index.docker.io/v1/"

void credentials_release(struct credentials *credentials)
{
        free(credentials->username);
        free(credentials->password);
        free(credentials->identity_token);
        free(credentials->source);
        *credentials = (struct credentials){0};
}

/* ------------------------------------------------------------------------------------- one file */

/* A key as people and tools write it, reduced to "host[:port][/path]". */
static char *plain_key(const char *key)
{
        const char *start = has_prefix(key, "https://")  ? key + 8
                            : has_prefix(key, "http://") ? key + 7
                                                         : key;
        size_t len = strlen(start);
        AUTO_FREE char *plain = NULL;

        while (len && start[len - 1] == '/')
                len--;
        plain = xstrndup(start, len);
        if (streq(plain, "index.docker.io/v1") || streq(plain, "index.docker.io") ||
            streq(plain, "registry-1.docker.io"))
                return xstrdup("docker.io");
        /* old files name the API's version: host/v1, host/v2 */
        if (len > 3 && (streq(plain + len - 3, "/v1") || streq(plain + len - 3, "/v2")))
                plain[len - 3] = '\0';
        return STEAL(plain);
}

/* The entry of the longest key that is wanted or a namespace above it. */
static const json_t *find_entry(json_t *auths, const char *wanted, const char **ret_key)
{
        const json_t *best = NULL;
        size_t best_len = 0;
        const char *key;
        json_t *entry;

        json_object_foreach(auths, key, entry) {
                AUTO_FREE char *plain = plain_key(key);
                size_t len = strlen(plain);

                if (len < best_len || !has_prefix(wanted, plain) ||
                    (wanted[len] && wanted[len] != '/') || !json_is_object(entry))
                        continue;
                best = entry;
                best_len = len;
                *ret_key = key;
        }
        return best;
}

/* Of credHelpers: the program for a host, as docker (a URL for its own registry) or podman name it.
 */
static const char *find_helper(json_t *helpers, const char *host)
{
        const char *key;
        json_t *helper;

        json_object_foreach(helpers, key, helper) {
                AUTO_FREE char *plain = plain_key(key);

                if (streq(plain, host))
                        return json_string_value(helper);
        }
        return NULL;
}

static int read_entry(const json_t *entry, const char *what, const char *key,
                      struct credentials *ret, struct err *err)
{
        const char *auth = json_str(entry, "auth", ""),
                   *token = json_str(entry, "identitytoken", "");
        AUTO_FREE char *pair = NULL;
        char *colon = NULL;
        size_t len;

        if (*token)
                ret->identity_token = xstrdup(token);
        if (!*auth && json_str(entry, "username", NULL)) {
                ret->username = xstrdup(json_str(entry, "username", ""));
                ret->password = xstrdup(json_str(entry, "password", ""));
        }
        if (!*auth)
                return 0;
        if (base64_decode(auth, &pair, &len) == 0)
                colon = strlen(pair) == len ? strchr(pair, ':') : NULL;
        if (!colon)
                return err_set(err, EINVAL,
                               "%s: auths: %.100s: 'auth' is not base64 of user:password", what,
                               key);
        *colon = '\0';
        ret->username = xstrdup(pair);
        ret->password = xstrdup(colon + 1);
        return 0;
}

int credentials_parse(const char *text, size_t len, const char *what, const char *host,
                      const char *path, struct credentials *ret, char **ret_helper, struct err *err)
{
        AUTO_FREE char *wanted = xasprintf("%s/%s", host, path);
        AUTO_JSON json_t *json = NULL;
        const char *helper, *key = "";
        const json_t *entry;
        int r = json_parse(text, len, FILE_MAX, what, &json, err);

        *ret = (struct credentials){0};
        *ret_helper = NULL;
        if (r < 0)
                return r;
        helper = find_helper(json_object_get(json, "credHelpers"), host);
        if (!helper)
                helper = json_str(json, "credsStore", NULL);
        if (helper && *helper)
                *ret_helper = xstrdup(helper);
        entry = find_entry(json_object_get(json, "auths"), wanted, &key);
        r = entry ? read_entry(entry, what, key, ret, err) : 0;
        if (r < 0)
                credentials_release(ret);
        else if (ret->username || ret->identity_token)
                ret->source = xstrdup(what);
        return r;
}

/* -------------------------------------------------------------------------------------- helpers */

static int ask_helper(const char *helper, const char *server, char **ret, struct err *err)
{
        AUTO_FREE char *program = xasprintf("docker-credential-%s", helper);
        const char *argv[] = {"timeout", "-k", "1", HELPER_SECONDS, program, "get", NULL};
        AUTO_CLOSE int in = memfd_create("server", MFD_CLOEXEC);
        const struct spawn_fd fds[] = {{in, 0}};
        const struct spawn spec = {.argv = argv, .fds = fds, .fd_count = 1};
        int r;

        if (in < 0)
                return err_errno(err, errno, "%s", program);
        r = fd_write_all(in, server, strlen(server), err);
        if (r == 0 && lseek(in, 0, SEEK_SET) < 0)
                r = err_errno(err, errno, "%s", program);
        return r < 0 ? r : spawn_run(&spec, HELPER_MAX, ret, err);
}

static int read_helper(const char *helper, const char *text, struct credentials *ret,
                       struct err *err)
{
        AUTO_JSON json_t *json = NULL;
        const char *user = NULL, *secret = NULL;
        int r = json_parse(text, strlen(text), HELPER_MAX, "its answer", &json, err);

        if (r == 0)
                r = json_need_str(json, "Username", "its answer", &user, err);
        if (r == 0)
                r = json_need_str(json, "Secret", "its answer", &secret, err);
        if (r < 0)
                return err_wrap(err, "docker-credential-%s", helper);
        if (streq(user, "<token>")) {
                ret->identity_token = xstrdup(secret);
        } else {
                ret->username = xstrdup(user);
                ret->password = xstrdup(secret);
        }
        ret->source = xasprintf("docker-credential-%s", helper);
        return 0;
}

/* 0: *ret has what the helper knows, maybe nothing. */
static int use_helper(const char *helper, const char *host, struct credentials *ret,
                      struct err *err)
{
        static const char good[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
        const char *server = streq(host, "docker.io") ? HUB_KEY : host;
        AUTO_FREE char *text = NULL;
        size_t len = strlen(helper);
        int r;

        if (len > HELPER_NAME_MAX || strspn(helper, good) != len)
                return err_set(err, EINVAL, "'%.70s' is not the name of a credential helper",
                               helper);
        r = ask_helper(helper, server, &text, err);
        if (r < 0 && strstr(err->msg, "credentials not found"))
                return 0; /* the helpers' way to say anonymous */
        if (r < 0 && strstr(err->msg, "status 124"))
                return err_set(err, ETIMEDOUT, "docker-credential-%s did not answer in %s s",
                               helper, HELPER_SECONDS);
        return r < 0 ? r : read_helper(helper, text, ret, err);
}

/* --------------------------------------------------------------------------------------- lookup */

static char *env_join(const char *variable, const char *tail)
{
        const char *value = getenv(variable);

        return value && *value ? (tail ? file_join(value, tail) : xstrdup(value)) : NULL;
}

/* 1: the text does not know the host. what: where it is from. */
static int try_text(const char *text, size_t len, const char *what, const char *host,
                    const char *path, struct credentials *ret, struct err *err)
{
        AUTO_FREE char *helper = NULL;
        int r;

        if (len == 0)
                return 1; /* a file that login was about to write */
        r = credentials_parse(text, len, what, host, path, ret, &helper, err);
        if (r == 0 && helper) {
                struct credentials plain = *ret;

                *ret = (struct credentials){0};
                r = use_helper(helper, host, ret, err);
                if (r == 0 && !ret->username && !ret->identity_token)
                        *ret = plain;
                else
                        credentials_release(&plain);
        }
        if (r < 0)
                return r;
        return ret->username || ret->identity_token ? 0 : 1;
}

/* 1: the file does not know the host, or is not there. */
static int try_file(const char *file, const char *host, const char *path, struct credentials *ret,
                    struct err *err)
{
        AUTO_FREE char *text = NULL;
        size_t len;
        int r = file_read(file, FILE_MAX, &text, &len, err);

        if (r == -ENOENT || r == -ENOTDIR)
                return 1;
        return r < 0 ? r : try_text(text, len, file, host, path, ret, err);
}

int credentials_find(const char *host, const char *path, const char *file, struct credentials *ret,
                     struct err *err)
{
        AUTO_FREE char *named = env_join("REGISTRY_AUTH_FILE", NULL);
        AUTO_FREE char *run = env_join("XDG_RUNTIME_DIR", "containers/auth.json");
        AUTO_FREE char *user = env_join("XDG_CONFIG_HOME", "containers/auth.json");
        AUTO_FREE char *home = env_join("HOME", ".config/containers/auth.json");
        AUTO_FREE char *docker = env_join("DOCKER_CONFIG", "config.json");
        AUTO_FREE char *docker_home = env_join("HOME", ".docker/config.json");
        const char *const files[] = {file, named, run, user ? user : home,
                                     docker ? docker : docker_home};

        const char *inherited = getenv("DOCKER_AUTH_CONFIG"); /* as CI systems set it */
        int r = 1;

        *ret = (struct credentials){0};
        if (inherited)
                r = try_text(inherited, strlen(inherited), "DOCKER_AUTH_CONFIG", host, path, ret,
                             err);
        for (size_t i = 0; r > 0 && i < ARRAY_SIZE(files); i++) {
                credentials_release(ret);
                r = files[i] ? try_file(files[i], host, path, ret, err) : 1;
        }
        return r < 0 ? r : 0;
}
