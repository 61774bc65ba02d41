/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as one archive that others read: an OCI layout with index.json, and manifest.json beside
 * it as docker save writes it. The same images give the same bytes. In the worker process.
 */
#ifndef STORAGE_SAVE_H
#define STORAGE_SAVE_H

#include "base/json.h"
#include "storage/job_progress.h"

/** images: [{"digest", "media_type", "ref"}]. *ret: {}. Every blob is checked on its way out. */
int save_images(int blobs, int output, const json_t *images, struct job_progress *progress,
                json_t **ret, struct err *err);

#endif
