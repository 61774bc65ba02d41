/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string that grows up to a maximum given at init. Errors are sticky: append freely, ask
 * strbuf_failed() once at the end. Content is always NUL-terminated and may hold NUL bytes.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
        char *data; /* never NULL after an append; use strbuf_str() before */
        size_t len;
        size_t cap;
        size_t max; /* bytes, without the final NUL */
        bool overflow;
};

#define STRBUF_INIT(max)                 \
        {                                \
                NULL, 0, 0, (max), false \
        }
#define AUTO_STRBUF __attribute__((cleanup(strbuf_release)))

/** Free the content; the buffer can be used again. Safe on a zeroed one. */
void strbuf_release(struct strbuf *sb);

/** Forget the content and the error, keep the memory. */
void strbuf_reset(struct strbuf *sb);

/** Append n bytes, a string, a character, a formatted text. Past max nothing is added any more. */
void strbuf_add(struct strbuf *sb, const void *data, size_t n);
void strbuf_adds(struct strbuf *sb, const char *s);
void strbuf_addc(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_addv(struct strbuf *sb, const char *fmt, va_list ap)
        __attribute__((format(printf, 2, 0)));

/** Room for n bytes behind the content, to be written and then counted. NULL: past max, as above.
 */
void *strbuf_room(struct strbuf *sb, size_t n);
void strbuf_filled(struct strbuf *sb, size_t n);

/** Drop n bytes from the front (n <= len). */
void strbuf_consume(struct strbuf *sb, size_t n);

/** The content as a string, "" when empty. Valid until the next append. */
const char *strbuf_str(const struct strbuf *sb);

/** Take the content as a heap string (never NULL); the buffer is empty afterwards. */
char *strbuf_take(struct strbuf *sb);

/** Whether something did not fit. */
bool strbuf_failed(const struct strbuf *sb);

#endif
