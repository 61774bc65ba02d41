/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/words.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"

/* As long as a file may be: a word cannot be longer. */
#define WORD_MAX (16 * 1024 * 1024)

struct splitter {
        struct strbuf word;
        bool in_word;
        char quote; /* that is open, or 0 */
        struct str_list *list;
};

static void end_word(struct splitter *s)
{
        char **slot;

        if (!s->in_word)
                return;
        slot = array_push(&s->list->items, &s->list->len);
        *slot = strbuf_take(&s->word);
        s->in_word = false;
}

static void add_char(struct splitter *s, char c)
{
        strbuf_addc(&s->word, c);
        s->in_word = true;
}

/* Inside quotes; returns the last character that was used. */
static const char *step_quoted(struct splitter *s, const char *p)
{
        if (*p == s->quote) {
                s->quote = 0;
        } else if (*p == '\\' && s->quote == '"' && p[1] && strchr("\"\\$`", p[1])) {
                add_char(s, *++p);
        } else {
                add_char(s, *p);
        }
        return p;
}

/* Outside; NULL at an operator. */
static const char *step_plain(struct splitter *s, const char *p)
{
        if (strchr(" \t\r\n", *p)) {
                end_word(s);
        } else if (*p == '\'' || *p == '"') {
                s->quote = *p;
                s->in_word = true;
        } else if (*p == '\\' && p[1]) {
                add_char(s, *++p);
        } else if (strchr(";&|<>", *p)) {
                return NULL;
        } else {
                add_char(s, *p);
        }
        return p;
}

int words_split(const char *text, struct str_list *list, const char **ret_operator, struct err *err)
{
        struct splitter s = {.word = STRBUF_INIT(WORD_MAX), .list = list};
        const char *p;

        for (p = text; *p; p++) {
                const char *next = s.quote ? step_quoted(&s, p) : step_plain(&s, p);

                if (!next)
                        break;
                p = next;
        }
        end_word(&s);
        strbuf_release(&s.word);
        if (s.quote)
                return err_set(err, EINVAL, "the quote %c is not closed", s.quote);
        if (!*p)
                return 0;
        *ret_operator = p;
        return 1;
}
