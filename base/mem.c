/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void out_of_memory(void) __attribute__((noreturn));

static void out_of_memory(void)
{
        static const char text[] = "berth: out of memory\n";

        (void)fwrite(text, 1, sizeof(text) - 1, stderr); /* nothing better is left to do */
        abort();
}

void *xcalloc(size_t n, size_t size)
{
        void *p = calloc(n ? n : 1, size ? size : 1);

        if (!p)
                out_of_memory();
        return p;
}

void *xreallocarray(void *p, size_t n, size_t size)
{
        void *q = reallocarray(p, n ? n : 1, size ? size : 1);

        if (!q)
                out_of_memory();
        return q;
}

char *xstrdup(const char *s)
{
        return s ? xstrndup(s, strlen(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
        char *p;

        if (!s)
                return NULL;
        p = strndup(s, n);
        if (!p)
                out_of_memory();
        return p;
}

void *xmemdup(const void *p, size_t n)
{
        void *q = xcalloc(1, n);

        if (n)
                memcpy(q, p, n);
        return q;
}

char *xvasprintf(const char *fmt, va_list ap)
{
        char *s = NULL;

        if (vasprintf(&s, fmt, ap) < 0)
                out_of_memory();
        return s;
}

char *xasprintf(const char *fmt, ...)
{
        va_list ap;
        char *s;

        va_start(ap, fmt);
        s = xvasprintf(fmt, ap);
        va_end(ap);
        return s;
}

void *array_push_(void **items, size_t *len, size_t size)
{
        size_t n = *len;
        char *slot;

        if ((n & (n - 1)) == 0) /* 0 or a power of two: the array is full */
                *items = xreallocarray(*items, n ? 2 * n : 1, size);
        slot = (char *)*items + n * size;
        memset(slot, 0, size);
        *len = n + 1;
        return slot;
}

int streq(const char *a, const char *b)
{
        if (!a || !b)
                return a == b;
        return strcmp(a, b) == 0;
}

int has_prefix(const char *s, const char *prefix)
{
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

void bug_at(const char *why, const char *file, int line)
{
        (void)fprintf(stderr, "berth: bug: %s (%s:%d)\n", why, file, line);
        abort();
}
