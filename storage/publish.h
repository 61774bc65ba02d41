/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker made becomes part of the store. The worker has ended by now, but it read hostile
 * bytes: what it says is checked like what comes from outside. For job.c.
 */
#ifndef STORAGE_PUBLISH_H
#define STORAGE_PUBLISH_H

#include "storage/store.h"

/** Whether the unpacked disk of a manifest is there. */
bool publish_has_rootfs(const struct image_store *store, const char *digest);

/** made: of load_archive(). *ret: {"images": [{"ref", "digest"}]}. */
int publish_images(const struct image_store *store, int staging, const json_t *made, json_t **ret,
                   struct err *err);

/**
 * The same of pull_image(), whose staging is the partial folder. known: what unchanged refers to.
 * *ret has "unchanged" too. EAGAIN: an image was removed meanwhile, and blobs with it.
 */
int publish_pulled(const struct image_store *store, int staging, const json_t *made,
                   const char *ref, json_t **ret, struct err *err);

/** *ret: {"path"}. */
int publish_rootfs(const struct image_store *store, int staging, const char *digest, json_t **ret,
                   struct err *err);

#endif
