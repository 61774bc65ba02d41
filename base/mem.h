/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small allocations. They abort when memory is out: the daemon is crash-only and VMs outlive it.
 * Sizes that come from outside are bounded by the caller before they are allocated.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

/** Zeroed memory for n objects of size bytes; never NULL (n * size is checked for overflow). */
void *xcalloc(size_t n, size_t size) __attribute__((malloc));

/** One zeroed object of the type. */
#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

/** realloc() to n objects of size bytes; new bytes are not cleared. */
void *xreallocarray(void *p, size_t n, size_t size);

/** Copies; s may be NULL (then NULL). The caller frees. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
void *xmemdup(const void *p, size_t n);

/** Formatted string; the caller frees. */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/**
 * Make room for one more element behind *len: array_push(&a->items, &a->len) returns a zeroed slot.
 * Capacity grows in powers of two and is derived from *len, so no third field is needed.
 */
#define array_push(items, len) \
        ((__typeof__(*(items)))array_push_((void **)(items), (len), sizeof(**(items))))
void *array_push_(void **items, size_t *len, size_t size);

/** Equality of strings that may be NULL. */
int streq(const char *a, const char *b);

/** Whether s begins with prefix. Both not NULL. */
int has_prefix(const char *s, const char *prefix);

/** Stop the program: a state that cannot happen did. */
#define bug(why) bug_at((why), __FILE__, __LINE__)
void bug_at(const char *why, const char *file, int line) __attribute__((noreturn));

#endif
