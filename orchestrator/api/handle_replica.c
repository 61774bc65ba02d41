/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"

void handle_ps(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        const char *stack = request_query(req, "stack");
        struct err err = ERR_INIT;
        bool all;

        if (request_query_bool(req, "all", false, &all, &err) < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        if (stack && !daemon_find(d, stack)) {
                err_set(&err, ENOENT, "there is no stack %s; see `berth ps`", stack);
                response_error(req, 0, &err, NULL);
                return;
        }
        response_json(req, 200, view_replicas(d, stack, all));
}

static void answer_service(struct request *req, const struct daemon *d, const char *replica_text)
{
        const struct desired *desired = daemon_find(d, request_param(req, "stack"));
        const struct service *service =
                desired ? stack_find_service(desired->stack, request_param(req, "service")) : NULL;
        struct err err = ERR_INIT;
        int64_t replica = 0;

        if (!service)
                err_set(&err, ENOENT, "there is no service %s in a stack %s; see `berth ps -a`",
                        request_param(req, "service"), request_param(req, "stack"));
        else if (replica_text && value_int(replica_text, 1, service->replicas, &replica, &err) < 0)
                err_wrap(&err, "replica of %s", service->name);
        if (err.code)
                response_error(req, 0, &err, NULL);
        else
                response_json(req, 200, view_service(d, desired, service, (unsigned)replica));
}

void handle_service(struct request *req, void *ctx)
{
        answer_service(req, ctx, NULL);
}

void handle_service_replica(struct request *req, void *ctx)
{
        answer_service(req, ctx, request_param(req, "replica"));
}
