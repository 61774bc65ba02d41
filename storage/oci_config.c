/* SPDX-License-Identifier: Apache-2.0 */
/* What an image config says, into struct image. */
#include <string.h>

#include "base/mem.h"
#include "storage/oci.h"

static int bounded(const char *key, const char *text, struct err *err)
{
        if (strlen(text) > OCI_TEXT_MAX)
                return err_set(err, E2BIG, "image config: %s: longer than %u bytes", key,
                               OCI_TEXT_MAX);
        return 0;
}

static int get_text(const json_t *config, const char *key, char **ret, struct err *err)
{
        const char *text = json_str(config, key, "");
        int r = bounded(key, text, err);

        if (r == 0 && *text)
                *ret = xstrdup(text);
        return r;
}

static int push_text(const char *key, const char *text, char ***ret, size_t *ret_len,
                     struct err *err)
{
        int r;

        if (!text)
                return err_set(err, EINVAL, "image config: %s: must hold strings", key);
        if (*ret_len == OCI_LIST_MAX)
                return err_set(err, E2BIG, "image config: %s: more than %d items", key,
                               OCI_LIST_MAX);
        r = bounded(key, text, err);
        if (r == 0)
                *array_push(ret, ret_len) = xstrdup(text);
        return r;
}

/* ["a", "b"]; null and a missing key are an empty list. */
static int get_list(const json_t *config, const char *key, char ***ret, size_t *ret_len,
                    struct err *err)
{
        const json_t *list = json_object_get(config, key);
        int r = 0;

        if (!list || json_is_null(list))
                return 0;
        if (!json_is_array(list))
                return err_set(err, EINVAL, "image config: %s: must be a list", key);
        for (size_t i = 0; r == 0 && i < json_array_size(list); i++)
                r = push_text(key, json_string_value(json_array_get(list, i)), ret, ret_len, err);
        return r;
}

/* {"80/tcp": {}}: the keys are the list. */
static int get_keys(const json_t *config, const char *key, char ***ret, size_t *ret_len,
                    struct err *err)
{
        json_t *object = json_object_get(config, key), *value;
        const char *name;
        int r = 0;

        if (!json_is_object(object))
                return 0;
        json_object_foreach(object, name, value) {
                if (r == 0)
                        r = push_text(key, name, ret, ret_len, err);
        }
        return r;
}

/* Durations are nanoseconds there; nonsense becomes the default. */
static int64_t get_ms(const json_t *object, const char *key)
{
        int64_t ns = json_int(object, key, 0);

        return ns > 0 ? ns / 1000000 : 0;
}

static int fill_healthcheck(const json_t *config, struct image_healthcheck *ret, struct err *err)
{
        const json_t *h = json_object_get(config, "Healthcheck");
        int64_t retries;

        if (!json_is_object(h))
                return 0;
        ret->interval_ms = get_ms(h, "Interval");
        ret->timeout_ms = get_ms(h, "Timeout");
        ret->start_period_ms = get_ms(h, "StartPeriod");
        ret->start_interval_ms = get_ms(h, "StartInterval");
        retries = json_int(h, "Retries", 0);
        ret->retries = retries > 0 && retries < 1000 ? (int)retries : 0;
        return get_list(h, "Test", &ret->test, &ret->test_len, err);
}

int oci_config_fill(const json_t *config, struct image *image, struct err *err)
{
        const json_t *run = json_object_get(config, "config");
        int r;

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
                r = get_keys(run, "Volumes", &image->volumes, &image->volumes_len, err);
        if (r == 0)
                r = get_keys(run, "ExposedPorts", &image->exposed_ports, &image->exposed_ports_len,
                             err);
        if (r == 0)
                r = get_text(run, "User", &image->user, err);
        if (r == 0)
                r = get_text(run, "WorkingDir", &image->working_dir, err);
        if (r == 0)
                r = get_text(run, "StopSignal", &image->stop_signal, err);
        return r == 0 ? fill_healthcheck(run, &image->healthcheck, err) : r;
}
