/* SPDX-License-Identifier: Apache-2.0 */
/* Which images this daemon's stacks and VMs use, for it and for others that share its store. */
#ifndef ORCHESTRATOR_IMAGE_USES_H
#define ORCHESTRATOR_IMAGE_USES_H

#include <stddef.h>

struct daemon;

/** Manifest digests, on the heap: of each instance, and of what stacks name and are pinned to. */
char **image_uses(const struct daemon *d, size_t *ret_len);

/** Free what image_uses() gave. */
void image_uses_free(char **digests, size_t len);

/**
 * Tell the store what VMs and pins need, when that has changed; called in each turn, before VMs are
 * made. A failure is logged and tried again in the next.
 */
void image_uses_note(struct daemon *d);

#endif
