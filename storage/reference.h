/* SPDX-License-Identifier: Apache-2.0 */
/* A normalised image reference taken apart, as a registry client needs it. */
#ifndef STORAGE_REFERENCE_H
#define STORAGE_REFERENCE_H

#include "base/auto.h"
#include "base/err.h"

struct reference {
        char *text;   /* normalised: "docker.io/library/redis:7" */
        char *host;   /* "docker.io", "localhost:5000" */
        char *path;   /* "library/redis" */
        char *tag;    /* NULL: none */
        char *digest; /* NULL: none; else it decides, and the tag is only a label */
};

/** Normalise (image_ref_normalise) and split. EINVAL as there. */
int reference_parse(const char *text, struct reference **ret, struct err *err);
void reference_free(struct reference *reference);
AUTO_TYPE(reference)

#endif
