/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's insides: paths, the index under its lock, staging folders, publishing, collection of
 * what nothing refers to. For storage/ only; others use storage/image.h.
 *
 * Who publishes or collects holds the lock of index.json; who reads does not: files appear whole
 * and under the name of their content. A staging folder is locked (flock on the folder) while its
 * job lives; image_store_open() removes the others.
 */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "base/json.h"
#include "storage/image.h"
#include "storage/oci.h"

struct image_store {
        char *dir;
};

/** DIR/blobs/sha256/<hex> and DIR/rootfs/<hex>.ext4 of a valid digest, on the heap. */
char *store_blob_path(const struct image_store *store, const char *digest);
char *store_rootfs_path(const struct image_store *store, const char *digest);

/** Digests of the disks that have a map: what another disk may take layers from. */
json_t *store_mapped_disks(const struct image_store *store);

/** Take the index lock (released by closing *ret_fd). Waits for others: they hold it shortly. */
int store_lock(const struct image_store *store, int *ret_fd, struct err *err);

/** The index document; an empty one when there is none. */
int store_index_read(const struct image_store *store, json_t **ret, struct err *err);
int store_index_write(const struct image_store *store, const json_t *index, struct err *err);

/** The index entry with that normalised reference, borrowed from index; NULL: none. */
json_t *store_index_find(const json_t *index, const char *ref);

/** Reference of an index entry; NULL: none. Borrowed. */
const char *store_entry_ref(const json_t *entry);

/** A new, locked staging folder. *ret_fd keeps the lock and is the caller's, like the path. */
int store_staging_new(const struct image_store *store, char **ret_path, int *ret_fd,
                      struct err *err);

/** Make a finished blob of the staging folder part of the store; its name there is its hex. */
int store_publish_blob(const struct image_store *store, int staging, const char *digest,
                       struct err *err);

/** The same with a root disk and its map, which are called "rootfs.ext4" and "rootfs.map" there. */
int store_publish_rootfs(const struct image_store *store, int staging, const char *digest,
                         struct err *err);

/** Make the names of a folder of the store durable. */
int store_sync(const struct image_store *store, const char *folder, struct err *err);

/**
 * The folder of blobs that pulls left half done, by hex digest, which survives everything. Each is
 * flock()ed while somebody is at it.
 */
int store_partial_open(const struct image_store *store, int *ret_fd, struct err *err);

/** Remove partial blobs that nobody has touched for that long. Returns the bytes given back. */
int64_t store_partial_sweep(const struct image_store *store, int64_t older_than_s);

/** Add what a manifest needs to the sets of digests that stay: blobs, and disks (its own). */
void store_mark_image(const struct image_store *store, json_t *blobs, json_t *disks,
                      const char *digest);

/** What daemons use, by image_store_use(): digest -> folder of state. Call with the store locked.
 */
json_t *store_users(const struct image_store *store);

/** Read a document; one that is damaged is removed. false: it is not there, or was not good. */
bool store_document_good(const struct image_store *store, const char *digest, char **ret,
                         size_t *ret_len);

/**
 * Remove a blob that is not what its digest says, so that the next pull or load brings it anew.
 * message: the error of an unpack, which begins with "layer DIGEST"; it must be one of manifest's.
 */
void store_drop_damaged(const struct image_store *store, const char *manifest, const char *message);

/** What blobs and disks take on disk. */
int64_t store_bytes(const struct image_store *store);

/**
 * What a normalised reference meant at its registry when it was pulled (of an index: not the
 * manifest in it), if all of that image is still here, and it was chosen for the same platform (as
 * asked for then; NULL: none was said). NULL: no. On the heap.
 */
char *store_known_source(const struct image_store *store, const char *ref, const char *platform);

/** {"digest", "media_type", "mounts"}: what a push of a normalised reference needs. ENOENT. */
int store_push_request(const struct image_store *store, const char *ref, json_t **ret,
                       struct err *err);

/** {"images": [{"digest", "media_type", "ref"}]}: the same for saving. refs: array of names. */
int store_save_request(struct image_store *store, const json_t *refs, json_t **ret,
                       struct err *err);

/** Point references at manifests. images: [{"ref", "descriptor", "source"}]; source may be absent:
 * the digest that the registry has for the name. The lock is held. */
int store_publish_refs(const struct image_store *store, const json_t *images, struct err *err);

/** Remove blobs and disks that no reference and no digest of in_use needs. The lock is held. */
int store_collect(const struct image_store *store, const json_t *index, const char *const *in_use,
                  size_t in_use_len, struct err *err);

/** Read a small blob (manifest, config) and check it against its digest. */
int store_read_blob(const struct image_store *store, const char *digest, char **ret,
                    size_t *ret_len, struct err *err);

#endif
