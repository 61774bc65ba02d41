/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/dotenv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/interpolate.h"

struct dotenv {
        const char *path;
        const char *p; /* what is left */
        struct mark mark;
        bool raw, failed;
        struct env *env;
        struct diags *diags;
};

static void refuse(struct dotenv *d, const char *what)
{
        diags_add(d->diags, DIAG_BAD_FILE, &d->mark, d->path, "%s", what);
        d->failed = true;
}

static void on_unset(void *arg, const char *name)
{
        struct dotenv *d = arg;

        diags_add_about(d->diags, DIAG_UNSET_VARIABLE, &d->mark, d->path, name,
                        "variable %s is not set; an empty text is used", name);
}

static void skip_line(struct dotenv *d)
{
        d->p += strcspn(d->p, "\n");
}

static bool key_char(char c)
{
        return isalnum((unsigned char)c) || (c && strchr("_.-[]", c));
}

/* The text up to the quote, which may stand some lines below; NULL when it is missing. */
static char *take_quoted(struct dotenv *d, char quote)
{
        AUTO_STRBUF struct strbuf value = STRBUF_INIT(DOTENV_SIZE_MAX);

        for (d->p++; *d->p != quote; d->p++) {
                if (!*d->p)
                        return NULL;
                if (*d->p == '\n')
                        d->mark.line++;
                if (d->p[0] == '\\' && (quote == '"' ? d->p[1] != '\0' : d->p[1] == quote)) {
                        if (quote == '"')
                                strbuf_addc(&value, '\\');
                        d->p++;
                }
                strbuf_addc(&value, *d->p);
        }
        d->p++;
        return strbuf_take(&value);
}

/* Escapes of a double-quoted value. A \$ becomes $$, which interpolation turns into $. */
static char *unescape(const char *s)
{
        static const char from[] = "nrtabfv", to[] = "\n\r\t\a\b\f\v";
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(2 * DOTENV_SIZE_MAX);

        for (; *s; s++) {
                const char *at;

                if (*s != '\\' || !s[1]) {
                        strbuf_addc(&out, *s);
                        continue;
                }
                s++;
                at = strchr(from, *s);
                if (at)
                        strbuf_addc(&out, to[at - from]);
                else if (*s == '$')
                        strbuf_adds(&out, "$$");
                else if (*s == '\\' || *s == '"')
                        strbuf_addc(&out, *s);
                else
                        strbuf_addf(&out, "\\%c", *s);
        }
        return strbuf_take(&out);
}

static char *take_unquoted(struct dotenv *d)
{
        size_t n = strcspn(d->p, "\r\n");
        char *value;

        for (const char *p = d->p; p < d->p + n; p++) /* COLOR=#fff is no comment */
                if (*p == '#' && (p[-1] == ' ' || p[-1] == '\t'))
                        n = (size_t)(p - d->p);
        while (n > 0 && (d->p[n - 1] == ' ' || d->p[n - 1] == '\t'))
                n--;
        value = xstrndup(d->p, n);
        skip_line(d);
        return value;
}

static char *expand(struct dotenv *d, char *text)
{
        struct interpolation in = {.env = d->env, .on_unset = on_unset, .arg = d};
        struct err err = ERR_INIT;
        char *value = NULL;
        int r = interpolate(&in, text, &value, &err);

        if (r == 1)
                return text;
        if (r < 0)
                refuse(d, err.msg);
        free(text);
        return r < 0 ? NULL : value;
}

static char *take_value(struct dotenv *d)
{
        unsigned line = d->mark.line;
        char *value;

        if (d->raw) {
                value = xstrndup(d->p, strcspn(d->p, "\r\n"));
                skip_line(d);
                return value;
        }
        d->p += strspn(d->p, " \t");
        if (*d->p != '\'' && *d->p != '"')
                return expand(d, take_unquoted(d));
        if (*d->p == '\'') {
                value = take_quoted(d, '\'');
        } else {
                AUTO_FREE char *quoted = take_quoted(d, '"');

                value = quoted ? expand(d, unescape(quoted)) : NULL;
                if (quoted && !value)
                        return NULL;
        }
        if (!value) {
                d->mark.line = line;
                refuse(d, "the quote of this value is not closed");
        } else {
                skip_line(d);
        }
        return value;
}

static void read_line(struct dotenv *d)
{
        AUTO_FREE char *key = NULL;
        AUTO_FREE char *value = NULL;
        const struct mark mark = d->mark; /* a value may span lines */
        size_t n = 0;

        if (has_prefix(d->p, "export ") || has_prefix(d->p, "export\t"))
                d->p += strlen("export ");
        d->p += strspn(d->p, " \t");
        while (key_char(d->p[n]))
                n++;
        key = xstrndup(d->p, n);
        d->p += n;
        d->p += strspn(d->p, " \t\r");
        if (n == 0 || (*d->p != '=' && *d->p != ':' && *d->p != '\n' && *d->p != '\0')) {
                refuse(d, n ? "a key cannot hold this character; write KEY=VALUE"
                            : "no key; write KEY=VALUE, or # before a comment");
                skip_line(d);
                return;
        }
        if (*d->p == '\n' || *d->p == '\0') {
                const char *inherited = env_get(d->env, key);

                if (inherited)
                        env_set_at(d->env, key, inherited, &mark);
                return;
        }
        d->p++;
        value = take_value(d);
        if (value && !isdigit((unsigned char)key[0]))
                env_set_at(d->env, key, value, &mark);
}

int dotenv_read(const char *file, const char *path, const char *text, bool raw, struct env *env,
                struct diags *diags)
{
        struct dotenv d = {.path = path,
                           .p = text,
                           .mark = {file, 1, 1},
                           .raw = raw,
                           .env = env,
                           .diags = diags};

        if (has_prefix(d.p, "\xef\xbb\xbf"))
                d.p += 3;
        for (;;) {
                d.p += strspn(d.p, " \t\r");
                if (*d.p == '\n') {
                        d.mark.line++;
                        d.p++;
                } else if (*d.p == '#') {
                        skip_line(&d);
                } else if (!*d.p) {
                        break;
                } else if (env->vars.len >= DOTENV_VARS_MAX) {
                        refuse(&d, "too many variables in one file");
                        break;
                } else {
                        read_line(&d);
                }
        }
        return d.failed ? -EINVAL : 0;
}
