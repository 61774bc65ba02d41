/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of the OCI image format: descriptors, manifests, indexes, configs. They come from
 * outside: sizes, counts and every digest are checked here, before anyone builds a path from them.
 */
#ifndef STORAGE_OCI_H
#define STORAGE_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "storage/image.h"
#include "storage/platform.h"

#define OCI_DOCUMENT_MAX (4u << 20)  /* bytes; what other clients accept */
#define OCI_LAYERS_MAX   512         /* Docker stops at 127 */
#define OCI_NESTING_MAX  4           /* an index in an index */
#define OCI_ENTRIES_MAX  1024        /* of an index */
#define OCI_VALUES_MAX   131072      /* of one document: in memory each takes some 200 bytes */
#define OCI_TEXT_MAX     (64u << 10) /* one string of a list of a config */
#define OCI_LIST_MAX     1000        /* one list of a config; vminit takes 1024 */
#define OCI_WORD_MAX     4095        /* one user, folder, signal: as a path */
#define OCI_PROBE_MIN_MS 100         /* of a healthcheck: the daemon has other things to do */

#define OCI_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_INDEX    "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_CONFIG   "application/vnd.oci.image.config.v1+json"
#define OCI_TYPE_LAYER    "application/vnd.oci.image.layer.v1.tar" /* + "", "+gzip", "+zstd" */

#define OCI_NOTE_REF      "org.opencontainers.image.ref.name"
#define OCI_NOTE_NAME     "io.containerd.image.name"
#define OCI_NOTE_SOURCE   "berth.image.source"   /* the digest that the registry has for the name */
#define OCI_NOTE_PULLED   "berth.image.pulled"   /* when it was last asked, ms since 1970 */
#define OCI_NOTE_PLATFORM "berth.image.platform" /* that a pull asked for; none: VMs here */

struct oci_descriptor {
        char digest[DIGEST_TEXT_MAX];
        int64_t size;
        char media_type[128]; /* "" when the document has none */
};

struct oci_manifest {
        struct oci_descriptor config;
        struct oci_descriptor *layers;
        size_t layers_len;
};

/**
 * A document as JSON; what: its name in errors. E2BIG: more than OCI_VALUES_MAX values: "[]," is
 * three bytes of text, and a hundred in memory, of the daemon too.
 */
int oci_parse(const char *text, size_t len, const char *what, json_t **ret, struct err *err);

/** NULL is fine. */
void oci_manifest_free(struct oci_manifest *manifest);
AUTO_TYPE(oci_manifest)

/** A descriptor object; what: names its document in errors. */
int oci_descriptor_parse(const json_t *json, const char *what, struct oci_descriptor *ret,
                         struct err *err);
json_t *oci_descriptor_json(const struct oci_descriptor *descriptor);

/** Whether a descriptor's media type names an index, a manifest (OCI's or Docker's). */
bool oci_is_index(const char *media_type);
bool oci_is_manifest(const char *media_type);

/** Parse a manifest document that was already checked against its digest. */
int oci_manifest_parse(const char *text, size_t len, const char *what, struct oci_manifest **ret,
                       struct err *err);

/**
 * The entry of an index that fits a platform best, attestations aside; one without a platform when
 * none fits. *ret: borrowed from index. ENOENT: none; the text lists what there is.
 */
int oci_index_choose(const json_t *index, const struct platform *wanted, const char *what,
                     const json_t **ret, struct err *err);

/** The diff_ids of a config; there must be as many as layers. *ret: array, the caller's. */
int oci_config_diff_ids(const json_t *config, const char *what, size_t layers,
                        char (**ret)[DIGEST_TEXT_MAX], struct err *err);

/**
 * Fill an image's fields from its config. EINVAL: one has another type than it must (who leaves out
 * a `User` that is a number runs as root); null is as if it were not there.
 */
int oci_config_fill(const json_t *config, struct image *image, struct err *err);

/** The architecture of this machine as OCI names it ("amd64"). */
const char *oci_architecture(void);

#endif
