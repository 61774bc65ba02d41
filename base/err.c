/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void __attribute__((format(printf, 5, 0)))
err_fill(struct err *err, int code, const char *file, int line, const char *fmt, va_list ap)
{
        err->code = code;
        err->file = file;
        err->line = line;
        (void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap); /* a long text is cut, on purpose */
}

int err_set_at(struct err *err, int code, const char *file, int line, const char *fmt, ...)
{
        if (err) {
                va_list ap;

                va_start(ap, fmt);
                err_fill(err, code, file, line, fmt, ap);
                va_end(ap);
        }
        return -code;
}

int err_errno_at(struct err *err, int code, const char *file, int line, const char *fmt, ...)
{
        if (err) {
                char reason[128];
                size_t used;
                va_list ap;

                va_start(ap, fmt);
                err_fill(err, code, file, line, fmt, ap);
                va_end(ap);
                used = strlen(err->msg);
                (void)snprintf(err->msg + used, sizeof(err->msg) - used, ": %s",
                               strerror_r(code, reason, sizeof(reason)));
        }
        return -code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
        char inner[sizeof(err->msg)];
        size_t used;
        va_list ap;

        if (!err)
                return -EIO;
        memcpy(inner, err->msg, sizeof(inner));
        va_start(ap, fmt);
        (void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
        used = strlen(err->msg);
        (void)snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", inner);
        return -err->code;
}
