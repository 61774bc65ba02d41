/* SPDX-License-Identifier: Apache-2.0 */
/* jansson, with scoped cleanup, bounded parsing of hostile text, and getters that name the path. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AUTO_JSON __attribute__((cleanup(json_auto_)))

static inline void json_auto_(json_t **j)
{
        json_decref(*j);
}

/** Deepest nesting that is accepted from outside. */
#define JSON_DEPTH_MAX 64

/**
 * Parse len bytes (at most max) that must hold one JSON object or array; duplicate keys, depth past
 * JSON_DEPTH_MAX and trailing bytes are errors. what: names the source in errors ("manifest").
 * *ret: a new reference.
 */
int json_parse(const char *text, size_t len, size_t max, const char *what, json_t **ret,
               struct err *err);

/** Compact text with sorted keys, on the heap (never NULL). */
char *json_text(const json_t *j);

/** The same with an indent of two spaces, for people. */
char *json_pretty(const json_t *j);

/** Members with a default: a missing member or one of another type gives the default. */
const char *json_str(const json_t *object, const char *key, const char *fallback);
int64_t json_int(const json_t *object, const char *key, int64_t fallback);
bool json_bool(const json_t *object, const char *key, bool fallback);

/** A required string member: EINVAL "WHAT: KEY: ..." when missing or not a string. Borrowed. */
int json_need_str(const json_t *object, const char *key, const char *what, const char **ret,
                  struct err *err);

/** A required integer member within min..max. */
int json_need_int(const json_t *object, const char *key, int64_t min, int64_t max, const char *what,
                  int64_t *ret, struct err *err);

/** Set a member to a string; value NULL leaves it out. */
void json_set_str(json_t *object, const char *key, const char *value);

/** Set a member to an integer or a boolean. */
void json_set_int(json_t *object, const char *key, int64_t value);
void json_set_bool(json_t *object, const char *key, bool value);

#endif
