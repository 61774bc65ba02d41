/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the load*.c files. For nobody else. */
#ifndef STORAGE_LOAD_INTERNAL_H
#define STORAGE_LOAD_INTERNAL_H

#include "storage/load.h"
#include "storage/oci.h"

/* A file of the archive: staged under its digest, or another name of one (links in old saves). */
struct load_member {
        char *name;
        char *link; /* lexical target within the archive; NULL: a file */
        struct oci_descriptor blob;
};

struct load {
        int staging;
        const char *ref;
        const struct image_limits *limits;
        struct job_progress *progress;
        struct load_member *members;
        size_t members_len;
        json_t *blobs;  /* digests as keys */
        json_t *images; /* [{"ref", "descriptor"}] */
};

/** The staged file of that name, links followed; NULL: none. */
const struct load_member *load_find(const struct load *load, const char *name);

/** A member of at most OCI_DOCUMENT_MAX bytes as JSON. */
int load_document(const struct load *load, const char *name, json_t **ret, struct err *err);

/** Check that a manifest's blobs are there and fit together, and keep them. */
int load_keep_manifest(struct load *load, const struct oci_descriptor *descriptor, struct err *err);

/** Name an image; ref is normalised here. */
int load_name(struct load *load, const char *ref, const struct oci_descriptor *descriptor,
              struct err *err);

/** What load_archive() gives: digests to keep and references. A new reference. */
json_t *load_result(struct load *load);

/** The two formats, once the members are staged. */
int load_oci(struct load *load, struct err *err);
int load_docker(struct load *load, struct err *err);

/** The media type of a layer by its compression. */
const char *load_layer_type(int compression);

#endif
