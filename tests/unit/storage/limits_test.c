/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of registries.json. That they hold: tests/system/images_limits.t. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "storage/limits.h"
#include "tests/tap.h"

static char folder[] = "/tmp/berth-limits.XXXXXX";

static int load(const char *text, struct image_limits *ret, struct err *err)
{
        AUTO_FREE char *path = xasprintf("%s/registries.json", folder);

        *err = (struct err)ERR_INIT;
        if (file_write_atomic(path, text, strlen(text), 0600, err) < 0 ||
            setenv("BERTH_REGISTRIES", path, 1) < 0)
                return -EIO;
        return image_limits_load(ret, err);
}

static void test_refused(void)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
                {"{\"limits\": 5}", "limits: must be an object"},
                {"{\"limits\": {\"size\": 5}}", "limits.size: is none; there are layer_size"},
                {"{\"limits\": {\"layer_size\": 5}}", "limits.layer_size: must be a size"},
                {"{\"limits\": {\"layer_size\": \"1k\"}}", "limits.layer_size: 1024 is not within"},
                {"{\"limits\": {\"image_size\": \"2t\"}}", "limits.image_size: 2199023255552 is"},
                {"{\"limits\": {\"ratio\": \"5\"}}", "limits.ratio: must be an integer"},
                {"{\"limits\": {\"ratio\": 1}}", "limits.ratio: 1 is not within 10..1000000"},
                {"{\"limits\": {\"entries\": 4194304}}", "limits.entries: 4194304 is not within"},
                {"{\"limits\": {\"layers\": 0}}", "limits.layers: 0 is not within 1..512"},
                {"{\"limits\": {\"depth\": 257}}", "limits.depth: 257 is not within 1..256"},
                {"{\"limits\"", "registries.json"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_limits limits;
                struct err err;
                int r = load(cases[i].text, &limits, &err);

                ok(r < 0 && strstr(err.msg, cases[i].says) && strstr(err.msg, folder), "%s: %s",
                   cases[i].text, err.msg);
        }
}

static void test_taken(void)
{
        static const struct image_limits wanted = {.layer_size = INT64_C(128) << 30,
                                                   .image_size = 1 << 20,
                                                   .ratio = 1000,
                                                   .entries = 5,
                                                   .layers = 6,
                                                   .depth = 7};
        static const char all[] =
                "{\"limits\": {\"layer_size\": \"128g\", \"image_size\": \"1m\", \"ratio\": 1000, "
                "\"entries\": 5, \"layers\": 6, \"depth\": 7}}";
        struct image_limits limits;
        struct err err;

        is_int(load("{}", &limits, &err), 0, "none are said");
        ok(memcmp(&limits, &image_limits_default, sizeof(limits)) == 0, "so they are the defaults");
        is_int(load(all, &limits, &err), 0, "each is said");
        ok(memcmp(&limits, &wanted, sizeof(limits)) == 0, "and taken");
}

int main(void)
{
        struct err err = ERR_INIT;

        ok(mkdtemp(folder) != NULL, "a folder");
        test_refused();
        test_taken();
        is_int(file_remove_tree(folder, &err), 0, "it is removed");
        return tap_done();
}
