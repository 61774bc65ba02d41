/* SPDX-License-Identifier: Apache-2.0 */
/* post_start and pre_stop of a service, as JSON. */
#ifndef SCHEMA_HOOKS_H
#define SCHEMA_HOOKS_H

#include <jansson.h>

#include "schema/manifest.h"

/** A list of maps, as in canonical JSON; NULL when there are none. The caller's. */
json_t *hooks_to_json(const struct hooks *hooks);

#endif
