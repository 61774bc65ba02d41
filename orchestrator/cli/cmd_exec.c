/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/daemon.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/cli/target.h"

static const struct option_def options[] = {
        {'i', "interactive", NULL, "pass standard input"},
        {'t', "tty", NULL, "give the program a terminal; with -i for a shell"},
        {'u', "user", "USER", "run as this user (name or uid[:gid]) of the image"},
        {'w', "workdir", "DIR", "run in this folder"},
        {'e', "env", "NAME[=VALUE]", "set a variable, or pass on the caller's; repeat it"},
        {0, NULL, NULL, NULL},
};

static int add_env(const struct args *args, json_t *env, struct err *err)
{
        AUTO_FREE const char **values = args_values(args, "env", NULL);

        for (const char **v = values; *v; v++) {
                AUTO_FREE char *name = xstrndup(*v, strcspn(*v, "="));
                const char *eq = strchr(*v, '=');
                const char *value = eq ? eq + 1 : getenv(name);

                if (!*name)
                        return err_set(err, EINVAL, "--env '%.64s' has no name", *v);
                if (value && json_object_set_new(env, name, json_string(value)) < 0)
                        return err_set(err, EINVAL, "--env %.64s is not valid UTF-8", name);
        }
        return 0;
}

static int add_argv(const struct args *args, json_t *argv, struct err *err)
{
        for (size_t i = 1; i < args->operands_len; i++)
                if (json_array_append_new(argv, json_string(args->operands[i])) < 0)
                        return err_set(err, EINVAL, "argument %zu is not valid UTF-8", i);
        return 0;
}

static void add_terminal(json_t *request, json_t *env)
{
        const char *term = getenv("TERM");
        struct winsize size = {0};

        if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
                json_set_int(request, "rows", size.ws_row);
                json_set_int(request, "cols", size.ws_col);
        }
        if (term && !json_object_get(env, "TERM"))
                json_set_str(env, "TERM", term);
}

static int build(const struct args *args, const struct target *target, json_t **ret,
                 struct err *err)
{
        AUTO_JSON json_t *request = json_object();
        json_t *argv = json_array(), *env = json_object();
        int r;

        if (json_object_set_new(request, "argv", argv) < 0 ||
            json_object_set_new(request, "env", env) < 0)
                bug("json_object_set_new");
        json_set_str(request, "stack", target->stack);
        json_set_str(request, "service", target->service);
        if (target->replica)
                json_set_int(request, "replica", target->replica);
        json_set_bool(request, "tty", args_flag(args, "tty"));
        json_set_bool(request, "stdin", args_flag(args, "interactive"));
        json_set_str(request, "user", args_value(args, "user"));
        json_set_str(request, "workdir", args_value(args, "workdir"));
        r = add_argv(args, argv, err);
        if (r == 0)
                r = add_env(args, env, err);
        if (r < 0)
                return r;
        if (args_flag(args, "tty"))
                add_terminal(request, env);
        *ret = STEAL(request);
        return 0;
}

static int run_in(struct cli *cli, const struct args *args, const struct target *target)
{
        AUTO_JSON json_t *request = NULL;
        struct session session = {
                .cli = cli,
                .path = "/v1/exec",
                .input = args_flag(args, "interactive"),
                .tty = args_flag(args, "tty"),
        };
        struct err err = ERR_INIT;
        int r;

        if (build(args, target, &request, &err) < 0)
                return cli_usage(args->command, "%s", err.msg);
        session.request = request;
        r = session_run(&session, &err);
        return r < 0 ? cli_error(CLI_NOT_UP, "%s", err.msg) : r;
}

static int run(struct cli *cli, const struct args *args)
{
        struct target target = {0};
        struct err err = ERR_INIT;
        int r;

        if (args_flag(args, "tty") && !isatty(STDIN_FILENO))
                return cli_usage(args->command, "-t needs a terminal, and standard input is none; "
                                                "use -i alone");
        if (daemon_ensure(cli, &err) < 0)
                return cli_fail(&err);
        if (target_service(cli, args_operand(args, 0), &target, &err) < 0)
                return cli_error(CLI_NOT_UP, "%s", err.msg);
        r = run_in(cli, args, &target);
        target_release(&target);
        return r;
}

const struct command cmd_exec = {
        .name = "exec",
        .usage = "[-it] [OPTIONS] STACK/SERVICE[/N] -- COMMAND [ARGUMENTS]",
        .about = "run a program inside a service's VM",
        .help = "Runs beside the service in its VM, in the same image and network. Without /N the "
                "first\nrunning replica is taken. Signals that reach berth are passed on.\n\n"
                "Exit codes: the program's own (128+n when a signal ended it); 125 berth could not "
                "reach the\nservice, 126 the program cannot be executed, 127 there is no such "
                "program.\n\n"
                "Examples:\n"
                "  berth exec -it shop/web -- sh\n"
                "  berth exec shop/db -- redis-cli info\n"
                "  berth exec -i shop/web -- tar -x -C /srv < site.tar\n",
        .options = options,
        .operands_min = 2,
        .operands_max = 2,
        .rest = true,
        .run = run,
};
