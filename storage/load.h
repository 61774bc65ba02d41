/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image archives into blobs of a staging folder: OCI layouts and `docker save`, and root file
 * system tars that become an image. Runs in the worker process; an archive is read once, front to
 * back, so it may come from a pipe.
 */
#ifndef STORAGE_LOAD_H
#define STORAGE_LOAD_H

#include "base/err.h"
#include "base/json.h"
#include "storage/job_progress.h"
#include "storage/limits.h"

#define LOAD_MEMBERS_MAX 8192 /* 512 layers in the oldest format have some 1500 */
#define LOAD_IMAGES_MAX  256

/**
 * archive: the tar, plain, gzip or zstd. staging: an empty folder; blobs are there by hex digest
 * on success. ref: name for a nameless archive, or NULL.
 * *ret: {"blobs": [digest], "images": [{"ref", "descriptor"}]}: only what the images need.
 * EINVAL: broken, truncated, a digest that does not match, a missing blob (named), no name.
 */
int load_archive(int archive, int staging, const char *ref, const struct image_limits *limits,
                 struct job_progress *progress, json_t **ret, struct err *err);

struct import_request {
        const char *ref;
        const json_t *changes;
        const struct image_limits *limits;
};

/** The same for a tar of a root file system: an image `ref` of one layer with config changes. */
int load_import(int archive, int staging, const struct import_request *request,
                struct job_progress *progress, json_t **ret, struct err *err);

#endif
