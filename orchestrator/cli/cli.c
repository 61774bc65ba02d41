/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"
#include "orchestrator/cli/table.h"
#include "schema/load.h"

/* Longest word that suggestions are made for; longer ones are no typing errors. */
#define SUGGEST_MAX 40

static const struct {
        int code; /* errno value */
        enum cli_exit exit;
} exit_codes[] = {
        {EINVAL, CLI_USAGE},        {EBADMSG, CLI_INVALID},      {ECONNREFUSED, CLI_UNAVAILABLE},
        {EPIPE, CLI_UNAVAILABLE},   {ENOTCONN, CLI_UNAVAILABLE}, {EACCES, CLI_NO_PERMISSION},
        {EPERM, CLI_NO_PERMISSION}, {ENOSPC, CLI_CANT_CREATE},   {EDQUOT, CLI_CANT_CREATE},
        {EROFS, CLI_CANT_CREATE},   {EAGAIN, CLI_TEMPORARY},     {ETIMEDOUT, CLI_TIMEOUT},
        {ENAMETOOLONG, CLI_USAGE},
};

int cli_fail(const struct err *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++)
                if (exit_codes[i].code == err->code)
                        return cli_error(exit_codes[i].exit, "%s", err->msg);
        return cli_error(CLI_FAILED, "%s", err->msg);
}

int cli_fail_input(const struct err *err)
{
        return err->code == EINVAL ? cli_error(CLI_INVALID, "%s", err->msg) : cli_fail(err);
}

static void say(const char *label, const char *fmt, va_list ap)
        __attribute__((format(printf, 2, 0)));

static void say(const char *label, const char *fmt, va_list ap)
{
        AUTO_FREE char *text = xvasprintf(fmt, ap);
        AUTO_FREE char *safe = text_safe(text); /* images and guests have a say in messages */

        (void)fprintf(stderr, "%s: %s\n", label, safe); /* the last place to tell */
}

int cli_error(int code, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        say("error", fmt, ap);
        va_end(ap);
        return code;
}

void cli_warn(const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        say("warning", fmt, ap);
        va_end(ap);
}

int cli_usage(const struct command *command, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        say("error", fmt, ap);
        va_end(ap);
        (void)fprintf(stderr, "See 'berth %s%s--help'.\n", command ? command->name : "",
                      command ? " " : ""); /* as above */
        return CLI_USAGE;
}

const char *cli_style(bool wanted, const char *sequence)
{
        return wanted ? sequence : "";
}

/*
 * JSON that cannot harm a terminal: jansson leaves U+007F and U+0080..9F (C2 80..9F) as they are,
 * which only strings can have.
 */
static char *json_safe(const json_t *value)
{
        AUTO_STRBUF struct strbuf safe = STRBUF_INIT(SIZE_MAX);
        AUTO_FREE char *text = json_pretty(value);

        for (const unsigned char *c = (const unsigned char *)text; *c; c++)
                if (*c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f))
                        strbuf_addf(&safe, "\\u%04x", *c == 0x7f ? *c : *++c);
                else
                        strbuf_add(&safe, c, 1);
        return strbuf_take(&safe);
}

int cli_print_value(const struct cli *cli, const json_t *value)
{
        AUTO_FREE char *text = cli->format == FORMAT_YAML ? manifest_yaml(value) : json_safe(value);
        size_t len = strlen(text);

        (void)fputs(text, stdout); /* checked by the flush */
        if (len == 0 || text[len - 1] != '\n')
                (void)fputc('\n', stdout);
        if (fflush(stdout) != 0)
                return cli_error(CLI_FAILED, "standard output: %s", strerror(errno));
        return CLI_OK;
}

int cli_duration(const struct args *args, const char *option, int64_t fallback_ms, int64_t *ret_ms)
{
        const char *text = args_value(args, option);
        struct err err = ERR_INIT;

        *ret_ms = fallback_ms;
        if (!text || value_duration_ms(text, ret_ms, &err) == 0)
                return CLI_OK;
        return cli_usage(args->command, "--%s: %s", option, err.msg);
}

/* Edit distance with swapped neighbours as one step; words of at most SUGGEST_MAX bytes. */
static unsigned distance(const char *a, const char *b)
{
        unsigned rows[3][SUGGEST_MAX + 1];
        size_t la = strlen(a), lb = strlen(b);

        for (size_t j = 0; j <= lb; j++)
                rows[0][j] = (unsigned)j;
        for (size_t i = 1; i <= la; i++) {
                unsigned *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

                row[0] = (unsigned)i;
                for (size_t j = 1; j <= lb; j++) {
                        unsigned best = up[j - 1] + (a[i - 1] != b[j - 1]);

                        best = up[j] + 1 < best ? up[j] + 1 : best;
                        best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                            up2[j - 2] + 1 < best)
                                best = up2[j - 2] + 1;
                        row[j] = best;
                }
        }
        return rows[la % 3][lb];
}

const char *cli_suggest(const char *word, const char *const *names, size_t count)
{
        unsigned limit = strlen(word) > 4 ? 3 : 2;
        const char *best = NULL;

        if (strlen(word) > SUGGEST_MAX || !*word)
                return NULL;
        for (size_t i = 0; i < count; i++) {
                unsigned d = strlen(names[i]) > SUGGEST_MAX ? limit : distance(word, names[i]);

                if (d < limit) {
                        limit = d;
                        best = names[i];
                }
        }
        return best;
}
