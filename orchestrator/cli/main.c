/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berth: the command line. A client of berthd's API and nothing else: finds the command in the
 * table, parses its options by its table, runs it.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/help.h"

/* Room for the names of all commands and their aliases. */
#define NAMES_MAX 128

static const struct command *const stack_commands[] = {
        &cmd_apply, &cmd_diff, &cmd_delete, &cmd_watch, &cmd_ci, &cmd_wait, NULL};
static const struct command *const change_commands[] = {
        &cmd_stop, &cmd_start, &cmd_restart, &cmd_scale, &cmd_history, &cmd_rollback, NULL};
static const struct command *const look_commands[] = {&cmd_ps,   &cmd_inspect, &cmd_why,
                                                      &cmd_logs, &cmd_events,  &cmd_exec,
                                                      &cmd_run,  &cmd_stats,   NULL};
static const struct command *const manifest_commands[] = {&cmd_validate, &cmd_config, &cmd_explain,
                                                          NULL};
static const struct command *const image_commands[] = {&cmd_image_pull,
                                                       &cmd_image_push,
                                                       &cmd_image_ls,
                                                       &cmd_image_tag,
                                                       &cmd_image_rm,
                                                       &cmd_image_inspect,
                                                       &cmd_image_save,
                                                       &cmd_image_load,
                                                       &cmd_image_import,
                                                       &cmd_image_prune,
                                                       &cmd_registry_login,
                                                       &cmd_registry_logout,
                                                       NULL};
static const struct command *const object_commands[] = {&cmd_volume_ls,
                                                        &cmd_volume_rm,
                                                        &cmd_network_ls,
                                                        &cmd_network_create,
                                                        &cmd_network_inspect,
                                                        &cmd_network_rm,
                                                        NULL};
static const struct command *const system_commands[] = {&cmd_system_info,
                                                        &cmd_system_df,
                                                        &cmd_system_status,
                                                        &cmd_system_start,
                                                        &cmd_system_stop,
                                                        &cmd_version,
                                                        NULL};

static const struct command_group groups[] = {
        {"Stacks", stack_commands},
        {"Changing what runs", change_commands},
        {"Looking and working inside", look_commands},
        {"Manifests", manifest_commands},
        {"Images", image_commands},
        {"Volumes, networks", object_commands},
        {"The daemon", system_commands},
};

/* Call visit for each command; ends early with what it returns. */
static const struct command *
each_command(const struct command *(*visit)(void *arg, const struct command *c), void *arg)
{
        for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
                for (const struct command *const *c = groups[i].commands; *c; c++) {
                        const struct command *hit = visit(arg, *c);

                        if (hit)
                                return hit;
                }
        return NULL;
}

struct wanted {
        const char *one, *two; /* the first words of the command line; may be NULL */
        unsigned words;        /* how many of them named the command */
};

/* "image load" and also plain "image" as the start of several commands (words stays 0 then). */
static const struct command *match_command(void *arg, const struct command *c)
{
        struct wanted *wanted = arg;
        const char *space = strchr(c->name, ' ');
        size_t len = space ? (size_t)(space - c->name) : strlen(c->name);

        if ((!space && streq(c->name, wanted->one)) || streq(c->alias, wanted->one)) {
                wanted->words = 1;
                return c;
        }
        if (space && wanted->two && strlen(wanted->one) == len &&
            memcmp(c->name, wanted->one, len) == 0 && streq(space + 1, wanted->two)) {
                wanted->words = 2;
                return c;
        }
        return NULL;
}

struct names {
        const char *prefix; /* only commands of this group ("image "); NULL: all */
        const char *items[NAMES_MAX];
        size_t len;
};

static const struct command *collect_name(void *arg, const struct command *c)
{
        struct names *names = arg;

        if (names->prefix && !has_prefix(c->name, names->prefix))
                return NULL;
        if (names->len < NAMES_MAX)
                names->items[names->len++] = c->name;
        if (c->alias && names->len < NAMES_MAX)
                names->items[names->len++] = c->alias;
        return NULL;
}

