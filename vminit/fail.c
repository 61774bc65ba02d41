/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 4, 0))) static void format(struct fail *f, int code, int status,
                                                         const char *fmt, va_list args)
{
        *f = (struct fail){.code = code ? code : EINVAL, .status = status};
        (void)vsnprintf(f->text, sizeof(f->text), fmt, args); /* a cut text is still a text */
}

int fail_set(struct fail *f, int code, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        format(f, code, 125, fmt, args);
        va_end(args);
        size_t len = strlen(f->text);
        if (code)
                (void)snprintf(f->text + len, sizeof(f->text) - len, ": %s", strerror(code));
        return -f->code;
}

int fail_status(struct fail *f, int code, int status, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        format(f, code, status, fmt, args);
        va_end(args);
        return -f->code;
}
