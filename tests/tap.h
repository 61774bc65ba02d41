/* SPDX-License-Identifier: Apache-2.0 */
/* The Test Anything Protocol in a few functions. A test program ends with `return tap_done();`. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count, tap_failed;

/** One test point; on failure the place is printed. Evaluates to the condition. */
#define ok(cond, ...) tap_ok(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
#define is_int(a, b, ...) \
        tap_is_int((long long)(a), (long long)(b), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(a, b, ...)  tap_is_str((a), (b), __FILE__, __LINE__, __VA_ARGS__)
#define has_str(a, b, ...) tap_has_str((a), (b), __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 4, 5), unused)) static int tap_ok(int cond, const char *file,
                                                                int line, const char *fmt, ...)
{
        char name[512];
        __builtin_va_list ap;

        __builtin_va_start(ap, fmt);
        vsnprintf(name, sizeof(name), fmt, ap);
        __builtin_va_end(ap);
        for (char *p = name; *p; p++)
                if (*p == '#' || *p == '\n')
                        *p = ' ';
        printf("%sok %d - %s\n", cond ? "" : "not ", ++tap_count, name);
        if (!cond) {
                tap_failed++;
                printf("# failed at %s:%d\n", file, line);
        }
        fflush(stdout);
        return cond;
}

__attribute__((format(printf, 5, 6), unused)) static int
tap_is_int(long long a, long long b, const char *file, int line, const char *fmt, ...)
{
        char name[512];
        __builtin_va_list ap;

        __builtin_va_start(ap, fmt);
        vsnprintf(name, sizeof(name), fmt, ap);
        __builtin_va_end(ap);
        if (!tap_ok(a == b, file, line, "%s", name))
                printf("# got %lld, expected %lld\n", a, b);
        return a == b;
}

__attribute__((format(printf, 5, 6), unused)) static int
tap_is_str(const char *a, const char *b, const char *file, int line, const char *fmt, ...)
{
        int same = a && b ? strcmp(a, b) == 0 : a == b;
        char name[512];
        __builtin_va_list ap;

        __builtin_va_start(ap, fmt);
        vsnprintf(name, sizeof(name), fmt, ap);
        __builtin_va_end(ap);
        if (!tap_ok(same, file, line, "%s", name))
                printf("# got      '%s'\n# expected '%s'\n", a ? a : "(null)", b ? b : "(null)");
        return same;
}

__attribute__((format(printf, 5, 6), unused)) static int
tap_has_str(const char *a, const char *part, const char *file, int line, const char *fmt, ...)
{
        int has = a && strstr(a, part);
        char name[512];
        __builtin_va_list ap;

        __builtin_va_start(ap, fmt);
        vsnprintf(name, sizeof(name), fmt, ap);
        __builtin_va_end(ap);
        if (!tap_ok(has, file, line, "%s", name))
                printf("# got      '%s'\n# without  '%s'\n", a ? a : "(null)", part);
        return has;
}

/** A figure for people: a comment, which `make test` shows (BERTH_SUMMARY) while it runs. */
__attribute__((format(printf, 1, 2), unused)) static void tap_note(const char *fmt, ...)
{
#if defined(__SANITIZE_ADDRESS__)
        FILE *out = stdout; /* the same test is run without sanitizers, too */
#else
        FILE *out = getenv("BERTH_SUMMARY") ? stderr : stdout;
#endif
        __builtin_va_list ap;

        fflush(stdout);
        fputs("# ", out);
        __builtin_va_start(ap, fmt);
        vfprintf(out, fmt, ap);
        __builtin_va_end(ap);
        fputc('\n', out);
}

__attribute__((unused)) static int tap_done(void)
{
        printf("1..%d\n", tap_count);
        return tap_failed ? 1 : 0;
}

#endif
