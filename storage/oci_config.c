/* SPDX-License-Identifier: Apache-2.0 */
/* What an image config says, into struct image. */
#include <string.h>

#include "base/mem.h"
#include "storage/oci.h"

static int bounded(const char *key, const char *text, unsigned max, struct err *err)
{
        if (strlen(text) > max)
                return err_set(err, E2BIG, "image config: %s: longer than %u bytes", key, max);
        return 0;
}

static int mistyped(const char *key, const char *wanted, struct err *err)
{
        return err_set(err, EINVAL, "image config: %s: must be %s", key, wanted);
}

/* The value of a key; NULL: there is none, or null. */
static const json_t *get(const json_t *config, const char *key)
{
        const json_t *value = json_object_get(config, key);

        return json_is_null(value) ? NULL : value;
}

static int get_text(const json_t *config, const char *key, char **ret, struct err *err)
{
        const json_t *value = get(config, key);
        const char *text = json_string_value(value);
        int r;

        if (!value)
                return 0;
        if (!text)
                return mistyped(key, "a string", err);
        r = bounded(key, text, OCI_WORD_MAX, err);
        if (r == 0 && *text)
                *ret = xstrdup(text);
        return r;
}

static int push_text(const char *key, const char *text, char ***ret, size_t *ret_len,
                     struct err *err)
{
        int r;

        if (!text)
                return mistyped(key, "a list of strings", err);
        if (*ret_len == OCI_LIST_MAX)
                return err_set(err, E2BIG, "image config: %s: more than %d items", key,
                               OCI_LIST_MAX);
        r = bounded(key, text, OCI_TEXT_MAX, err);
        if (r == 0)
                *array_push(ret, ret_len) = xstrdup(text);
        return r;
}

/* ["a", "b"] */
static int get_list(const json_t *config, const char *key, char ***ret, size_t *ret_len,
                    struct err *err)
{
        const json_t *list = get(config, key);
        int r = 0;

        if (list && !json_is_array(list))
                return mistyped(key, "a list of strings", err);
        for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
                r = push_text(key, json_string_value(json_array_get(list, i)), ret, ret_len, err);
        return r;
}

static int get_object(const json_t *config, const char *key, const json_t **ret, struct err *err)
{
        const json_t *object = get(config, key);

        if (object && !json_is_object(object))
                return mistyped(key, "an object", err);
        *ret = object;
        return 0;
}

static int get_number(const json_t *object, const char *key, int64_t *ret, struct err *err)
{
        const json_t *value = get(object, key);

        if (value && !json_is_integer(value))
                return mistyped(key, "an integer", err);
        *ret = (int64_t)json_integer_value(value);
        return 0;
}

/* Nanoseconds there. What is below 0 is the default, as 0 is; a short one is not for an image. */
static int get_ms(const json_t *object, const char *key, int64_t min_ms, int64_t *ret,
                  struct err *err)
{
        int64_t ns = 0;
        int r = get_number(object, key, &ns, err);

        if (r == 0 && ns > 0)
                *ret = ns / 1000000 > min_ms ? ns / 1000000 : min_ms;
        return r;
}

static int fill_healthcheck(const json_t *config, struct image_healthcheck *ret, struct err *err)
{
        const json_t *h = NULL;
        int64_t retries = 0;
        int r = get_object(config, "Healthcheck", &h, err);

        if (r == 0)
                r = get_ms(h, "Interval", OCI_PROBE_MIN_MS, &ret->interval_ms, err);
        if (r == 0)
                r = get_ms(h, "Timeout", 1, &ret->timeout_ms, err);
        if (r == 0)
                r = get_ms(h, "StartPeriod", 1, &ret->start_period_ms, err);
        if (r == 0)
                r = get_ms(h, "StartInterval", OCI_PROBE_MIN_MS, &ret->start_interval_ms, err);
        if (r == 0)
                r = get_number(h, "Retries", &retries, err);
        ret->retries = retries > 0 && retries < 1000 ? (int)retries : 0;
        return r == 0 ? get_list(h, "Test", &ret->test, &ret->test_len, err) : r;
}

int oci_config_fill(const json_t *config, struct image *image, struct err *err)
{
        const json_t *run = NULL;
        int r = get_object(config, "config", &run, err);

        if (r == 0)
                r = get_text(config, "architecture", &image->architecture, err);
        if (r == 0)
                r = get_text(config, "os", &image->os, err);
        if (r == 0)
                r = get_text(config, "created", &image->created, err);
        if (r == 0)
                r = get_list(run, "Env", &image->env, &image->env_len, err);
        if (r == 0)
                r = get_list(run, "Entrypoint", &image->entrypoint, &image->entrypoint_len, err);
        if (r == 0)
                r = get_list(run, "Cmd", &image->cmd, &image->cmd_len, err);
        if (r == 0)
                r = get_text(run, "User", &image->user, err);
        if (r == 0)
                r = get_text(run, "WorkingDir", &image->working_dir, err);
        if (r == 0)
                r = get_text(run, "StopSignal", &image->stop_signal, err);
        return r == 0 ? fill_healthcheck(run, &image->healthcheck, err) : r;
}
