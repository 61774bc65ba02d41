/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "storage/image.h"
#include "tests/tap.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
        const char *ref;
        const char *normal; /* NULL: refused */
        const char *familiar;
} cases[] = {
        {"redis", "docker.io/library/redis:latest", "redis:latest"},
        {"redis:7", "docker.io/library/redis:7", "redis:7"},
        {"me/app", "docker.io/me/app:latest", "me/app:latest"},
        {"docker.io/redis", "docker.io/library/redis:latest", "redis:latest"},
        {"localhost/app:1", "localhost/app:1", "localhost/app:1"},
        {"localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000/a/b:latest"},
        {"quay.io/x/y:v1.2_3-4", "quay.io/x/y:v1.2_3-4", "quay.io/x/y:v1.2_3-4"},
        {"[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"},
        {"a.b__c-d---e", "docker.io/library/a.b__c-d---e:latest", "a.b__c-d---e:latest"},
        {"x@sha256:" HEX, "docker.io/library/x@sha256:" HEX, "x@sha256:" HEX},
        {"x:1@sha256:" HEX, "docker.io/library/x:1@sha256:" HEX, "x:1@sha256:" HEX},
        {"docker.io/a.b/c:1", "docker.io/a.b/c:1", "docker.io/a.b/c:1"},
        {"library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"},
        {"", NULL, NULL},
        {" ", NULL, NULL},
        {"a b", NULL, NULL},
        {"::", NULL, NULL},
        {"a/", NULL, NULL},
        {"/a", NULL, NULL},
        {"a//b", NULL, NULL},
        {"Redis", NULL, NULL},
        {"a..b", NULL, NULL},
        {"a___b", NULL, NULL},
        {"-a", NULL, NULL},
        {"a-", NULL, NULL},
        {"../a", NULL, NULL},
        {"a:", NULL, NULL},
        {"a:.x", NULL, NULL},
        {"a:-x", NULL, NULL},
        {"a:x/y:", NULL, NULL},
        {"a@md5:0123", NULL, NULL},
        {"a@sha256:0123", NULL, NULL},
        {"a@sha256:" HEX "0", NULL, NULL},
        {"h.x:0/a", NULL, NULL},
        {"h.x:70000/a", NULL, NULL},
        {"h.x:port/a", NULL, NULL},
        {"a\n", NULL, NULL},
};

int main(void)
{
        AUTO_FREE char *tag = xcalloc(1, 200), *out = NULL;
        struct err err = ERR_INIT;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *normal = NULL, *familiar = NULL;
                int r = image_ref_normalise(cases[i].ref, &normal, &err);

                is_str(normal, cases[i].normal, "'%s'", cases[i].ref);
                is_int(r, cases[i].normal ? 0 : -EINVAL, "'%s': outcome", cases[i].ref);
                if (!normal)
                        continue;
                familiar = image_ref_familiar(normal);
                is_str(familiar, cases[i].familiar, "'%s': familiar", cases[i].ref);
        }
        memcpy(tag, "a:", 2);
        memset(tag + 2, 't', 128);
        is_int(image_ref_normalise(tag, &out, &err), 0, "a tag of 128");
        tag[130] = 't';
        is_int(image_ref_normalise(tag, &out, &err), -EINVAL, "a tag of 129");
        (void)image_ref_normalise("REDIS", &out, &err);
        has_str(err.msg, "lower case", "the hint");
        return tap_done();
}
