/* SPDX-License-Identifier: Apache-2.0 */
/* Keys below those that are ignored or refused as a whole: known, so that they can be explained. */
#ifndef SCHEMA_UNUSED_FIELDS_H
#define SCHEMA_UNUSED_FIELDS_H

#include "schema/field.h"

extern const struct field blkio_fields[];
extern const struct field build_fields[];
extern const struct field credential_fields[];
extern const struct field develop_fields[];
extern const struct field device_request_fields[];
extern const struct field generic_resource_fields[];
extern const struct field init_step_fields[];
extern const struct field logging_fields[];
extern const struct field model_fields[];
extern const struct field model_ref_fields[];
extern const struct field placement_fields[];
extern const struct field provider_fields[];

#endif
