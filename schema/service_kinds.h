/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds that only services have. */
#ifndef SCHEMA_SERVICE_KINDS_H
#define SCHEMA_SERVICE_KINDS_H

#include "schema/field.h"

extern const struct kind kind_restart;      /* struct service: restart, restart_max_attempts */
extern const struct kind kind_pull_policy;  /* enum pull_policy */
extern const struct kind kind_test;         /* struct str_list: healthcheck.test */
extern const struct kind kind_healthcheck;  /* struct service: healthcheck; arg: its table */
extern const struct kind kind_network_mode; /* struct service: network_none */
extern const struct kind kind_hooks;        /* struct hooks */
extern const struct kind kind_ulimits;      /* struct service: ulimits */
extern const struct kind kind_extra_hosts;  /* struct service: extra_hosts */
extern const struct kind kind_env_file;     /* struct service_draft: env_files */
extern const struct kind kind_label_file;   /* struct service_draft: label_files */
extern const struct kind kind_driver_opts;  /* of volumes: device, in_memory */
extern const struct kind kind_build;        /* nothing: refused unless there is an image */
extern const struct kind kind_isolation;    /* bool */
extern const struct kind kind_security_opt; /* bool: no-new-privileges */

field_check_fn check_platform;
field_check_fn check_capability;

#endif
