/* SPDX-License-Identifier: Apache-2.0 */
/* Services with `build`: images are not built here, one that was built elsewhere is run. */
#ifndef SCHEMA_BUILT_IMAGE_H
#define SCHEMA_BUILT_IMAGE_H

#include "schema/draft.h"
#include "schema/kinds.h"

/**
 * Warn that nothing is built, with the command that does it. A service without an image gets the
 * name that Compose gives it (STACK-SERVICE), which is never pulled. draft->build is there.
 */
void built_image_name(struct reader *r, const char *stack, struct service_draft *draft);

#endif
