/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/image_uses.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/daemon.h"
#include "storage/image.h"

#define NOTE_MAX (16u << 20)

static void add(char ***digests, size_t *len, const char *digest)
{
        for (size_t i = 0; i < *len; i++)
                if (streq((*digests)[i], digest))
                        return;
        *array_push(digests, len) = xstrdup(digest);
}

/* What must stay whatever names mean by now. */
static char **pinned(const struct daemon *d, size_t *ret_len)
{
        char **digests = NULL;

        *ret_len = 0;
        for (size_t i = 0; i < d->instances_len; i++)
                if (digest_valid(d->instances[i]->digest))
                        add(&digests, ret_len, d->instances[i]->digest);
        for (size_t i = 0; i < d->desired_len; i++)
                for (size_t k = 0; k < d->desired[i]->stack->services_len; k++) {
                        const char *image = desired_image(d->desired[i], k);
                        const char *at = image ? strchr(image, '@') : NULL;

                        if (at && digest_valid(at + 1))
                                add(&digests, ret_len, at + 1);
                }
        return digests;
}

char **image_uses(const struct daemon *d, size_t *ret_len)
{
        char **digests = pinned(d, ret_len);

        for (size_t i = 0; i < d->desired_len; i++)
                for (size_t k = 0; k < d->desired[i]->stack->services_len; k++) {
                        const char *ref = d->desired[i]->stack->services[k].image;
                        AUTO(image) struct image *image = NULL;
                        struct err ignored;

                        if (ref && image_find(d->image_store, ref, &image, &ignored) == 0)
                                add(&digests, ret_len, image->digest);
                }
        return digests;
}

void image_uses_free(char **digests, size_t len)
{
        for (size_t i = 0; i < len; i++)
                free(digests[i]);
        free(digests);
}

void image_uses_note(struct daemon *d)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(NOTE_MAX);
        struct err err = ERR_INIT;
        size_t len;
        char **digests = pinned(d, &len);

        for (size_t i = 0; i < len; i++)
                strbuf_addf(&text, "%s\n", digests[i]);
        if (!d->images_noted || !streq(d->images_noted, strbuf_str(&text))) {
                if (image_store_use(d->image_store, d->roots.state, (const char *const *)digests,
                                    len, &err) < 0) {
                        log_warn("images", "", "cannot note what is in use: %s", err.msg);
                } else {
                        free(d->images_noted);
                        d->images_noted = xstrdup(strbuf_str(&text));
                }
        }
        image_uses_free(digests, len);
}
