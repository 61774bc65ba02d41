/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of strings for field tables: what is wrong, and what to write. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"
#include "schema/kinds.h"

#define HOSTNAME_MAX 63

/* The nearest good name: lower case, other characters as dashes. */
static const char *name_proposal(struct arena *arena, const char *text)
{
        char *copy = arena_strndup(arena, text, strnlen(text, 63));
        char *out = copy;

        for (const char *p = copy; *p; p++) {
                char c = (char)tolower((unsigned char)*p);

                if (isalnum((unsigned char)c) || c == '_' || c == '-')
                        *out++ = c;
                else if (out != copy && (c == '.' || c == ' '))
                        *out++ = '-';
                while (out > copy && !isalnum((unsigned char)copy[0]))
                        memmove(copy, copy + 1, (size_t)(out-- - copy));
        }
        *out = '\0';
        return copy;
}

void check_name(struct reader *r, const struct node *node, const char *text)
{
        const char *proposal;

        if (value_name_valid(text))
                return;
        proposal = name_proposal(r->arena, text);
        reader_error(r, &node->mark,
                     "'%.70s' is not a name; use a-z, 0-9, _ and -, a letter or digit first, at "
                     "most 63%s%s%s",
                     text, proposal[0] ? ", such as '" : "", proposal, proposal[0] ? "'" : "");
}

void check_object_name(struct reader *r, const struct node *node, const char *text)
{
        size_t n = strlen(text);

        if (n == 0 || n > 128 || !isalnum((unsigned char)text[0]) ||
            strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != n)
                reader_error(r, &node->mark,
                             "'%.70s' is not a name; use letters, digits, _ . and -, a letter or "
                             "digit first, at most 128",
                             text);
}

void check_absolute(struct reader *r, const struct node *node, const char *text)
{
        if (text[0] != '/')
                reader_error(r, &node->mark, "'%.80s' is not an absolute path; begin it with /",
                             text);
}

void check_hostname(struct reader *r, const struct node *node, const char *text)
{
        size_t n = strlen(text);
        bool good = n > 0 && n <= 253 && text[0] != '-' && text[0] != '.';

        for (size_t i = 0, label = 0; i < n && good; i++) {
                label = text[i] == '.' ? 0 : label + 1;
                good = label <= HOSTNAME_MAX &&
                       (isalnum((unsigned char)text[i]) || strchr("-_.", text[i]));
        }
        if (!good)
                reader_error(r, &node->mark,
                             "'%.70s' is not a host name; use letters, digits, - and .", text);
}

void check_ip4(struct reader *r, const struct node *node, const char *text)
{
        struct err err = ERR_INIT;
        uint32_t ip = 0;

        if (value_ip4(text, &ip, &err) < 0)
                reader_error(r, &node->mark, "%s", err.msg);
}

void check_not_empty(struct reader *r, const struct node *node, const char *text)
{
        if (!text[0])
                reader_error(r, &node->mark, "must not be empty");
}

void check_signal(struct reader *r, const struct node *node, const char *text)
{
        static const char *const names[] = {
                "HUP",  "INT",  "QUIT", "ILL",  "TRAP", "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
                "SEGV", "USR2", "PIPE", "ALRM", "TERM", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
                "TTOU", "URG",  "XCPU", "XFSZ", "PROF", "WINCH", "IO",   "PWR",  "SYS",
        };
        const char *name = has_prefix(text, "SIG") ? text + 3 : text;
        int64_t number = 0;

        if (value_int(text, 1, 64, &number, NULL) == 0)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (streq(names[i], name))
                        return;
        if (has_prefix(name, "RTMIN") || has_prefix(name, "RTMAX"))
                return;
        reader_error(r, &node->mark, "'%.40s' is not a signal; write it like SIGTERM", text);
}
