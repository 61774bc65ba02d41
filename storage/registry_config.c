/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/registry_config.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"

#define CONFIG_MAX (1u << 20)
#define PEM_MAX    (1u << 20)

static const char *env(const char *name)
{
        const char *value = getenv(name);

        return value && *value ? value : NULL;
}

/* "$XDG_CONFIG_HOME/tail" or "~/.config/tail"; NULL: no home. */
static char *user_config(const char *tail)
{
        const char *xdg = env("XDG_CONFIG_HOME"), *home = env("HOME");

        if (xdg)
                return file_join(xdg, tail);
        return home ? xasprintf("%s/.config/%s", home, tail) : NULL;
}

static char *config_path(void)
{
        AUTO_FREE char *user = user_config("berth/registries.json");

        if (env("BERTH_REGISTRIES"))
                return xstrdup(env("BERTH_REGISTRIES"));
        if (user && access(user, F_OK) == 0)
                return STEAL(user);
        return xstrdup("/etc/berth/registries.json");
}

static int read_duration(const json_t *file, const char *key, const char *path, unsigned *ret_ms,
                         struct err *err)
{
        const json_t *value = json_object_get(file, key);
        int64_t ms = 0;
        int r;

        if (!value)
                return 0;
        r = json_is_string(value) ? value_duration_ms(json_string_value(value), &ms, err)
                                  : err_set(err, EINVAL, "not a duration like \"30s\"");
        if (r == 0 && (ms < 1 || ms > 3600000))
                r = err_set(err, EINVAL, "must be within 1ms and 1h");
        *ret_ms = (unsigned)ms;
        return r < 0 ? err_wrap(err, "%s: %s", path, key) : 0;
}

static int read_count(const json_t *file, const char *key, int64_t max, const char *path,
                      unsigned *ret, struct err *err)
{
        int64_t n = *ret;
        int r = json_object_get(file, key) ? json_need_int(file, key, 1, max, path, &n, err) : 0;

        *ret = (unsigned)n;
        return r;
}

int registry_config_file(char **ret_path, json_t **ret, struct err *err)
{
        AUTO_FREE char *path = config_path(), *text = NULL;
        size_t len;
        int r = file_read(path, CONFIG_MAX, &text, &len, err);

        if (r == -ENOENT && !env("BERTH_REGISTRIES")) {
                *ret = json_object();
                r = 0;
        } else if (r == 0) {
                r = json_parse(text, len, CONFIG_MAX, path, ret, err);
        }
        if (r == 0)
                *ret_path = STEAL(path);
        return r;
}

int registry_config_load(struct registry_config *ret, struct err *err)
{
        AUTO_FREE char *path = NULL;
        int r;

        *ret = (struct registry_config){.connect_ms = 30000,
                                        .stall_ms = 60000,
                                        .retry_ms = 1000,
                                        .retries = 5,
                                        .parallel = 3};
        r = registry_config_file(&path, &ret->file, err);
        if (r == 0)
                r = read_duration(ret->file, "connect_timeout", path, &ret->connect_ms, err);
        if (r == 0)
                r = read_duration(ret->file, "stall_timeout", path, &ret->stall_ms, err);
        if (r == 0)
                r = read_duration(ret->file, "retry_delay", path, &ret->retry_ms, err);
        if (r == 0)
                r = read_count(ret->file, "retries", 20, path, &ret->retries, err);
        if (r == 0)
                r = read_count(ret->file, "parallel", 16, path, &ret->parallel, err);
        if (r < 0)
                registry_config_release(ret);
        return r;
}

void registry_config_release(struct registry_config *config)
{
        json_decref(config->file);
        config->file = NULL;
}

bool registry_is_loopback(const char *host)
{
        size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
        AUTO_FREE char *name = xstrndup(host, len);
        struct err ignored;
        uint32_t ip;

        return streq(name, "localhost") || streq(name, "[::1]") ||
               (value_ip4(name, &ip, &ignored) == 0 && ip >> 24 == 127);
}

/* ------------------------------------------------------------------------------------ TLS files */

static bool ends_with(const char *text, const char *end)
{
        size_t n = strlen(text), m = strlen(end);

        return n > m && streq(text + n - m, end);
}

static int append_file(const char *path, char **text, struct err *err)
{
        AUTO_FREE char *more = NULL;
        char *both;
        int r = file_read(path, PEM_MAX, &more, NULL, err);

        if (r < 0)
                return r;
        both = xasprintf("%s%s\n", *text ? *text : "", more);
        free(*text);
        *text = both;
        return 0;
}

