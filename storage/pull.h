/* SPDX-License-Identifier: Apache-2.0 */
/* From a reference to all blobs of its image in the partial folder. In the registry worker. */
#ifndef STORAGE_PULL_H
#define STORAGE_PULL_H

#include "storage/job_progress.h"
#include "storage/limits.h"
#include "storage/platform.h"
#include "storage/reference.h"
#include "storage/transfer.h"

struct pull {
        const struct registry_context *context;
        const struct reference *reference;
        const struct registry_endpoint *endpoints; /* mirrors first */
        const struct credentials *credentials;     /* one for each endpoint */
        size_t endpoints_len;
        struct platform platform;  /* that is wanted */
        const char *platform_said; /* as the caller wrote it; NULL: nothing */
        int blobs, partial;
        /* What the name meant at the last pull, whole in the store; NULL: not there. */
        const char *known_source;
        const struct image_limits *limits;
        struct job_progress *progress;
};

/**
 * *ret: as load_archive() gives it, with "source" (the digest that the name has at the registry) in
 * images, and "unchanged": true when that is known_source. Errors name the registry and the cause.
 */
int pull_image(const struct pull *pull, json_t **ret, struct err *err);

/**
 * Check a manifest or index as a registry sent it: type (Content-Type, NULL: none) and body agree,
 * and it is one of the four kinds we know. *ret_type: the kind, a constant.
 */
int pull_check_document(const char *text, size_t len, const char *type, const char *what,
                        json_t **ret, const char **ret_type, struct err *err);

#endif
