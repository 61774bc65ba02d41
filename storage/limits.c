/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/limits.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "storage/oci.h"
#include "storage/registry_config.h"
#include "storage/tree.h"

const struct image_limits image_limits_default = {.layer_size = INT64_C(64) << 30,
                                                  .image_size = INT64_C(64) << 30,
                                                  .ratio = 400,
                                                  .entries = TREE_NODES_MAX,
                                                  .layers = OCI_LAYERS_MAX,
                                                  .depth = TREE_DEPTH_MAX};

/* What memory, recursion and formats can bear is the most. */
static const struct {
        const char *name;
        size_t offset;
        bool size; /* written like "64g" */
        int64_t min, max;
} fields[] = {
        {"layer_size", offsetof(struct image_limits, layer_size), true, 1 << 20, INT64_C(1) << 40},
        {"image_size", offsetof(struct image_limits, image_size), true, 1 << 20, INT64_C(1) << 40},
        {"ratio", offsetof(struct image_limits, ratio), false, 10, 1000000},
        {"entries", offsetof(struct image_limits, entries), false, 1, TREE_NODES_MAX},
        {"layers", offsetof(struct image_limits, layers), false, 1, OCI_LAYERS_MAX},
        {"depth", offsetof(struct image_limits, depth), false, 1, TREE_DEPTH_MAX},
};

static int read_field(const json_t *value, size_t i, int64_t *ret, struct err *err)
{
        int64_t n = 0;
        int r;

        if (fields[i].size && json_is_string(value))
                r = value_bytes(json_string_value(value), &n, err);
        else if (!fields[i].size && json_is_integer(value))
                r = (n = (int64_t)json_integer_value(value), 0);
        else
                r = err_set(err, EINVAL, "must be %s",
                            fields[i].size ? "a size like \"64g\"" : "an integer");
        if (r == 0 && (n < fields[i].min || n > fields[i].max))
                r = err_set(err, ERANGE, "%lld is not within %lld..%lld", (long long)n,
                            (long long)fields[i].min, (long long)fields[i].max);
        *ret = n;
        return r;
}

static int read_limit(const char *name, const json_t *value, struct image_limits *ret,
                      struct err *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                if (streq(fields[i].name, name))
                        return read_field(value, i,
                                          (int64_t *)(void *)((char *)ret + fields[i].offset), err);
        return err_set(err, EINVAL,
                       "is none; there are layer_size, image_size, ratio, entries, layers, depth");
}

int image_limits_load(struct image_limits *ret, struct err *err)
{
        AUTO_FREE char *path = NULL;
        AUTO_JSON json_t *file = NULL;
        json_t *limits, *value;
        const char *name;
        int r = registry_config_file(&path, &file, err);

        *ret = image_limits_default;
        if (r < 0)
                return r;
        limits = json_object_get(file, "limits");
        if (limits && !json_is_object(limits))
                return err_set(err, EINVAL, "%s: limits: must be an object", path);
        json_object_foreach(limits, name, value) {
                r = read_limit(name, value, ret, err);
                if (r < 0)
                        return err_wrap(err, "%s: limits.%.50s", path, name);
        }
        return 0;
}

int image_limits_layers(const struct image_limits *limits, size_t layers, const char *what,
                        struct err *err)
{
        return layers > (size_t)limits->layers
                       ? err_set(err, E2BIG, "%s: %zu layers; the limit is %lld (limits.layers)",
                                 what, layers, (long long)limits->layers)
                       : 0;
}
