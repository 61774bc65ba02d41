/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much an image may be: what the administrator says in "limits" of registries.json, else what
 * suits any image that a VM here could run. For the workers, which read it before they give their
 * rights up; what is fixed (lengths of names, sizes of documents) is beside what it bounds.
 */
#ifndef STORAGE_LIMITS_H
#define STORAGE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct image_limits {
        int64_t layer_size; /* bytes of one uncompressed layer or archive */
        int64_t image_size; /* bytes of the content of an image */
        int64_t ratio;      /* a bomb inflates more often than so, once past LIMITS_RATIO_FROM */
        int64_t entries;    /* of a layer, and names in an image */
        int64_t layers;
        int64_t depth; /* folders of a path */
};

#define LIMITS_RATIO_FROM (INT64_C(2) << 30) /* below that zeros may be honest */

extern const struct image_limits image_limits_default;

/** Read the configuration. EINVAL, ERANGE: the text names the file and the limit. */
int image_limits_load(struct image_limits *ret, struct err *err);

/** E2BIG: more layers than allowed; what: of which image. */
int image_limits_layers(const struct image_limits *limits, size_t layers, const char *what,
                        struct err *err);

#endif
