/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a stack without its manifest, and its history. */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"

/* The body as a change; borrowed from it. */
static int read_change(const json_t *body, struct stack_change *ret, struct err *err)
{
        int r = json_need_str(body, "do", "the body", &ret->verb, err);

        ret->services = json_object_get(body, "services");
        ret->replicas = json_int(body, "replicas", -1);
        ret->revision = json_int(body, "revision", 0);
        if (r == 0 && ret->services && !json_is_array(ret->services))
                r = err_set(err, EINVAL, "the body: services: not a list of names");
        return r;
}

void handle_stack_change(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        const char *name = request_param(req, "stack");
        struct stack_change change = {0};
        struct err err = ERR_INIT;
        json_t *body, *j;
        int r = request_json(req, &body, &err);

        if (r == 0)
                r = read_change(body, &change, &err);
        if (r == 0)
                r = daemon_change(d, name, &change, &err);
        if (r < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        j = json_object();
        json_set_str(j, "name", name);
        json_set_int(j, "revision", daemon_find(d, name)->revision);
        json_set_bool(j, "unchanged", r == STACK_SAME);
        response_json(req, 200, j);
}

void handle_stack_history(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        struct err err = ERR_INIT;
        json_t *list = NULL;

        if (daemon_history(d, request_param(req, "stack"), &list, &err) < 0)
                response_error(req, 0, &err, NULL);
        else
                response_json(req, 200, list);
}
