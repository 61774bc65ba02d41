/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of berth: one row each, defined in cmd_*.c and listed in main.c. */
#ifndef ORCHESTRATOR_CLI_COMMANDS_H
#define ORCHESTRATOR_CLI_COMMANDS_H

#include "orchestrator/cli/cli.h"

extern const struct command cmd_apply, cmd_diff, cmd_delete;
extern const struct command cmd_stop, cmd_start, cmd_restart, cmd_scale;
extern const struct command cmd_history, cmd_rollback;
extern const struct command cmd_ps, cmd_inspect, cmd_why, cmd_wait;
extern const struct command cmd_logs, cmd_events, cmd_exec, cmd_run, cmd_stats;
extern const struct command cmd_config, cmd_validate, cmd_explain;
extern const struct command cmd_watch, cmd_ci;
extern const struct command cmd_image_pull, cmd_image_push, cmd_image_tag, cmd_image_inspect;
extern const struct command cmd_image_save, cmd_image_prune;
extern const struct command cmd_registry_login, cmd_registry_logout;
extern const struct command cmd_image_load, cmd_image_import, cmd_image_ls, cmd_image_rm;
extern const struct command cmd_volume_ls, cmd_volume_rm;
extern const struct command cmd_network_ls, cmd_network_create, cmd_network_inspect, cmd_network_rm;
extern const struct command cmd_system_df, cmd_system_info, cmd_system_start, cmd_system_stop,
        cmd_system_status;
extern const struct command cmd_version;

#endif
