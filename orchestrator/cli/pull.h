/* SPDX-License-Identifier: Apache-2.0 */
/* One image from or to its registry, with progress on standard error. */
#ifndef ORCHESTRATOR_CLI_PULL_H
#define ORCHESTRATOR_CLI_PULL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "orchestrator/cli/cli.h"

/**
 * Ask for it at path ("/v1/images/pull", "/v1/images/push") and follow it to its end.
 * platform: of a pull, OS/ARCH[/VARIANT]; NULL: of VMs here.
 * *ret_last: the line with "images", a new reference; ret_last may be NULL.
 */
int pull_image(struct cli *cli, const char *path, const char *ref, const char *platform, bool quiet,
               json_t **ret_last, struct err *err);

#endif
