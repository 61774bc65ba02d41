/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vm_spec that owns all it points to. A clone keeps one until it is known to work: if it does
 * not, its VM is booted instead, and by then the caller's descriptors and strings are gone.
 */
#ifndef VZ_SPEC_H
#define VZ_SPEC_H

#include "vz/vm.h"

/** A copy with strings and descriptors of its own. EMFILE and the like: err names the device. */
int spec_copy(const struct vm_spec *spec, struct vm_spec **ret, struct err *err);

/** Free it and close its descriptors; NULL is fine. */
void spec_free(struct vm_spec *spec);

#endif
