/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From files to one tree: each document is read, its variables are replaced, what it includes is
 * put below it, services that extend others are completed, and it is merged over the documents
 * before it.
 *
 *   include: files loaded as a project of their own (folder, .env), merged under the document
 *   extends: a copy of another service, of this or another file, merged under the service
 *
 * What a file that is included or extended gets wrong is a finding at the place in that file.
 */
#ifndef SCHEMA_ASSEMBLE_H
#define SCHEMA_ASSEMBLE_H

#include "schema/field.h"
#include "schema/yaml.h"

/* Deepest chain of files that include each other, and of services that extend each other. */
#define INCLUDE_DEPTH_MAX 16
#define EXTENDS_DEPTH_MAX 32
/* Files that one load may read: a file may name many, and each of them many more. */
#define ASSEMBLE_FILES_MAX 1000

/* A file that is being read because the one before asked for it. */
struct include_frame {
        const struct include_frame *outer;
        const char *path; /* absolute */
};

struct assembly {
        struct reader *r; /* merges, paths of findings, origins */
        size_t files;     /* read so far */
        const struct include_frame *frame;
};

/**
 * Documents of a text into *docs; those that are no map are findings. file: as in findings, kept.
 */
void assemble_read_text(struct assembly *a, const char *file, const char *text, size_t len,
                        struct node ***docs, size_t *docs_len);

/**
 * The same for the file at the absolute path of from, whose place is that of findings; relative
 * paths in it are resolved against from's dir, what it names finds from's variables (borrowed).
 */
void assemble_read_file(struct assembly *a, const struct origin *from, const struct mark *mark,
                        struct node ***docs, size_t *docs_len);

/** A finding when path is on another machine: such files are not fetched. */
bool assemble_is_remote(struct reader *r, const struct mark *mark, const char *path);

/** A path as people would name the file here: below the present folder without it. */
const char *assemble_shown(struct arena *arena, const char *path);

/** All documents as one tree; docs_len > 0. */
struct node *assemble_docs(struct assembly *a, const struct env *env, struct node **docs,
                           size_t docs_len);

/** Put what a document includes below it; the key is gone then. */
void include_resolve(struct assembly *a, const struct env *env, struct node *doc);

/** Complete the services of a document that extend others. earlier: merged before it, or NULL. */
void extends_resolve(struct assembly *a, const struct env *env, struct node *doc,
                     struct node *earlier);

/** Kinds' read: when fields are read, files have been; JSON cannot name any. */
void assemble_refuse(struct reader *r, const struct field *field, const struct node *node,
                     void *value);

extern const struct kind kind_include; /* nothing: resolved before the tree is read */
extern const struct kind kind_extends; /* likewise */

#endif
