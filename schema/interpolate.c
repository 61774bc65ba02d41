/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/interpolate.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define NAME_FIRST "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define NAME_CHARS NAME_FIRST "0123456789"

static int expand(const struct interpolation *in, const char *text, unsigned depth,
                  struct strbuf *out, struct err *err);

size_t interpolate_name_len(const char *s)
{
        return *s && strchr(NAME_FIRST, *s) ? strspn(s, NAME_CHARS) : 0;
}

/* The brace that closes the one before s; NULL when there is none. */
static const char *closing_brace(const char *s)
{
        unsigned open = 1;

        for (; *s; s++) {
                if (s[0] == '$' && s[1] == '$') {
                        s++;
                } else if (s[0] == '$' && s[1] == '{') {
                        open++;
                        s++;
                } else if (*s == '}' && --open == 0) {
                        return s;
                }
        }
        return NULL;
}

static int refuse_format(struct err *err, const char *text)
{
        return err_set(err, EINVAL,
                       "'%.60s' is not a variable; write ${NAME} or ${NAME:-default}, or $$ for a "
                       "dollar sign",
                       text);
}

static int add_value(const struct interpolation *in, const char *name, struct strbuf *out)
{
        const char *value = env_get(in->env, name);

        if (value)
                strbuf_adds(out, value);
        else if (in->on_unset)
                in->on_unset(in->arg, name);
        return 0;
}

static int refuse_missing(const struct interpolation *in, const char *name, const char *operand,
                          unsigned depth, struct err *err)
{
        AUTO_STRBUF struct strbuf message = STRBUF_INIT(INTERPOLATE_MAX);
        int r = expand(in, operand, depth + 1, &message, err);

        if (r < 0)
                return r;
        if (in->on_missing)
                in->on_missing(in->arg, name);
        return err_set(err, EINVAL,
                       "required variable %.60s is missing a value%s%.300s; set it in the "
                       "environment or in .env",
                       name, message.len ? ": " : "", strbuf_str(&message));
}

/* What stands between the braces: a name and perhaps an operator with its operand. */
static int expand_braces(const struct interpolation *in, const char *body, unsigned depth,
                         struct strbuf *out, struct err *err)
{
        size_t n = interpolate_name_len(body);
        AUTO_FREE char *name = xstrndup(body, n);
        const char *op = body + n;
        bool colon = *op == ':';
        const char *operand, *value;
        bool given;

        if (n == 0)
                return refuse_format(err, body);
        if (!*op)
                return add_value(in, name, out);
        op += colon;
        operand = *op ? op + 1 : op;
        value = env_get(in->env, name);
        given = value && (!colon || *value);
        switch (*op) {
        case '-':
                if (!given)
                        return expand(in, operand, depth + 1, out, err);
                strbuf_adds(out, value);
                return 0;
        case '+':
                return given ? expand(in, operand, depth + 1, out, err) : 0;
        case '?':
                if (!given)
                        return refuse_missing(in, name, operand, depth, err);
                strbuf_adds(out, value);
                return 0;
        default:
                return refuse_format(err, body);
        }
}

/* One $ and what belongs to it; *p moves behind. */
static int expand_dollar(const struct interpolation *in, const char **p, unsigned depth,
                         struct strbuf *out, struct err *err)
{
        const char *s = *p + 1;
        size_t n = interpolate_name_len(s);

        if (*s == '{') {
                const char *end = closing_brace(s + 1);
                AUTO_FREE char *body = end ? xstrndup(s + 1, (size_t)(end - s - 1)) : NULL;

                if (!end)
                        return refuse_format(err, *p);
                *p = end + 1;
                return expand_braces(in, body, depth, out, err);
        }
        if (n > 0) {
                AUTO_FREE char *name = xstrndup(s, n);

                *p = s + n;
                return add_value(in, name, out);
        }
        strbuf_addc(out, '$');
        *p = *s == '$' ? s + 1 : s;
        return 0;
}

static int expand(const struct interpolation *in, const char *text, unsigned depth,
                  struct strbuf *out, struct err *err)
{
        if (depth > INTERPOLATE_DEPTH_MAX)
                return err_set(err, EINVAL, "variables nested deeper than %d",
                               INTERPOLATE_DEPTH_MAX);
        while (*text) {
                size_t plain = strcspn(text, "$");
                int r;

                strbuf_add(out, text, plain);
                text += plain;
                if (!*text)
                        break;
                r = expand_dollar(in, &text, depth, out, err);
                if (r < 0)
                        return r;
        }
        if (strbuf_failed(out))
                return err_set(err, EINVAL, "the text grows beyond %d bytes by its variables",
                               INTERPOLATE_MAX);
        return 0;
}

int interpolate(const struct interpolation *in, const char *text, char **ret, struct err *err)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(INTERPOLATE_MAX);
        int r;

        if (!strchr(text, '$'))
                return 1;
        r = expand(in, text, 0, &out, err);
        if (r == 0)
                *ret = strbuf_take(&out);
        return r;
}
