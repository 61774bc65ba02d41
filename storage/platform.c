/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage/oci.h"

#define FITS_EXACTLY 10
#define ARM_DEFAULT  7 /* the variant of arm when none is said */

static const struct {
        const char *other, *architecture, *variant;
} names[] = {
        {"x86_64", "amd64", ""}, {"x86-64", "amd64", ""}, {"aarch64", "arm64", ""},
        {"armhf", "arm", "v7"},  {"armel", "arm", "v6"},  {"i386", "386", ""},
        {"i686", "386", ""},
};

static bool is_word(const char *text, size_t len, size_t max)
{
        return len > 0 && len < max &&
               strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-.") >= len;
}

static void copy(char *into, size_t size, const char *text, size_t len)
{
        (void)snprintf(into, size, "%.*s", (int)len, text); /* is_word() has seen that it fits */
}

int platform_parse(const char *text, struct platform *ret, struct err *err)
{
        size_t os, arch, variant;
        const char *rest;

        *ret = (struct platform){.os = "linux"};
        if (!text) {
                copy(ret->architecture, sizeof(ret->architecture), oci_architecture(), 31);
                return 0;
        }
        os = strcspn(text, "/");
        rest = text + os + (text[os] != '\0');
        arch = strcspn(rest, "/");
        variant = rest[arch] ? strlen(rest + arch + 1) : 0;
        if (!is_word(text, os, sizeof(ret->os)) ||
            !is_word(rest, arch, sizeof(ret->architecture)) ||
            (rest[arch] && !is_word(rest + arch + 1, variant, sizeof(ret->variant))))
                return err_set(
                        err, EINVAL,
                        "'%.60s' is not a platform; write it OS/ARCHITECTURE[/VARIANT], like "
                        "linux/arm64 or linux/arm/v7",
                        text);
        copy(ret->os, sizeof(ret->os), text, os);
        copy(ret->architecture, sizeof(ret->architecture), rest, arch);
        copy(ret->variant, sizeof(ret->variant), variant ? rest + arch + 1 : "", variant);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (!streq(ret->architecture, names[i].other))
                        continue;
                copy(ret->architecture, sizeof(ret->architecture), names[i].architecture, 31);
                if (!variant)
                        copy(ret->variant, sizeof(ret->variant), names[i].variant, 15);
        }
        return 0;
}

char *platform_text(const struct platform *platform)
{
        return xasprintf("%s/%s%s%s", platform->os, platform->architecture,
                         *platform->variant ? "/" : "", platform->variant);
}

bool platform_runs_here(const char *os, const char *architecture)
{
        return (!os || !*os || streq(os, "linux")) &&
               (!architecture || !*architecture || streq(architecture, oci_architecture()));
}

/* "v7" as 7; 0: none. */
static int level(const char *variant)
{
        return variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' ? variant[1] - '0' : 0;
}

static int variant_fits(const char *architecture, const char *wanted, const char *variant)
{
        int want = level(wanted), have = level(variant), plain = 0;

        if (streq(wanted, variant))
                return FITS_EXACTLY;
        if (streq(architecture, "arm64")) /* v8 is what all have */
                plain = 8;
        else if (streq(architecture, "amd64")) /* and v1 there */
                plain = 1;
        else if (streq(architecture, "arm") && !want)
                want = ARM_DEFAULT;
        want = want == plain ? 0 : want;
        have = have == plain ? 0 : have;
        if (have > want)
                return 0;
        return FITS_EXACTLY - (want - have);
}

int platform_fits(const struct platform *wanted, const char *os, const char *architecture,
                  const char *variant)
{
        if (!streq(wanted->os, os) || !streq(wanted->architecture, architecture))
                return 0;
        return variant_fits(architecture, wanted->variant, variant);
}
