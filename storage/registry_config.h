/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How registries are reached. berth's own file, JSON, all of it optional:
 *
 *   $BERTH_REGISTRIES, else $XDG_CONFIG_HOME/berth/registries.json (root: /etc/berth/...)
 *   {"registries": {"registry.lan:5000": {"insecure": true, "mirrors": ["https://mirror.lan"]},
 *                  "lab.lan": {"http": true}},
 *    "connect_timeout": "30s", "stall_timeout": "60s", "retries": 5, "retry_delay": "1s",
 *    "parallel": 3,
 *    "limits": {"layer_size": "64g", "ratio": 400}}     (limits.h)
 *
 * and TLS files where Docker has them, DIR being $BERTH_CERTS, ~/.config/containers/certs.d,
 * /etc/containers/certs.d or /etc/docker/certs.d:
 *
 *   DIR/HOST[:PORT]/<any>.crt   authorities      <any>.cert and <any>.key   a client certificate
 */
#ifndef STORAGE_REGISTRY_CONFIG_H
#define STORAGE_REGISTRY_CONFIG_H

#include "base/err.h"
#include "base/http_async.h"
#include "base/json.h"

#define REGISTRY_MIRRORS_MAX 8

/* One place that may serve a registry's images. */
struct registry_endpoint {
        char *host;    /* "registry-1.docker.io", "localhost:5000": for URLs and certificates */
        char *account; /* key of its credentials: "docker.io" for Docker Hub */
        bool mirror;
        bool insecure;   /* configured: certificates unchecked, http allowed */
        bool http_first; /* configured: http, and nothing else */
        bool loopback;
        struct http_tls tls;
};

struct registry_config {
        json_t *file; /* {} when there is none */
        unsigned connect_ms, stall_ms, retry_ms, retries, parallel;
};

/**
 * The file itself, {} when there is none, and its path: for those who want other parts of it.
 * EINVAL: it is broken; the text names it.
 */
int registry_config_file(char **ret_path, json_t **ret, struct err *err);

/** EINVAL: the file is broken; the text names it. */
int registry_config_load(struct registry_config *ret, struct err *err);
void registry_config_release(struct registry_config *config);

/**
 * Mirrors, then the registry itself, of a host as references have it. *ret: array, the caller's.
 * The TLS files are read here, so this comes before privileges are given up.
 */
int registry_config_endpoints(const struct registry_config *config, const char *host,
                              bool with_mirrors, struct registry_endpoint **ret, size_t *ret_len,
                              struct err *err);
void registry_endpoints_free(struct registry_endpoint *endpoints, size_t len);

/** Whether "host[:port]" names this machine: localhost, 127.0.0.0/8, [::1]. */
bool registry_is_loopback(const char *host);

#endif
