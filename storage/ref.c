/* SPDX-License-Identifier: Apache-2.0 */
/* Image references as Docker writes them: [host[:port]/]path[:tag][@digest]. */
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/value.h"
#include "storage/image.h"

#define HOST_DEFAULT "docker.io"
#define NAME_MAX_LEN 255 /* host and path: what registries accept */
#define TAG_MAX      128
#define LOWER_DIGIT  "abcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER        "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static int bad(const char *ref, const char *why, struct err *err)
{
        return err_set(err, EINVAL, "'%.300s' is not an image reference: %s", ref, why);
}

/* [a-z0-9]+ ( (. | _ | __ | -+) [a-z0-9]+ )* */
static bool component_valid(const char *p, size_t len)
{
        size_t i = 0;

        for (;;) {
                size_t word = 0, sep = 0;

                while (i + word < len && strchr(LOWER_DIGIT, p[i + word]))
                        word++;
                if (word == 0)
                        return false;
                i += word;
                if (i == len)
                        return true;
                if (p[i] == '.')
                        sep = 1;
                else if (p[i] == '_')
                        sep = i + 1 < len && p[i + 1] == '_' ? 2 : 1;
                else
                        while (i + sep < len && p[i + sep] == '-')
                                sep++;
                if (sep == 0)
                        return false;
                i += sep;
        }
}

static int check_path(const char *ref, const char *path, struct err *err)
{
        if (strpbrk(path, UPPER))
                return bad(ref, "names are lower case", err);
        while (true) {
                size_t len = strcspn(path, "/");

                if (!component_valid(path, len))
                        return bad(ref, "a name is of a-z, 0-9 and single . _ - between them", err);
                if (!path[len])
                        return 0;
                path += len + 1;
        }
}

static int check_host(const char *ref, const char *host, struct err *err)
{
        const char *port = host[0] == '[' ? strchr(host, ']') : host;
        size_t len = strspn(host, "[]:." LOWER_DIGIT UPPER "-");
        struct err ignored;
        int64_t number;

        port = port ? strchr(port, ':') : NULL;
        if (host[len] || !strchr("[" LOWER_DIGIT UPPER, host[0]) ||
            (port && value_int(port + 1, 1, 65535, &number, &ignored) < 0))
                return bad(ref, "its registry is not HOST or HOST:PORT", err);
        return 0;
}

static bool is_host(const char *first)
{
        return strpbrk(first, ".:") || streq(first, "localhost");
}

static int check_tag(const char *ref, const char *tag, struct err *err)
{
        size_t len = strspn(tag, LOWER_DIGIT UPPER "_.-");

        if (!*tag || tag[len] || len > TAG_MAX || *tag == '.' || *tag == '-')
                return bad(ref,
                           "a tag has 1 to 128 of A-Z a-z 0-9 _ . - and begins with none of "
                           ". and -",
                           err);
        return 0;
}

/* Cut "@digest" and ":tag" off name; either may be NULL. */
static int split(const char *ref, char *name, const char **ret_tag, const char **ret_digest,
                 struct err *err)
{
        char *at = strchr(name, '@'), *slash, *colon;

        *ret_tag = *ret_digest = NULL;
        if (at) {
                *at = '\0';
                *ret_digest = at + 1;
                if (!digest_valid(at + 1))
                        return bad(ref, "behind @ stands 'sha256:' and 64 digits 0-9 a-f", err);
        }
        slash = strrchr(name, '/');
        colon = strrchr(slash ? slash : name, ':');
        if (colon) {
                *colon = '\0';
                *ret_tag = colon + 1;
                return check_tag(ref, colon + 1, err);
        }
        return 0;
}

int image_ref_normalise(const char *ref, char **ret, struct err *err)
{
        AUTO_FREE char *name = xstrndup(ref, 1024), *host = NULL;
        const char *tag, *digest, *path = name, *library = "";
        char *slash;
        int r;

        if (strlen(ref) > 1000 || !*ref)
                return bad(ref, *ref ? "too long" : "it is empty", err);
        r = split(ref, name, &tag, &digest, err);
        if (r < 0)
                return r;
        slash = strchr(name, '/');
        host = slash ? xstrndup(name, (size_t)(slash - name)) : xstrdup("");
        if (slash && is_host(host)) {
                path = slash + 1;
                r = check_host(ref, host, err);
        } else {
                free(host);
                host = xstrdup(HOST_DEFAULT);
        }
        if (r == 0)
                r = check_path(ref, path, err);
        if (r < 0)
                return r;
        if (streq(host, HOST_DEFAULT) && !strchr(path, '/'))
                library = "library/";
        if (strlen(host) + strlen(library) + strlen(path) + 1 > NAME_MAX_LEN)
                return bad(ref, "its name is longer than 255 bytes", err);
        if (!tag && !digest)
                tag = "latest";
        *ret = xasprintf("%s/%s%s%s%s%s%s", host, library, path, tag ? ":" : "", tag ? tag : "",
                         digest ? "@" : "", digest ? digest : "");
        return 0;
}

char *image_ref_familiar(const char *ref)
{
        const char *official = HOST_DEFAULT "/library/", *path = ref + strlen(HOST_DEFAULT "/");
        AUTO_FREE char *first = NULL;

        /* What is left must mean the same when it is read again. */
        if (has_prefix(ref, official) && !strchr(ref + strlen(official), '/'))
                return xstrdup(ref + strlen(official));
        if (!has_prefix(ref, HOST_DEFAULT "/"))
                return xstrdup(ref);
        first = xstrndup(path, strcspn(path, "/"));
        return xstrdup(is_host(first) ? ref : path);
}
