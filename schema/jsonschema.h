/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON Schema (draft-07) of manifests, made from the field tables, for editors. */
#ifndef SCHEMA_JSONSCHEMA_H
#define SCHEMA_JSONSCHEMA_H

#include <jansson.h>

/** The whole schema; a new reference. What the loader takes is valid by it; not the other way. */
json_t *manifest_schema(void);

#endif
