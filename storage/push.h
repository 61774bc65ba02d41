/* SPDX-License-Identifier: Apache-2.0 */
/* An image of the store into a repository of a registry. In the registry worker. */
#ifndef STORAGE_PUSH_H
#define STORAGE_PUSH_H

#include "storage/job_progress.h"
#include "storage/oci.h"
#include "storage/reference.h"
#include "storage/registry.h"

/* What goes in one request; a larger blob goes in parts of that size, so that a cut costs one. */
#define PUSH_CHUNK (INT64_C(64) << 20)

struct push {
        const struct registry_context *context;
        const struct reference *reference;
        const struct registry_endpoint *endpoint;
        const struct credentials *credentials;
        int blobs;
        const char *digest;     /* of the manifest */
        const char *media_type; /* of the manifest, when it does not say so itself */
        const json_t *mounts;   /* repositories of the same registry that may have the blobs */
        struct job_progress *progress;
};

/** Layers, config, then the manifest under its tag. *ret: {"images": [{"ref", "digest"}]}. */
int push_image(const struct push *push, json_t **ret, struct err *err);

#endif
