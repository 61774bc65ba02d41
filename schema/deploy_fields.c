/* SPDX-License-Identifier: Apache-2.0 */
/* The keys below `deploy` of a service: replicas, limits, restarts, updates. */
#include "schema/draft.h"
#include "schema/kinds.h"
#include "schema/service_kinds.h"
#include "schema/unused_fields.h"

#define AT(member)    offsetof(struct service, member)
#define DRAFT(member) offsetof(struct service_draft, member)

static const struct field limit_fields[] = {
        {.name = "memory",
         .kind = &kind_bytes,
         .offset = DRAFT(deploy_memory_bytes),
         .min = MEM_LIMIT_MIN,
         .max = MEM_LIMIT_MAX,
         .unset = -1,
         .in_only = true,
         .doc = "as mem_limit"},
        {.name = "cpus",
         .kind = &kind_float,
         .offset = DRAFT(deploy_cpus),
         .min = 0,
         .max = 1024,
         .in_only = true,
         .doc = "as cpus"},
        {.name = "pids",
         .kind = &kind_int,
         .offset = DRAFT(deploy_pids),
         .min = -1,
         .max = INT32_MAX,
         .unset = -1,
         .in_only = true,
         .doc = "as pids_limit"},
        {0},
};

static const struct field reservation_fields[] = {
        {.name = "cpus", .use = FIELD_IGNORED, .doc = "processors are not reserved"},
        {.name = "memory",
         .use = FIELD_IGNORED,
         .doc = "memory is not reserved; a VM takes what it uses"},
        {.name = "devices",
         .use = FIELD_REFUSED,
         .arg = device_request_fields,
         .doc = "devices of the host cannot be passed to a VM yet"},
        {.name = "generic_resources",
         .use = FIELD_REFUSED,
         .arg = generic_resource_fields,
         .doc = "there are no generic resources; remove the key"},
        {0},
};

static const struct field resource_fields[] = {
        {.name = "limits",
         .kind = &kind_object,
         .arg = limit_fields,
         .in_only = true,
         .doc = "what a replica may use at most"},
        {.name = "reservations",
         .kind = &kind_object,
         .arg = reservation_fields,
         .in_only = true,
         .doc = "nothing is reserved"},
        {0},
};

static const char *const condition_names[] = {"", "none", "on-failure", "any", NULL};

static const struct field restart_policy_fields[] = {
        {.name = "condition",
         .kind = &kind_choice,
         .offset = DRAFT(condition),
         .arg = condition_names,
         .in_only = true,
         .doc = "none, on-failure or any (default); goes above 'restart'"},
        {.name = "max_attempts",
         .kind = &kind_unsigned,
         .offset = DRAFT(max_attempts),
         .min = 0,
         .max = 1000000,
         .in_only = true,
         .doc = "give up after so many restarts in a row; no limit when left out"},
        {.name = "delay", .use = FIELD_IGNORED, .doc = "restarts back off by themselves"},
        {.name = "window", .use = FIELD_IGNORED, .doc = "a run counts as started at once"},
        {0},
};

static const char *const failure_names[] = {"pause", "continue", "rollback", NULL};
static const char *const order_names[] = {"stop-first", "start-first", NULL};

#define UPDATE(member) offsetof(struct update_config, member)

static const struct field update_fields[] = {
        {.name = "parallelism",
         .kind = &kind_unsigned,
         .offset = UPDATE(parallelism),
         .min = 0,
         .max = SERVICE_REPLICAS_MAX,
         .unset = 1,
         .doc = "replicas that are replaced at a time; 0: all; 1 when left out"},
        {.name = "delay",
         .kind = &kind_duration,
         .offset = UPDATE(delay_ms),
         .doc = "time between one batch and the next"},
        {.name = "failure_action",
         .kind = &kind_choice,
         .offset = UPDATE(failure_action),
         .arg = failure_names,
         .doc = "pause (default), continue, or rollback to the last spec that was well"},
        {.name = "monitor",
         .kind = &kind_duration,
         .offset = UPDATE(monitor_ms),
         .unset = -1,
         .doc = "a new replica has to be well for so long before it is the next one's turn"},
        {.name = "max_failure_ratio",
         .kind = &kind_float,
         .offset = UPDATE(max_failure_ratio),
         .min = 0,
         .max = 1,
         .doc = "share of the replicas that may fail before failure_action is taken"},
        {.name = "order",
         .kind = &kind_choice,
         .offset = UPDATE(order),
         .arg = order_names,
         .doc = "stop-first (default), or start-first: the old VM serves until the new one does"},
        {0},
};

const struct field deploy_fields[] = {
        {.name = "replicas",
         .kind = &kind_int,
         .offset = DRAFT(deploy_replicas),
         .min = 0,
         .max = SERVICE_REPLICAS_MAX,
         .unset = -1,
         .in_only = true,
         .doc = "as scale"},
        {.name = "resources",
         .kind = &kind_object,
         .arg = resource_fields,
         .in_only = true,
         .doc = "limits of a replica"},
        {.name = "restart_policy",
         .kind = &kind_object,
         .arg = restart_policy_fields,
         .in_only = true,
         .doc = "when to start again"},
        {.name = "mode",
         .use = FIELD_IGNORED,
         .doc = "services are always replicated; set replicas"},
        {.name = "endpoint_mode",
         .use = FIELD_IGNORED,
         .doc = "names resolve to all replicas in turn"},
        {.name = "labels", .use = FIELD_QUIET, .doc = "notes for people"},
        {.name = "placement",
         .use = FIELD_IGNORED,
         .arg = placement_fields,
         .doc = "there is one host"},
        {.name = "update_config",
         .kind = &kind_object,
         .offset = AT(update),
         .arg = update_fields,
         .doc = "how replicas are replaced when the service changes"},
        {.name = "rollback_config",
         .kind = &kind_object,
         .offset = AT(rollback),
         .arg = update_fields,
         .doc = "the same for a rollback"},
        {0},
};
