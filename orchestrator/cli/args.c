/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/args.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "orchestrator/cli/cli.h"

/* More options than any command has, with the common ones: for suggestions. */
#define OPTIONS_MAX 64

const struct option_def args_common[] = {
        {0, "root", "DIR", "use the instance in DIR instead of the default one (BERTH_ROOT)"},
        {'h', "help", NULL, "show this help"},
        {0, NULL, NULL, NULL},
};

struct parser {
        struct args *args;
        const char *const *argv; /* what is left */
        struct err *err;
};

static bool def_is(const struct option_def *def, char letter, const char *name, size_t len)
{
        if (letter)
                return def->letter == letter;
        return strlen(def->name) == len && memcmp(def->name, name, len) == 0;
}

static const struct option_def *find(const struct command *command, char letter, const char *name,
                                     size_t len)
{
        const struct option_def *tables[] = {command->options, args_common};

        for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
                for (const struct option_def *def = tables[t]; def && def->name; def++)
                        if (def_is(def, letter, name, len))
                                return def;
        return NULL;
}

static int unknown_option(const struct parser *p, const char *word)
{
        const struct option_def *tables[] = {p->args->command->options, args_common};
        const char *names[OPTIONS_MAX], *near;
        AUTO_FREE char *bare = xstrndup(word + 2, strcspn(word + 2, "="));
        size_t count = 0;

        for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
                for (const struct option_def *def = tables[t]; def && def->name; def++)
                        if (count < OPTIONS_MAX)
                                names[count++] = def->name;
        near = cli_suggest(bare, names, count);
        if (near)
                return err_set(p->err, EINVAL, "unknown option --%s; did you mean --%s?", bare,
                               near);
        return err_set(p->err, EINVAL, "unknown option --%s", bare);
}

static void add_option(struct args *args, const struct option_def *def, const char *value)
{
        struct arg_option *slot = array_push(&args->options, &args->options_len);

        *slot = (struct arg_option){def, value};
        if (streq(def->name, "help"))
                args->help = true;
}

/* The value behind an option without "=": the next word, whatever it looks like. */
static int take_value(struct parser *p, const struct option_def *def)
{
        const char *value = *++p->argv;

        if (!value)
                return err_set(p->err, EINVAL, "option --%s needs a value: %s", def->name,
                               def->value);
        add_option(p->args, def, value);
        return 0;
}

static int parse_long(struct parser *p, const char *word)
{
        const char *eq = strchr(word, '=');
        size_t len = eq ? (size_t)(eq - word - 2) : strlen(word + 2);
        const struct option_def *def = find(p->args->command, 0, word + 2, len);

        if (!def)
                return unknown_option(p, word);
        if (!def->value && eq)
                return err_set(p->err, EINVAL, "option --%s takes no value", def->name);
        if (def->value && !eq)
                return take_value(p, def);
        add_option(p->args, def, eq ? eq + 1 : NULL);
        return 0;
}

static int parse_letters(struct parser *p, const char *word)
{
        for (const char *c = word + 1; *c; c++) {
                const struct option_def *def = find(p->args->command, *c, NULL, 0);

                if (!def)
                        return err_set(p->err, EINVAL, "unknown option -%c", *c);
                if (!def->value) {
                        add_option(p->args, def, NULL);
                        continue;
                }
                if (!c[1])
                        return take_value(p, def);
                add_option(p->args, def, c + 1 + (c[1] == '='));
                return 0;
        }
        return 0;
}

static void add_operand(struct args *args, const char *word)
{
        *array_push(&args->operands, &args->operands_len) = word;
}

/* A command line at the end ("exec web ls -l") starts with its first word that is no option. */
static bool rest_begins(const struct args *args)
{
        return args->command->rest && args->operands_len >= args->command->operands_min - 1;
}

static int check_operands(const struct parser *p)
{
        const struct command *command = p->args->command;

        if (p->args->help)
                return 0;
        if (p->args->operands_len < command->operands_min)
                return err_set(p->err, EINVAL, "something is missing: berth %s %s", command->name,
                               command->usage);
        if (!command->rest && p->args->operands_len > command->operands_max)
                return err_set(p->err, EINVAL, "unexpected argument '%s'",
                               p->args->operands[command->operands_max]);
        return 0;
}

static int parse_words(struct parser *p)
{
        for (; *p->argv; p->argv++) {
                const char *word = *p->argv;
                int r = 0;

                if (streq(word, "--")) {
                        p->argv++;
                        break;
                }
                if (has_prefix(word, "--"))
                        r = parse_long(p, word);
                else if (word[0] == '-' && word[1])
                        r = parse_letters(p, word);
                else if (rest_begins(p->args))
                        break;
                else
                        add_operand(p->args, word);
                if (r < 0)
                        return r;
        }
        for (; *p->argv; p->argv++)
                add_operand(p->args, *p->argv);
        return check_operands(p);
}

int args_parse(const struct command *command, const char *const *argv, struct args *ret,
               struct err *err)
{
        struct args args = {.command = command};
        struct parser parser = {&args, argv, err};
        int r = parse_words(&parser);

        if (r < 0) {
                args_release(&args);
                return r;
        }
        *ret = args;
        return 0;
}

void args_release(struct args *args)
{
        free(args->options);
        free(args->operands);
        *args = (struct args){0};
}

static bool option_is(const struct arg_option *option, const char *name)
{
        return streq(option->def->name, name);
}

bool args_flag(const struct args *args, const char *name)
{
        for (size_t i = 0; i < args->options_len; i++)
                if (option_is(&args->options[i], name))
                        return true;
        if (!find(args->command, 0, name, strlen(name)))
                bug("option is not in the command's table");
        return false;
}

const char *args_value(const struct args *args, const char *name)
{
        const char *value = NULL;

        if (!args_flag(args, name))
                return NULL;
        for (size_t i = 0; i < args->options_len; i++)
                if (option_is(&args->options[i], name))
                        value = args->options[i].value;
        return value;
}

const char **args_values(const struct args *args, const char *name, size_t *ret_len)
{
        const char **values = xcalloc(args->options_len + 1, sizeof(*values));
        size_t len = 0;

        for (size_t i = 0; i < args->options_len; i++)
                if (option_is(&args->options[i], name))
                        values[len++] = args->options[i].value;
        if (ret_len)
                *ret_len = len;
        return values;
}

const char *args_operand(const struct args *args, size_t i)
{
        return i < args->operands_len ? args->operands[i] : NULL;
}
