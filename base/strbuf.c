/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"

void strbuf_release(struct strbuf *sb)
{
        free(sb->data);
        sb->data = NULL;
        sb->len = sb->cap = 0;
        sb->overflow = false;
}

void strbuf_reset(struct strbuf *sb)
{
        sb->len = 0;
        sb->overflow = false;
        if (sb->data)
                sb->data[0] = '\0';
}

/* Room for n more bytes and a NUL; false (and sticky) past the maximum. */
static bool strbuf_grow(struct strbuf *sb, size_t n)
{
        size_t want;

        if (sb->overflow || n > sb->max - sb->len) {
                sb->overflow = true;
                return false;
        }
        want = sb->len + n + 1;
        if (want > sb->cap) {
                size_t cap = sb->cap ? sb->cap : 64;

                while (cap < want)
                        cap *= 2;
                sb->data = xreallocarray(sb->data, cap, 1);
                sb->cap = cap;
        }
        return true;
}

void strbuf_add(struct strbuf *sb, const void *data, size_t n)
{
        if (!strbuf_grow(sb, n))
                return;
        if (n)
                memcpy(sb->data + sb->len, data, n);
        sb->len += n;
        sb->data[sb->len] = '\0';
}

void strbuf_adds(struct strbuf *sb, const char *s)
{
        strbuf_add(sb, s, strlen(s));
}

void strbuf_addc(struct strbuf *sb, char c)
{
        strbuf_add(sb, &c, 1);
}

void strbuf_addv(struct strbuf *sb, const char *fmt, va_list ap)
{
        va_list again;
        int n;

        va_copy(again, ap);
        n = vsnprintf(NULL, 0, fmt, ap);
        assert(n >= 0);
        if (strbuf_grow(sb, (size_t)n)) {
                (void)vsnprintf(sb->data + sb->len, (size_t)n + 1, fmt, again); /* fits: measured */
                sb->len += (size_t)n;
        }
        va_end(again);
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        strbuf_addv(sb, fmt, ap);
        va_end(ap);
}

void *strbuf_room(struct strbuf *sb, size_t n)
{
        return strbuf_grow(sb, n) ? sb->data + sb->len : NULL;
}

void strbuf_filled(struct strbuf *sb, size_t n)
{
        assert(n < sb->cap - sb->len);
        sb->len += n;
        sb->data[sb->len] = '\0';
}

void strbuf_consume(struct strbuf *sb, size_t n)
{
        assert(n <= sb->len);
        if (n == 0)
                return;
        memmove(sb->data, sb->data + n, sb->len - n);
        sb->len -= n;
        sb->data[sb->len] = '\0';
}

const char *strbuf_str(const struct strbuf *sb)
{
        return sb->data ? sb->data : "";
}

char *strbuf_take(struct strbuf *sb)
{
        char *s = sb->data ? STEAL(sb->data) : xstrdup("");

        strbuf_release(sb);
        return s;
}

bool strbuf_failed(const struct strbuf *sb)
{
        return sb->overflow;
}
