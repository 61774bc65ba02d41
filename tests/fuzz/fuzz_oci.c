/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/mem.h"
#include "storage/oci.h"

/* Documents of an image (first byte: which) and references. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_json(const char *text, size_t len)
{
        char(*diff_ids)[DIGEST_TEXT_MAX] = NULL;
        AUTO(image) struct image *image = xnew(struct image);
        AUTO_JSON json_t *json = NULL;
        const json_t *chosen;
        struct platform wanted = {.os = "linux"};
        struct err err = ERR_INIT;

        if (oci_parse(text, len, "fuzz", &json, &err) < 0)
                return;
        (void)oci_config_fill(json, image, &err); /* any outcome is fine, crashes are not */
        (void)platform_parse(json_str(json, "platform", NULL), &wanted, &err);
        (void)oci_index_choose(json, &wanted, "fuzz", &chosen, &err);
        if (oci_config_diff_ids(json, "fuzz", 2, &diff_ids, &err) == 0)
                free(diff_ids);
}

static void take_ref(const char *text)
{
        AUTO_FREE char *once = NULL, *twice = NULL, *familiar = NULL, *back = NULL;
        struct err err = ERR_INIT;

        if (image_ref_normalise(text, &once, &err) < 0)
                return;
        familiar = image_ref_familiar(once);
        if (image_ref_normalise(once, &twice, &err) < 0 || !streq(once, twice) ||
            image_ref_normalise(familiar, &back, &err) < 0 || !streq(once, back))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO_FREE char *text = NULL;
        struct err err = ERR_INIT;

        if (size < 1 || size > OCI_DOCUMENT_MAX)
                return 0;
        text = xcalloc(1, size);
        memcpy(text, data + 1, size - 1);
        if (data[0] % 3 == 0)
                (void)oci_manifest_parse(text, size - 1, "fuzz", &manifest, &err); /* as above */
        else if (data[0] % 3 == 1)
                take_json(text, size - 1);
        else
                take_ref(text);
        return 0;
}
