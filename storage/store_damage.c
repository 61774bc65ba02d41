/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs that are not what they were: removed, so that what brings them next mends the store. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "storage/store.h"

static void drop(const struct image_store *store, const char *digest)
{
        AUTO_FREE char *path = store_blob_path(store, digest);

        (void)unlink(path); /* at worst it is found again */
}

bool store_document_good(const struct image_store *store, const char *digest, char **ret,
                         size_t *ret_len)
{
        struct err err = ERR_INIT;

        if (store_read_blob(store, digest, ret, ret_len, &err) == 0)
                return true;
        if (err.code == EINVAL) /* it could be read, and is something else */
                drop(store, digest);
        return false;
}

void store_drop_damaged(const struct image_store *store, const char *manifest, const char *message)
{
        static const char start[] = "layer ";
        AUTO(oci_manifest) struct oci_manifest *parsed = NULL;
        AUTO_FREE char *text = NULL, *digest = NULL;
        struct err ignored;
        size_t len;

        if (!has_prefix(message, start) || !store_document_good(store, manifest, &text, &len) ||
            oci_manifest_parse(text, len, manifest, &parsed, &ignored) < 0)
                return;
        digest = xstrndup(message + strlen(start), DIGEST_TEXT_MAX - 1);
        for (size_t i = 0; i < parsed->layers_len; i++)
                if (streq(parsed->layers[i].digest, digest)) {
                        drop(store, digest);
                        return;
                }
}
