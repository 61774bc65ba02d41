/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error: a code for programs, one line of text for people. It lives on the caller's stack, so it
 * needs no allocation and nothing to free. Functions that can fail take it as their last argument:
 *   0 done; > 0 an outcome their contract names; < 0 failed, err filled, forwarded unchanged.
 * Text is lower case, without a full stop, and names the thing, the cause and the way out.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>

struct err {
        int code;         /* an errno value: EINVAL bad input, ENOENT unknown, EEXIST taken, ... */
        const char *file; /* where it was set: for logs, never for users */
        int line;
        char msg[512];
};

#define ERR_INIT             \
        {                    \
                0, "", 0, "" \
        }

/**
 * Fill err with a code and a formatted text.
 * code: an errno value > 0. err: may be NULL, then only the return value tells.
 * Always returns -code, so that callers can write `return err_set(...)`.
 */
#define err_set(err, code, ...) err_set_at((err), (code), __FILE__, __LINE__, __VA_ARGS__)

/** As err_set(), with ": " and strerror(code) behind the text. */
#define err_errno(err, code, ...) err_errno_at((err), (code), __FILE__, __LINE__, __VA_ARGS__)

/** Behind the two macros: as they say, with the place given. Call the macros. */
int err_set_at(struct err *err, int code, const char *file, int line, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));
int err_errno_at(struct err *err, int code, const char *file, int line, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));

/**
 * Put context in front of the text of a filled err: "pull alpine: 401 from registry".
 * Returns -err->code.
 */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* It looks at one file at a time: without these it follows paths on which an error is not below 0.
 */
static inline int err_is_negative_(int r)
{
        if (r >= 0)
                __builtin_unreachable();
        return r;
}

#        undef err_set
#        undef err_errno
#        define err_set(err, code, ...) \
                err_is_negative_(err_set_at((err), (code), __FILE__, __LINE__, __VA_ARGS__))
#        define err_errno(err, code, ...) \
                err_is_negative_(err_errno_at((err), (code), __FILE__, __LINE__, __VA_ARGS__))
#endif

#endif
