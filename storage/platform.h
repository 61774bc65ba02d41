/* SPDX-License-Identifier: Apache-2.0 */
/* What an image is made for: "linux/amd64", "linux/arm/v7". */
#ifndef STORAGE_PLATFORM_H
#define STORAGE_PLATFORM_H

#include <stdbool.h>

#include "base/err.h"

struct platform {
        char os[32], architecture[32], variant[16]; /* variant "": none was said */
};

/** OS/ARCHITECTURE[/VARIANT], also by the names that uname has; NULL: of VMs here. EINVAL. */
int platform_parse(const char *text, struct platform *ret, struct err *err);

/** As text, on the heap. */
char *platform_text(const struct platform *platform);

/** Whether VMs here run it; an image that does not say what it is for is taken to be. */
bool platform_runs_here(const char *os, const char *architecture);

/**
 * How well an image of that platform does for who wants one: 0 not at all, more is better. Newer
 * variants run older ones: arm/v7 takes v6 and v5. Who says no variant gets the one that all have.
 */
int platform_fits(const struct platform *wanted, const char *os, const char *architecture,
                  const char *variant);

#endif
