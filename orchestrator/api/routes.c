/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"

const struct route api_routes[] = {
        {"GET", "/v1/version", handle_version, 0},
        {"GET", "/v1/info", handle_info, 0},
        {"GET", "/v1/df", handle_df, 0},
        {"POST", "/v1/shutdown", handle_shutdown, 0},
        {"GET", "/v1/stacks", handle_stacks, 0},
        {"GET", "/v1/stacks/:stack", handle_stack_get, 0},
        {"PUT", "/v1/stacks/:stack", handle_stack_put, 0},
        {"POST", "/v1/stacks/:stack/diff", handle_stack_diff, 0},
        {"DELETE", "/v1/stacks/:stack", handle_stack_delete, 0},
        {"GET", "/v1/stacks/:stack/status", handle_stack_status, 0},
        {"POST", "/v1/stacks/:stack/change", handle_stack_change, 0},
        {"GET", "/v1/stacks/:stack/history", handle_stack_history, 0},
        {"GET", "/v1/ps", handle_ps, 0},
        {"GET", "/v1/stats", handle_stats, 0},
        {"GET", "/v1/services/:stack/:service", handle_service, 0},
        {"GET", "/v1/services/:stack/:service/:replica", handle_service_replica, 0},
        {"GET", "/v1/events", handle_events, 0},
        {"GET", "/v1/logs", handle_logs, 0},
        {"POST", "/v1/exec", handle_exec, 0},
        {"POST", "/v1/run", handle_run, 0},
        {"GET", "/v1/images", handle_images, 0},
        {"POST", "/v1/images/load", handle_image_load, ROUTE_UPLOAD},
        {"POST", "/v1/images/import", handle_image_import, ROUTE_UPLOAD},
        {"POST", "/v1/images/pull", handle_image_pull, 0},
        {"POST", "/v1/images/push", handle_image_push, 0},
        {"POST", "/v1/images/tag", handle_image_tag, 0},
        {"POST", "/v1/images/prune", handle_image_prune, 0},
        {"POST", "/v1/images/save", handle_image_save, 0},
        {"GET", "/v1/images/inspect", handle_image_inspect, 0},
        {"POST", "/v1/registry/login", handle_registry_login, 0},
        {"DELETE", "/v1/images", handle_image_delete, 0},
        {"GET", "/v1/volumes", handle_volumes, 0},
        {"DELETE", "/v1/volumes/:volume", handle_volume_delete, 0},
        {"GET", "/v1/networks", handle_networks, 0},
};

const size_t api_routes_len = ARRAY_SIZE(api_routes);
