/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs in real worker processes. With arguments it is a small tool for tests/system/storage.t:
 *   job_test load STORE FILE [REF] | import STORE FILE REF | unpack STORE REF | volume ...
 */
#include "base/file.h"
#include "base/mem.h"
#include "tests/tap.h"
#include "tests/unit/storage/driver.h"

static int tool_unpack(struct image_store *store, const char *ref, json_t **ret, struct err *err)
{
        AUTO(image) struct image *image = NULL;
        int r = image_find(store, ref, &image, err);

        return r < 0 ? r : driver_unpack(store, image->digest, ret, err);
}

static int tool(int argc, char **argv)
{
        AUTO(image_store) struct image_store *store = NULL;
        AUTO_JSON json_t *result = NULL;
        AUTO_FREE char *text = NULL;
        struct err err = ERR_INIT;
        const char *verb = argv[1], *extra = argc > 4 ? argv[4] : NULL;
        int r = image_store_open(argv[2], &store, &err);

        if (r == 0 && streq(verb, "load"))
                r = driver_load(store, argv[3], extra, &result, &err);
        else if (r == 0 && streq(verb, "import"))
                r = driver_import(store, argv[3], extra, NULL, &result, &err);
        else if (r == 0 && streq(verb, "unpack"))
                r = tool_unpack(store, argv[3], &result, &err);
        else if (r == 0 && streq(verb, "remove"))
                r = image_remove(store, argv[3], NULL, 0, &err);
        if (r < 0) {
                (void)fprintf(stderr, "%s\n", err.msg);
                return 1;
        }
        text = result ? json_text(result) : NULL;
        (void)printf("%s\n", text ? text : "");
        return 0;
}

int main(int argc, char **argv)
{
        DRIVER_MAIN(argc, argv);
        if (argc > 3)
                return tool(argc, argv);
        ok(1, "placeholder");
        return tap_done();
}
