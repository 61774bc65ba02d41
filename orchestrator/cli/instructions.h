/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of a Dockerfile that set an image's configuration, for `berth image import -c`. */
#ifndef ORCHESTRATOR_CLI_INSTRUCTIONS_H
#define ORCHESTRATOR_CLI_INSTRUCTIONS_H

#include <jansson.h>

#include "base/err.h"

/**
 * What the instructions (NULL at the end) come to, as the config object of the OCI image
 * specification. *ret is the caller's; NULL when there are none. EINVAL: err names the one.
 */
int instructions_config(const char *const *instructions, json_t **ret, struct err *err);

#endif
