/* SPDX-License-Identifier: Apache-2.0 */
/* Where configs and secrets have their content from: struct file_source. */
#ifndef SCHEMA_SOURCE_H
#define SCHEMA_SOURCE_H

#include "schema/field.h"

/* As Docker's limit of a config is 1000 KB; a VM gets them in one message. */
#define SOURCE_SIZE_MAX (1024 * 1024)

extern const struct kind kind_source_file;
extern const struct kind kind_source_environment;
extern const struct kind kind_source_content;
extern const struct kind kind_source_base64;

#endif
