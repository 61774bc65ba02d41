/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests to desired state and back. Two ways in, one set of field tables: YAML files (the
 * command line, with the user's environment) and canonical JSON (the API, the state store). Reading
 * back what stack_to_json() wrote gives an equal stack and the same hash.
 */
#ifndef SCHEMA_LOAD_H
#define SCHEMA_LOAD_H

#include <jansson.h>
#include <stdio.h>

#include "base/digest.h"
#include "base/err.h"
#include "schema/manifest.h"

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

/* What kind of finding; each has a stable name for programs (diag_code_name()). */
enum diag_code {
        DIAG_YAML_SYNTAX,       /* not YAML, or more of it than is taken */
        DIAG_DUPLICATE_KEY,     /* one key twice in a map */
        DIAG_UNKNOWN_KEY,       /* no such key */
        DIAG_UNSUPPORTED_KEY,   /* a key of the language that cannot work here */
        DIAG_UNSUPPORTED_VALUE, /* such a value */
        DIAG_BAD_TYPE,          /* a list where text is needed */
        DIAG_BAD_VALUE,         /* none of those below */
        DIAG_BAD_NAME,          /* of a service, network, host... */
        DIAG_BAD_NUMBER,        /* no number, or out of bounds */
        DIAG_BAD_SIZE,          /* bytes */
        DIAG_BAD_DURATION,      /* time */
        DIAG_BAD_CHOICE,        /* not one of a list of words */
        DIAG_BAD_PORT,          /* or a range of them */
        DIAG_BAD_ADDRESS,       /* or a subnet */
        DIAG_BAD_PATH,
        DIAG_BAD_VARIABLE, /* a malformed ${}, or one that must be set */
        DIAG_MISSING_KEY,
        DIAG_UNDEFINED, /* a name that leads nowhere */
        DIAG_CONFLICT,  /* two things that exclude each other */
        DIAG_CYCLE,
        DIAG_BAD_FILE, /* a file that the manifest names cannot be used */
        DIAG_LIMIT,
        DIAG_INCOMPLETE,     /* warning: variables leave it so that it could not run */
        DIAG_IGNORED_KEY,    /* warning */
        DIAG_UNSET_VARIABLE, /* warning */
        DIAG_SUSPICIOUS,     /* warning */
        DIAG_CODES,
};

/** "unknown-key": for programs, never changed. */
const char *diag_code_name(enum diag_code code);

/* One finding: "stack.yaml:12:5: services.web.ports[1]: 70000 is above 65535". */
struct diag {
        enum diag_code code;
        enum diag_severity severity;
        struct place place;
        char *path;    /* "services.web.ports[1]", "" for the whole file */
        char *message; /* the problem and the way out */
        char *subject; /* the variable or the image that is missing; NULL: nothing */
};

/* All findings of a load, in file order; at most DIAGS_MAX, then one that says so. */
#define DIAGS_MAX 100

struct diags {
        struct diag *items;
        size_t len;
        size_t errors;
};

/** Free all findings. A zeroed one is fine. */
void diags_release(struct diags *diags);

/**
 * Print one a line (with "error: "/"warning: " text as compilers do) to f. Warnings that say the
 * same are one line, with the lines of the others behind it; so are variables that are not set
 * and images that are not built.
 */
void diags_print(const struct diags *diags, FILE *f);

/** The same for people at a terminal: below each, its line of the file and a caret. */
void diags_show(const struct diags *diags, FILE *f);

/** [{severity, code, file, line, column, path, message}]. A new reference. */
json_t *diags_to_json(const struct diags *diags);

struct load_options {
        const char *const *files; /* -f order: later ones are merged over earlier ones */
        size_t file_count;
        const char *project;        /* -p; NULL: `name:`, else the project's folder */
        const char *project_dir;    /* --project-directory: where relative paths start and .env is;
                                       NULL: the folder of the first file */
        const char *const *environ; /* NAME=value for interpolation, above .env; NULL: none */
        const char *const *env_files; /* --env-file; none: .env beside the first file if there */
        size_t env_file_count;
        const char *const *profiles; /* --profile, beside those of BERTH_PROFILES or
                                        COMPOSE_PROFILES */
        size_t profile_count;
        bool strict; /* warnings are errors */
        bool to_run; /* those of DIAG_INCOMPLETE are: it is not only looked at */
};

/**
 * Load, merge, interpolate, default and validate.
 * *ret_stack: the caller's. diags: all findings, also warnings of a load that worked.
 * -EINVAL: at least one error in diags (err says how many); -ENOENT...: a file cannot be read.
 */
int manifest_load(const struct load_options *options, struct stack **ret_stack, struct diags *diags,
                  struct err *err);

struct places; /* schema/places.h */

/** The same; *ret_places: the caller's, where its values stand. NULL: not wanted. */
int manifest_load_places(const struct load_options *options, struct stack **ret_stack,
                         struct places **ret_places, struct diags *diags, struct err *err);

/** Canonical JSON of a stack: sorted, complete, defaults left out. A new reference. */
json_t *stack_to_json(const struct stack *stack);

/** The canonical JSON of one service alone (what its replicas are made from). */
json_t *service_to_json(const struct service *service);

/** The members of it that differ between two services; NULL: none. New references. */
void service_differ(const struct service *a, const struct service *b, json_t **ret_a,
                    json_t **ret_b);

/** Read canonical JSON (hostile: the API's input), with all validation. */
int stack_from_json(const json_t *json, struct stack **ret_stack, struct diags *diags,
                    struct err *err);

/** Replace the content of all secrets in canonical JSON by "***": for showing it to people. */
void stack_json_mask(json_t *json);

/** Canonical YAML text of canonical JSON, for `berth config`; on the heap. */
char *manifest_yaml(const json_t *json);

#endif
