/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of api/wire.h, by file; routes.c lists them. Each takes req and answers it, now or
 * later; ctx is the struct daemon. */
#ifndef ORCHESTRATOR_API_HANDLERS_H
#define ORCHESTRATOR_API_HANDLERS_H

#include "orchestrator/api/server.h"

struct daemon;

/** handle_system.c; the routes of each in api/wire.h. */
void handle_version(struct request *req, void *ctx);
void handle_info(struct request *req, void *ctx);
void handle_df(struct request *req, void *ctx);
void handle_shutdown(struct request *req, void *ctx);
void handle_volumes(struct request *req, void *ctx);
void handle_volume_delete(struct request *req, void *ctx);

/** handle_network.c; the routes of each in api/wire.h. */
void handle_networks(struct request *req, void *ctx);
void handle_network_get(struct request *req, void *ctx);
void handle_network_create(struct request *req, void *ctx);
void handle_network_delete(struct request *req, void *ctx);

/** handle_stack.c; the routes of each in api/wire.h. */
void handle_stacks(struct request *req, void *ctx);
void handle_stack_get(struct request *req, void *ctx);
void handle_stack_put(struct request *req, void *ctx);
void handle_stack_diff(struct request *req, void *ctx);
void handle_stack_delete(struct request *req, void *ctx);
void handle_stack_status(struct request *req, void *ctx);

/** handle_change.c; the routes of each in api/wire.h. */
void handle_stack_change(struct request *req, void *ctx);
void handle_stack_history(struct request *req, void *ctx);

/** handle_replica.c; the routes of each in api/wire.h. */
void handle_ps(struct request *req, void *ctx);
void handle_service(struct request *req, void *ctx);
void handle_service_replica(struct request *req, void *ctx);

/** handle_exec.c; the routes of each in api/wire.h. */
void handle_exec(struct request *req, void *ctx);

/** handle_stats.c; the routes of each in api/wire.h. */
void handle_stats(struct request *req, void *ctx);

/** handle_run.c; the routes of each in api/wire.h. */
void handle_run(struct request *req, void *ctx);

/** handle_logs.c; the routes of each in api/wire.h. */
void handle_logs(struct request *req, void *ctx);
void handle_events(struct request *req, void *ctx);

/** handle_image.c; the routes of each in api/wire.h. */
void handle_images(struct request *req, void *ctx);
void handle_image_load(struct request *req, void *ctx);
void handle_image_import(struct request *req, void *ctx);
void handle_image_delete(struct request *req, void *ctx);

/** handle_registry.c; the routes of each in api/wire.h. */
void handle_image_pull(struct request *req, void *ctx);
void handle_image_push(struct request *req, void *ctx);
void handle_registry_login(struct request *req, void *ctx);

/** handle_image_manage.c; the routes of each in api/wire.h. */
void handle_image_tag(struct request *req, void *ctx);
void handle_image_prune(struct request *req, void *ctx);
void handle_image_inspect(struct request *req, void *ctx);
void handle_image_save(struct request *req, void *ctx);

#endif
