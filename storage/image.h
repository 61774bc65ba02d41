/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images in a content-addressed store on disk, and the ext4 file made from each, once.
 *
 *   DIR/blobs/sha256/<hex>      manifests, configs, layers as they came (OCI image layout)
 *   DIR/index.json              references: name -> manifest descriptor (OCI index, file lock
 * beside) DIR/rootfs/<hex>.ext4       the unpacked image, by manifest digest, read-only when whole
 *   DIR/tmp/                    what is being built; may be removed when nobody holds its lock
 *
 * The store is shared: several daemons and workers may use one DIR at the same time (flock on
 * index.json; blobs and disks appear by rename only when whole and verified).
 *
 * The functions here read the store and may be called in the daemon: they are short. What reads
 * archives or unpacks layers is a job of storage/job.h, in an unprivileged worker process.
 */
#ifndef STORAGE_IMAGE_H
#define STORAGE_IMAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"

struct image_store;

/** Open (and create) the store in dir. */
int image_store_open(const char *dir, struct image_store **ret_store, struct err *err);
void image_store_close(struct image_store *store);
AUTO_DEFINE(image_store, struct image_store, image_store_close)

/** The file that lists the references, on the heap: replaced whenever anybody changes one. */
char *image_store_index(const struct image_store *store);

/* The healthcheck of an image config (Docker's extension of OCI); times in ms, 0: default. */
struct image_healthcheck {
        char **test; /* NULL: none */
        size_t test_len;
        int64_t interval_ms, timeout_ms, start_period_ms, start_interval_ms;
        int retries;
};

/* What an image says about itself; all of it hostile until parsed, bounded here. */
struct image {
        char *ref;                           /* normalised: "docker.io/library/hello-web:latest" */
        char digest[DIGEST_TEXT_MAX];        /* of the manifest */
        char config_digest[DIGEST_TEXT_MAX]; /* the image id of Docker */
        char *architecture, *os, *created;
        int64_t size_bytes; /* of the compressed layers */
        int64_t pulled_ms;  /* when its registry was last asked (wall clock); 0: never */
        char **env;         /* "KEY=value" */
        size_t env_len;
        char **entrypoint, **cmd;
        size_t entrypoint_len, cmd_len;
        char *user, *working_dir, *stop_signal; /* NULL: not set */
        struct image_healthcheck healthcheck;
        char *rootfs_path; /* of the unpacked disk; NULL: not unpacked yet */
};

/** NULL is fine. */
void image_free(struct image *image);
AUTO_TYPE(image)

/**
 * Find an image by reference ("redis", "redis:7", "name@sha256:...", or an id prefix of >= 12 hex)
 * and read its config. ENOENT: no such image; the text says how to get one. EINVAL: bad reference
 * or broken content.
 */
int image_find(struct image_store *store, const char *ref, struct image **ret_image,
               struct err *err);

/** All references with their images; *ret_images: array of *ret_len pointers, all the caller's. */
int image_list(struct image_store *store, struct image ***ret_images, size_t *ret_len,
               struct err *err);

/**
 * Say which manifest digests the daemon with that folder of state uses: nobody removes them while
 * the folder exists, or until it says something else.
 */
int image_store_use(struct image_store *store, const char *owner, const char *const *digests,
                    size_t len, struct err *err);

/**
 * Remove a reference, then what nothing refers to any more (blobs, root disks).
 * in_use: manifest digests that must stay (running VMs, desired stacks), beside those that other
 * daemons use. EBUSY when ref is one.
 */
int image_remove(struct image_store *store, const char *ref, const char *const *in_use,
                 size_t in_use_len, struct err *err);

/** Give the image called source one more name. EINVAL: target has a digest. */
int image_tag(struct image_store *store, const char *source, const char *target, struct err *err);

/**
 * Remove what nothing needs: blobs and disks without a reference, partial blobs of pulls that ended
 * an hour ago; with references_too also the names of images that in_use does not list.
 * *ret_bytes: given back. *ret_names (may be NULL): those removed, an array of strings.
 */
int image_prune(struct image_store *store, bool references_too, const char *const *in_use,
                size_t in_use_len, int64_t *ret_bytes, json_t **ret_names, struct err *err);

/* Files of one kind: allocated bytes, and how many of them a prune would give back. */
struct store_class {
        int64_t count, bytes, reclaimable_bytes;
};

struct image_usage {
        int64_t images;                           /* names */
        struct store_class blobs, disks, partial; /* layers and documents; unpacked; of pulls */
};

/** What the store takes, and what image_prune() with references_too would give back. */
int image_store_usage(struct image_store *store, const char *const *in_use, size_t in_use_len,
                      struct image_usage *ret, struct err *err);

/** What a normalised reference is in the store, to be put back; NULL: nothing. A new reference. */
json_t *image_reference(struct image_store *store, const char *ref);

/**
 * Take a reference back that turned out to be no good: if it still is digest, it becomes what it
 * was before, or goes. before: of image_reference(); may be NULL.
 */
int image_withdraw(struct image_store *store, const char *ref, const char *digest,
                   const json_t *before, struct err *err);

/** {ref, digest, media_type, source, size_bytes, rootfs, manifest, config, layers}: all of it. */
int image_inspect(struct image_store *store, const char *ref, json_t **ret, struct err *err);

/** Normalise a reference as Docker does: "redis" -> "docker.io/library/redis:latest". EINVAL. */
int image_ref_normalise(const char *ref, char **ret, struct err *err);

/** Short form for people: "docker.io/library/redis:latest" -> "redis:latest". On the heap. */
char *image_ref_familiar(const char *ref);

#endif
