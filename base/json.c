/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* jansson recurses up to 2048 levels; count ourselves first, outside of strings. */
static bool json_too_deep(const char *text, size_t len)
{
        bool in_string = false;
        size_t depth = 0;

        for (size_t i = 0; i < len; i++) {
                if (in_string) {
                        if (text[i] == '\\')
                                i++;
                        else if (text[i] == '"')
                                in_string = false;
                } else if (text[i] == '"') {
                        in_string = true;
                } else if (text[i] == '{' || text[i] == '[') {
                        if (++depth > JSON_DEPTH_MAX)
                                return true;
                } else if ((text[i] == '}' || text[i] == ']') && depth) {
                        depth--;
                }
        }
        return false;
}

int json_parse(const char *text, size_t len, size_t max, const char *what, json_t **ret,
               struct err *err)
{
        json_error_t je;
        json_t *j;

        if (len > max)
                return err_set(err, EFBIG, "%s: %zu bytes of JSON; the limit is %zu", what, len,
                               max);
        if (json_too_deep(text, len))
                return err_set(err, EINVAL, "%s: JSON nested deeper than %d", what, JSON_DEPTH_MAX);
        j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
        if (!j)
                return err_set(err, EINVAL, "%s:%d:%d: %s", what, je.line, je.column, je.text);
        *ret = j;
        return 0;
}

static char *json_dump(const json_t *j, size_t flags)
{
        char *s = json_dumps(j, flags | JSON_SORT_KEYS | JSON_ENCODE_ANY);

        return s ? s : xstrdup("null");
}

char *json_text(const json_t *j)
{
        return json_dump(j, JSON_COMPACT);
}

char *json_pretty(const json_t *j)
{
        return json_dump(j, JSON_INDENT(2));
}

const char *json_str(const json_t *object, const char *key, const char *fallback)
{
        const char *s = json_string_value(json_object_get(object, key));

        return s ? s : fallback;
}

int64_t json_int(const json_t *object, const char *key, int64_t fallback)
{
        const json_t *v = json_object_get(object, key);

        return json_is_integer(v) ? (int64_t)json_integer_value(v) : fallback;
}

bool json_bool(const json_t *object, const char *key, bool fallback)
{
        const json_t *v = json_object_get(object, key);

        return json_is_boolean(v) ? json_is_true(v) : fallback;
}

int json_need_str(const json_t *object, const char *key, const char *what, const char **ret,
                  struct err *err)
{
        const json_t *v = json_object_get(object, key);

        if (!json_is_string(v))
                return err_set(err, EINVAL, "%s: %s: %s", what, key,
                               v ? "must be a string" : "is missing");
        *ret = json_string_value(v);
        return 0;
}

int json_need_int(const json_t *object, const char *key, int64_t min, int64_t max, const char *what,
                  int64_t *ret, struct err *err)
{
        const json_t *v = json_object_get(object, key);
        int64_t n;

        if (!json_is_integer(v))
                return err_set(err, EINVAL, "%s: %s: %s", what, key,
                               v ? "must be an integer" : "is missing");
        n = (int64_t)json_integer_value(v);
        if (n < min || n > max)
                return err_set(err, ERANGE, "%s: %s: %lld is not within %lld..%lld", what, key,
                               (long long)n, (long long)min, (long long)max);
        *ret = n;
        return 0;
}

/* jansson fails here only for invalid UTF-8 or out of memory; the first becomes null, visibly. */
static void set_new(json_t *object, const char *key, json_t *value)
{
        if (json_object_set_new(object, key, value ? value : json_null()) < 0)
                bug("json_object_set_new");
}

void json_set_str(json_t *object, const char *key, const char *value)
{
        if (value)
                set_new(object, key, json_string(value));
}

void json_set_int(json_t *object, const char *key, int64_t value)
{
        set_new(object, key, json_integer(value));
}

void json_set_bool(json_t *object, const char *key, bool value)
{
        set_new(object, key, json_boolean(value));
}
