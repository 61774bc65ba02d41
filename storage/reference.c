/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/reference.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/image.h"

void reference_free(struct reference *reference)
{
        if (!reference)
                return;
        free(reference->text);
        free(reference->host);
        free(reference->path);
        free(reference->tag);
        free(reference->digest);
        free(reference);
}

int reference_parse(const char *text, struct reference **ret, struct err *err)
{
        AUTO(reference) struct reference *reference = xnew(struct reference);
        const char *path, *end, *at, *colon;
        int r = image_ref_normalise(text, &reference->text, err);

        if (r < 0)
                return r;
        path = strchr(reference->text, '/') + 1; /* a normalised one begins with its host */
        at = strchr(path, '@');
        end = at ? at : path + strlen(path);
        colon = memchr(path, ':', (size_t)(end - path));
        reference->host = xstrndup(reference->text, (size_t)(path - 1 - reference->text));
        reference->path = xstrndup(path, (size_t)((colon ? colon : end) - path));
        if (colon)
                reference->tag = xstrndup(colon + 1, (size_t)(end - colon - 1));
        if (at)
                reference->digest = xstrdup(at + 1);
        *ret = STEAL(reference);
        return 0;
}
