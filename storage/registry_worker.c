/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry jobs in the worker process. Configuration, certificates and credentials are read while
 * it still is the daemon's user; then it becomes nobody, who may speak over the network and write
 * into the folder of partial blobs, and nothing else. Nothing of what it fetches is unpacked here.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/pull.h"
#include "storage/push.h"
#include "storage/sandbox.h"
#include "storage/worker.h"

struct session {
        struct registry_config config;
        struct image_limits limits;
        struct reference *reference;
        struct registry_endpoint *endpoints;
        struct credentials *credentials;
        size_t endpoints_len;
        struct job_progress progress;
};

static void session_release(struct session *s)
{
        for (size_t i = 0; s->credentials && i < s->endpoints_len; i++)
                credentials_release(&s->credentials[i]);
        free(s->credentials);
        registry_endpoints_free(s->endpoints, s->endpoints_len);
        registry_config_release(&s->config);
        reference_free(s->reference);
}

static int session_open(struct session *s, const json_t *request, struct err *err)
{
        const char *auth_file = json_str(request, "auth_file", NULL);
        bool mirrors = streq(json_str(request, "job", ""), "pull");
        int r = reference_parse(json_str(request, "ref", ""), &s->reference, err);

        if (r == 0)
                r = registry_config_load(&s->config, err);
        if (r == 0)
                r = image_limits_load(&s->limits, err);
        if (r == 0)
                r = registry_config_endpoints(&s->config, s->reference->host, mirrors,
                                              &s->endpoints, &s->endpoints_len, err);
        if (r < 0)
                return r;
        s->credentials = xcalloc(s->endpoints_len, sizeof(*s->credentials));
        if (json_object_get(request, "login")) {
                const json_t *login = json_object_get(request, "login");

                s->credentials[0].username = xstrdup(json_str(login, "username", ""));
                s->credentials[0].password = xstrdup(json_str(login, "password", ""));
                return 0;
        }
        for (size_t i = 0; r == 0 && i < s->endpoints_len; i++)
                r = credentials_find(s->endpoints[i].account, s->reference->path, auth_file,
                                     &s->credentials[i], err);
        return r;
}

static void on_notice(void *ctx, const char *text)
{
        const struct session *s = ctx;

        job_progress_notice(&s->progress, text);
}

static int run_pull(struct session *s, const struct registry_context *context,
                    const json_t *request, json_t **ret, struct err *err)
{
        struct pull pull = {.context = context,
                            .limits = &s->limits,
                            .reference = s->reference,
                            .endpoints = s->endpoints,
                            .credentials = s->credentials,
                            .endpoints_len = s->endpoints_len,
                            .blobs = WORKER_FD_INPUT,
                            .partial = WORKER_FD_STAGING,
                            .platform_said = json_str(request, "platform", NULL),
                            .known_source = json_str(request, "known", NULL),
                            .progress = &s->progress};

        int r = platform_parse(pull.platform_said, &pull.platform, err);

        return r < 0 ? r : pull_image(&pull, ret, err);
}

static int run_push(struct session *s, const struct registry_context *context,
                    const json_t *request, json_t **ret, struct err *err)
{
        const struct push push = {.context = context,
                                  .reference = s->reference,
                                  .endpoint = &s->endpoints[0],
                                  .credentials = &s->credentials[0],
                                  .blobs = WORKER_FD_INPUT,
                                  .digest = json_str(request, "digest", ""),
                                  .media_type = json_str(request, "media_type", NULL),
                                  .mounts = json_object_get(request, "mounts"),
                                  .progress = &s->progress};

        return push_image(&push, ret, err);
}

/* Whether the registry lets these credentials in: GET /v2/, with a token when it wants one. */
static int run_login(struct session *s, const struct registry_context *context, json_t **ret,
                     struct err *err)
{
        AUTO(registry)
        struct registry *registry =
                registry_new(context, &s->endpoints[0], &s->credentials[0], "", "");
        const struct registry_request request = {.method = "GET"};
        struct registry_answer answer;
        int r = registry_call(registry, &request, &answer, err);

        if (r < 0)
                return r;
        if (answer.status == 200)
                *ret = json_pack("{s:s, s:b}", "registry", s->endpoints[0].host, "anonymous",
                                 registry->authorization == NULL);
        else if (answer.status == 404)
                r = err_set(err, EPROTO, "%s is not an OCI registry: it has no /v2/",
                            s->endpoints[0].host);
        else
                r = registry_refused(registry, answer.status, answer.body, answer.len, "login",
                                     err);
        registry_answer_release(&answer);
        return r;
}

static int run(struct session *s, const json_t *request, json_t **ret, struct err *err)
{
        struct registry_context context = {.config = &s->config, .on_notice = on_notice, .ctx = s};
        const char *job = json_str(request, "job", "");
        int r = sandbox_enter_network(err);

        if (r < 0)
                return r;
        context.loop = ev_loop_new(EVFLAG_AUTO);
        if (!context.loop)
                return err_set(err, ENOMEM, "event loop");
        r = http_pool_new(context.loop, &context.pool, err);
        if (r == 0 && streq(job, "pull"))
                r = run_pull(s, &context, request, ret, err);
        else if (r == 0 && streq(job, "push"))
                r = run_push(s, &context, request, ret, err);
        else if (r == 0 && streq(job, "login"))
                r = run_login(s, &context, ret, err);
        else if (r == 0)
                r = err_set(err, EINVAL, "unknown job '%.50s'", job);
        http_pool_free(context.pool);
        ev_run(context.loop, EVRUN_NOWAIT); /* what was deferred is freed */
        ev_run(context.loop, EVRUN_NOWAIT);
        ev_loop_destroy(context.loop);
        return r;
}

int registry_worker_run(const json_t *request, json_t **ret, struct err *err)
{
        struct session s = {.progress = {.fd = STDOUT_FILENO}};
        int r = session_open(&s, request, err);

        if (r == 0)
                r = run(&s, request, ret, err);
        session_release(&s);
        return r;
}
