/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would change, field by field. Works on canonical JSON, so it knows every field of the
 * tables. Which fields need a new VM and which change in place is one table: field_effect().
 */
#ifndef RECONCILER_DIFF_H
#define RECONCILER_DIFF_H

#include <jansson.h>

#include "schema/manifest.h"

enum change_effect {
        EFFECT_NONE,    /* seen by nobody (labels) */
        EFFECT_UPDATE,  /* in place: the VM stays */
        EFFECT_REPLACE, /* a new VM */
};

enum change_kind { CHANGE_CREATE, CHANGE_REPLACE, CHANGE_UPDATE, CHANGE_REMOVE };

/**
 * Effect of a change of a service's canonical field. path: a key or a dotted path below one
 * ("scale", "healthcheck.interval"); what the table does not name is EFFECT_REPLACE.
 */
enum change_effect field_effect(const char *path);

/** Whether members of the field have rows of their own ("x-berth", "networks.front"). */
bool field_is_divided(const char *path);

/* A row of the table: path, `*` for any name; why it does that. */
struct effect_row {
        const char *path;
        enum change_effect effect;
        const char *why;
};

/** The whole table, for documentation and tests. */
const struct effect_row *effect_rows(size_t *ret_len);

/** Names for display and JSON: "replace", "create"... */
const char *change_effect_name(enum change_effect effect);
const char *change_kind_name(enum change_kind kind);

struct field_change {
        char *path;           /* "environment.GREETING" */
        char *before, *after; /* compact JSON text; NULL: absent; secrets: "(sensitive)" */
        enum change_effect effect;
};

struct change {
        enum change_kind kind;
        char *what; /* "service", "network", "volume" */
        char *name;
        struct field_change *fields;
        size_t fields_len;
};

struct changes {
        struct change *items;
        size_t len;
};

/** Difference from before (NULL: nothing exists) to after (NULL: all removed). Pure. */
void stack_diff(const struct stack *before, const struct stack *after, struct changes *ret);
void changes_release(struct changes *changes);

/** As JSON for the API: [{kind, what, name, fields: [{path, before, after, effect}]}]. */
json_t *changes_to_json(const struct changes *changes);

#endif