/* NAME.cert goes with NAME.key, as Docker wants it. */
static int read_client(const char *cert, struct http_tls *tls, struct err *err)
{
        AUTO_FREE char *stem = xstrndup(cert, strlen(cert) - strlen(".cert"));
        AUTO_FREE char *key = xasprintf("%s.key", stem);
        int r = append_file(cert, &tls->cert, err);

        return r < 0 ? r : append_file(key, &tls->key, err);
}

static int read_folder(const char *folder, struct http_tls *tls, struct err *err)
{
        AUTO_DIR DIR *dir = opendir(folder);
        struct dirent *entry;
        int r = 0;

        if (!dir && (errno == ENOENT || errno == ENOTDIR))
                return 0;
        if (!dir)
                return err_errno(err, errno, "%s", folder);
        while (r == 0 && (entry = readdir(dir))) {
                AUTO_FREE char *path = file_join(folder, entry->d_name);

                if (ends_with(entry->d_name, ".crt"))
                        r = append_file(path, &tls->ca, err);
                else if (ends_with(entry->d_name, ".cert") && !tls->cert)
                        r = read_client(path, tls, err);
        }
        return r;
}

static int read_tls(const char *host, struct http_tls *tls, struct err *err)
{
        AUTO_FREE char *user = user_config("containers/certs.d");
        const char *const places[] = {env("BERTH_CERTS"), user, "/etc/containers/certs.d",
                                      "/etc/docker/certs.d"};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(places); i++) {
                AUTO_FREE char *folder = places[i] ? file_join(places[i], host) : NULL;

                if (folder)
                        r = read_folder(folder, tls, err);
                if (tls->ca || tls->cert)
                        break;
        }
        return r;
}

/* ------------------------------------------------------------------------------------ endpoints */

static int add_endpoint(const struct registry_config *config, const char *host, const char *account,
                        struct registry_endpoint *endpoint, struct err *err)
{
        const json_t *entry = json_object_get(json_object_get(config->file, "registries"), account);

        endpoint->host = xstrdup(host);
        endpoint->account = xstrdup(account);
        endpoint->insecure = json_bool(entry, "insecure", false);
        endpoint->http_first = json_bool(entry, "http", false);
        endpoint->loopback = registry_is_loopback(host);
        endpoint->tls.insecure = endpoint->insecure;
        return read_tls(host, &endpoint->tls, err);
}

static int add_mirror(const struct registry_config *config, const char *text,
                      struct registry_endpoint *endpoint, struct err *err)
{
        bool http = has_prefix(text, "http://");
        const char *host = http ? text + 7 : has_prefix(text, "https://") ? text + 8 : text;
        size_t len = strcspn(host, "/");
        AUTO_FREE char *name = xstrndup(host, len);
        int r;

        if (!*name || strpbrk(name, "@?#\\ ") || (host[len] && host[len + 1]))
                return err_set(err, EINVAL,
                               "registries.json: mirror '%.100s' is not a URL of a "
                               "host",
                               text);
        r = add_endpoint(config, name, name, endpoint, err);
        endpoint->mirror = true;
        endpoint->http_first = http;
        return r;
}

int registry_config_endpoints(const struct registry_config *config, const char *host,
                              bool with_mirrors, struct registry_endpoint **ret, size_t *ret_len,
                              struct err *err)
{
        const json_t *entry = json_object_get(json_object_get(config->file, "registries"), host);
        const json_t *mirrors = json_object_get(entry, "mirrors");
        struct registry_endpoint *endpoints = NULL;
        size_t len = 0;
        int r = 0;

        for (size_t i = 0; with_mirrors && r == 0 && i < json_array_size(mirrors); i++) {
                const char *text = json_string_value(json_array_get(mirrors, i));

                if (!text || i >= REGISTRY_MIRRORS_MAX)
                        r = err_set(err, EINVAL, "registries.json: mirrors of %s: at most %d URLs",
                                    host, REGISTRY_MIRRORS_MAX);
                else
                        r = add_mirror(config, text, array_push(&endpoints, &len), err);
        }
        if (r == 0)
                r = add_endpoint(config, streq(host, "docker.io") ? "registry-1.docker.io" : host,
                                 host, array_push(&endpoints, &len), err);
        if (r < 0) {
                registry_endpoints_free(endpoints, len);
                return r;
        }
        *ret = endpoints;
        *ret_len = len;
        return 0;
}

void registry_endpoints_free(struct registry_endpoint *endpoints, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                free(endpoints[i].host);
                free(endpoints[i].account);
                free(endpoints[i].tls.ca);
                free(endpoints[i].tls.cert);
                free(endpoints[i].tls.key);
        }
        free(endpoints);
}