/* Not a command: the group's list, or the nearest name. */
static int unknown_command(const char *one, const char *two)
{
        AUTO_FREE char *prefix = xasprintf("%s ", one);
        AUTO_FREE char *words = xasprintf("%s%s%s", one, two ? " " : "", two ? two : "");
        struct names names = {.prefix = prefix};
        const char *near;

        (void)each_command(collect_name, &names);
        if (names.len && (!two || two[0] == '-')) {
                bool asked = streq(two, "--help") || streq(two, "-h");

                for (size_t i = 0; i < names.len; i++) /* best effort */
                        (void)fprintf(asked ? stdout : stderr, "  berth %s\n", names.items[i]);
                return asked ? CLI_OK : cli_usage(NULL, "berth %s needs one more word", one);
        }
        if (names.len == 0) {
                names.prefix = NULL;
                (void)each_command(collect_name, &names);
        }
        near = cli_suggest(words, names.items, names.len);
        near = near ? near : cli_suggest(one, names.items, names.len);
        if (near)
                return cli_usage(NULL, "unknown command '%s'; did you mean 'berth %s'?", words,
                                 near);
        return cli_usage(NULL, "unknown command '%s'", words);
}

static int parse_format(struct cli *cli, const struct args *args)
{
        static const char *const names[] = {"table", "json", "yaml"};
        const char *value = NULL;

        for (size_t i = 0; i < args->options_len; i++)
                if (streq(args->options[i].def->name, "output"))
                        value = args->options[i].value;
        if (!value)
                return CLI_OK;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (streq(value, names[i])) {
                        cli->format = (enum cli_format)i;
                        return CLI_OK;
                }
        return cli_usage(args->command, "-o %s: there are table, json and yaml", value);
}

static bool colour(bool tty)
{
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

        return tty && !(no && *no) && !streq(term, "dumb");
}

static int run_command(const struct command *command, const char *const *argv, const char *root)
{
        struct cli cli = {.out_tty = isatty(1), .err_tty = isatty(2)};
        struct args args = {0};
        struct err err = ERR_INIT;
        int r;

        if (args_parse(command, argv, &args, &err) < 0)
                return cli_usage(command, "%s", err.msg);
        if (args.help) {
                help_command(command, stdout);
                args_release(&args);
                return CLI_OK;
        }
        cli.colour_out = colour(cli.out_tty);
        cli.colour_err = colour(cli.err_tty);
        root = args_value(&args, "root") ? args_value(&args, "root") : root;
        r = parse_format(&cli, &args);
        if (r == CLI_OK && roots_init(&cli.roots, root, NULL, &err) < 0)
                r = cli_fail(&err);
        if (r == CLI_OK)
                r = command->run(&cli, &args);
        roots_release(&cli.roots);
        args_release(&args);
        if (fflush(stdout) != 0 && r == CLI_OK)
                r = cli_error(CLI_FAILED, "standard output: %s", strerror(errno));
        return r;
}

/* Options in front of the command. Returns an exit code, or -1 to go on at *argv. */
static int early_options(const char *const **argv, const char **root)
{
        for (; **argv && ***argv == '-'; (*argv)++) {
                const char *word = **argv;

                if (streq(word, "--help") || streq(word, "-h")) {
                        help_program(groups, ARRAY_SIZE(groups), stdout);
                        return CLI_OK;
                }
                if (streq(word, "--version")) {
                        (void)printf("berth %s\n", BERTH_VERSION); /* flushed and checked at exit */
                        return CLI_OK;
                }
                if (has_prefix(word, "--root="))
                        *root = word + strlen("--root=");
                else if (streq(word, "--root") && (*argv)[1])
                        *root = *++*argv;
                else
                        return cli_usage(NULL, "unknown option %s", word);
        }
        return -1;
}

int main(int argc, char **argv)
{
        const char *const *words = (const char *const *)argv + (argc > 0);
        const struct command *command;
        struct wanted wanted = {0};
        const char *root = NULL;
        bool help = false;
        int r = early_options(&words, &root);

        if (r >= 0)
                return r;
        if (streq(*words, "help")) {
                help = true;
                words++;
        }
        if (!*words) {
                help_program(groups, ARRAY_SIZE(groups), help ? stdout : stderr);
                return help ? CLI_OK : CLI_USAGE;
        }
        wanted.one = words[0];
        wanted.two = words[1];
        command = each_command(match_command, &wanted);
        if (!command)
                return unknown_command(words[0], words[1]);
        if (help) {
                help_command(command, stdout);
                return CLI_OK;
        }
        return run_command(command, words + wanted.words, root);
}
