/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field tables. Each key of the language is one row: name, kind, place in a struct, bounds, doc. A
 * kind knows how to read a node, how to write canonical JSON, and how two files' values merge. From
 * the rows follow reading (YAML and JSON trees alike), canonical JSON, merging, the explanations of
 * `berth explain` and the list of supported keys.
 *
 * A table is an array that ends with a row without name. Reading goes on behind an error, so that
 * all are reported; the value is then left as unset.
 */
#ifndef SCHEMA_FIELD_H
#define SCHEMA_FIELD_H

#include "schema/env.h"
#include "schema/path.h"
#include "schema/tree.h"

struct field;
struct reader;

/* What a later file's value does to an earlier one's. */
enum merge_rule {
        MERGE_REPLACE,
        MERGE_OBJECT, /* map with known keys: arg is their table */
        MERGE_NAMED,  /* map of names to objects: arg is a struct named */
        MERGE_PAIRS,  /* map or list of KEY=VALUE: by key */
        MERGE_NAMES,  /* map or list of names: by name */
        MERGE_SET,    /* list: appended, equal values once */
        MERGE_PORTS,  /* list: by host address, published, target and protocol */
        MERGE_TARGET, /* list: by the path where it is mounted */
};

struct kind {
        const char *form;   /* what is expected: "a string", "a list of strings" */
        const char *schema; /* JSON Schema of it, {"$ref":"#long"} for the long form; NULL: follows
                               from the merge rule and arg */
        enum merge_rule merge;
        const char *folder; /* of MERGE_TARGET, where a bare name is mounted; NULL: nowhere */
        const struct field *long_form; /* keys of an entry that is a map, for explanations */
        void (*init)(const struct field *field, void *value); /* NULL: zero is "unset" */
        void (*read)(struct reader *r, const struct field *field, const struct node *node,
                     void *value);
        json_t *(*write)(const struct field *field, const void *value); /* NULL: unset */
};

enum field_use {
        FIELD_USED,
        FIELD_QUIET,   /* accepted, nothing to do in a VM */
        FIELD_IGNORED, /* accepted with a warning: doc says why */
        FIELD_REFUSED, /* an error: doc says why, and the way out */
};

typedef void field_check_fn(struct reader *r, const struct node *node, const char *text);

struct field {
        const char *name;
        const struct kind *kind; /* NULL unless FIELD_USED */
        size_t offset;
        int64_t min, max; /* of numbers; max 0: no bounds */
        int64_t unset;    /* the value of a number or choice that was not given */
        const void *arg;  /* of the kind: a sub-table, the words of a choice... */
        field_check_fn *check;
        enum field_use use;
        const char *usual; /* of FIELD_IGNORED: a value that is what happens anyway */
        bool required;
        bool in_only; /* another way to write what a second row writes */
        const char *doc;
};

/* Objects by name ("services"): elements begin with `char *name`. */
struct named {
        const struct field *table;
        size_t items, len, size;             /* of the array that is read into */
        size_t out_items, out_len, out_size; /* of the one that is written from */
        size_t place;                        /* struct place in an element */
        field_check_fn *check_name;
        bool null_ok; /* `data:` alone is an object with defaults */
        void (*begin)(struct reader *r, void *element, size_t index, const struct node *node);
        void (*end)(struct reader *r, void *element, const struct node *node); /* a map was read */
};

enum ref_kind { REF_SERVICE, REF_NETWORK, REF_VOLUME, REF_CONFIG, REF_SECRET };

/* A name that must exist somewhere else; checked when all is read. */
struct ref {
        enum ref_kind kind;
        const char *name, *path;
        struct mark mark;
        size_t service; /* index of the one that refers */
        bool optional;
};

/* A published port and where it was asked for. */
struct claim {
        const char *host_ip, *path;
        uint16_t published;
        enum port_protocol protocol;
        struct mark mark;
        size_t service;
};

/* Where an element of the canonical form stands that the tree has elsewhere, or has not: one of a
 * list that was written out or put together, a variable of a file. */
struct note {
        const struct node *service;
        const char *list; /* "ports" */
        const char *name; /* NULL: an index */
        size_t index;
        const struct node *node; /* that it came from */
        size_t order;
};

/* A file that relative paths in it are resolved against a folder of its own: one that is included
 * or extended. Files are told apart by their pointers: one may be read in several ways. */
struct origin {
        const char *file; /* as in marks */
        const char *dir;
        const struct env *env; /* what variables in it, and in files that it names, stand for */
};

struct reader {
        struct arena *arena;
        struct diags *diags;
        const struct env *env; /* NULL: canonical JSON, no files and variables */
        const char *base_dir;  /* of relative paths; NULL likewise */
        const char *profiles;  /* those that are on, comma between; NULL: none */
        bool off;              /* the service that is being read is left out by its profiles */
        bool partial;          /* a file could not be read: names may lead into it */
        struct origin *origins;
        size_t origins_len;
        struct path path;
        size_t service; /* index of the one that is being read */
        struct ref *refs;
        size_t refs_len;
        struct claim *claims;
        size_t claims_len;
        const struct node *service_node; /* of the one that is being read */
        struct note *notes;
        size_t notes_len;
};

/** A finding at a place and the reader's path. */
void reader_error(struct reader *r, const struct mark *mark, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
void reader_warn(struct reader *r, const struct mark *mark, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/** The same with a code of its own; reader_error() is for bad values, reader_warn() for
 *  suspicious ones. */
void reader_fault(struct reader *r, enum diag_code code, const struct mark *mark, const char *fmt,
                  ...) __attribute__((format(printf, 4, 5)));

/** "must be A STRING, not a list" for the field's kind. */
void reader_refuse_kind(struct reader *r, const struct field *field, const struct node *node);

/** The variables at a place: those of the project it was included with. NULL: JSON. */
const struct env *reader_env(const struct reader *r, const struct mark *mark);

/**
 * Note that this place names a thing of the stack: after reading, it must exist unless optional.
 */
void reader_add_ref(struct reader *r, enum ref_kind kind, const char *name, const struct mark *mark,
                    bool optional);

/** Note where LIST[index], or LIST.name unless it is NULL, of a service came from. */
void reader_note(struct reader *r, const struct node *service, const char *list, const char *name,
                 size_t index, const struct node *node);

/** Set what was not given. */
void fields_init(const struct field *table, void *base);

/** Read a map into the struct at base. mark: of missing keys. */
void fields_read(struct reader *r, const struct field *table, const struct node *map, void *base);

/** Canonical JSON of what is set; a new object, perhaps empty. */
json_t *fields_write(const struct field *table, const void *base);

/** The same, or NULL when nothing is set. */
json_t *fields_write_any(const struct field *table, const void *base);

/** What differs of two structs, as canonical JSON; NULL: nothing. New references. */
void fields_differ(const struct field *table, const void *a, const void *b, json_t **ret_a,
                   json_t **ret_b);

/** The row of a key, or NULL. */
const struct field *field_find(const struct field *table, const char *name);

/** The keys below: of an object, of each in a map of objects, of an entry's long form; or NULL. */
const struct field *field_children(const struct field *field);

#endif
