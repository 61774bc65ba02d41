/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/daemon.h"
#include "orchestrator/cli/pull.h"
#include "orchestrator/cli/run_manifest.h"
#include "orchestrator/cli/session.h"

static const struct option_def options[] = {
        {'i', "interactive", NULL, "pass standard input"},
        {'t', "tty", NULL, "give the program a terminal; with -i for a shell"},
        {'d', "detach", NULL, "return when it runs, and print its name"},
        {0, "rm", NULL, "leave nothing of it behind when it ends, or when berth does"},
        {0, "name", "NAME", "its name; IMAGE and four digits else. The stack is run-NAME"},
        RUN_MANIFEST_OPTIONS,
        {0, "pull", "WHEN", "missing (default), always or never"},
        {'q', "quiet", NULL, "no progress of a pull"},
        {0, NULL, NULL, NULL},
};

static void add_terminal(json_t *request)
{
        struct winsize size = {0};

        if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
                return;
        json_set_int(request, "rows", size.ws_row);
        json_set_int(request, "cols", size.ws_col);
}

static json_t *request_of(const struct args *args, const struct run_manifest *m)
{
        json_t *request = json_object();

        if (json_object_set(request, "manifest", m->json) < 0)
                bug("json_object_set");
        json_set_str(request, "service", m->name);
        json_set_bool(request, "remove", args_flag(args, "rm"));
        json_set_bool(request, "detach", args_flag(args, "detach"));
        if (args_flag(args, "tty"))
                add_terminal(request);
        return request;
}

static int check_options(const struct args *args)
{
        const char *pull = args_value(args, "pull"), *restart = args_value(args, "restart");

        if (pull && !streq(pull, "missing") && !streq(pull, "always") && !streq(pull, "never"))
                return cli_usage(args->command, "--pull '%.32s': missing, always or never", pull);
        if (args_flag(args, "rm") && restart && !streq(restart, "no"))
                return cli_usage(args->command, "--rm and --restart exclude each other");
        if (args_flag(args, "tty") && args_flag(args, "interactive") &&
            !args_flag(args, "detach") && !isatty(STDIN_FILENO))
                return cli_usage(args->command, "-it needs a terminal, and standard input is none; "
                                                "use -i alone");
        return CLI_OK;
}

static int attach(struct cli *cli, const struct args *args, const struct run_manifest *m,
                  struct err *err)
{
        AUTO_JSON json_t *request = request_of(args, m);
        bool detach = args_flag(args, "detach");
        const struct session session = {
                .cli = cli,
                .path = "/v1/run",
                .request = request,
                .input = args_flag(args, "interactive") && !detach,
                .tty = args_flag(args, "tty") && !detach,
        };

        return session_run(&session, err);
}

static int pull(struct cli *cli, const struct args *args, const struct run_manifest *m,
                struct err *err)
{
        return pull_image(cli, "/v1/images/pull", m->image, NULL, args_flag(args, "quiet"), NULL,
                          err);
}

static int start(struct cli *cli, const struct args *args, const struct run_manifest *m)
{
        const char *when = args_value(args, "pull");
        struct err err = ERR_INIT;
        int r = 0;

        if (streq(when, "always"))
                r = pull(cli, args, m, &err);
        if (r == 0)
                r = attach(cli, args, m, &err);
        if (r == -ENOENT && !when) { /* there is no such image yet */
                r = pull(cli, args, m, &err);
                if (r == 0)
                        r = attach(cli, args, m, &err);
        }
        if (r < 0)
                return cli_error(CLI_NOT_UP, "%s", err.msg);
        if (r == CLI_OK && args_flag(args, "detach"))
                (void)printf("%s\n", m->name); /* main() flushes and checks */
        return r;
}

static int run(struct cli *cli, const struct args *args)
{
        struct run_manifest m = {0};
        struct err err = ERR_INIT;
        int r = check_options(args);

        if (r == CLI_OK)
                r = run_manifest_make(args, &m);
        if (r != CLI_OK)
                return r;
        if (daemon_ensure(cli, &err) < 0)
                r = cli_error(CLI_NOT_UP, "%s", err.msg);
        else
                r = start(cli, args, &m);
        run_manifest_release(&m);
        return r;
}

const struct command cmd_run = {
        .name = "run",
        .usage = "[OPTIONS] IMAGE [COMMAND [ARGUMENTS]]",
        .about = "run an image in a VM of its own, without a manifest",
        .help = "As docker run: output and signals are passed on, and berth ends with the "
                "program's exit code.\nWhat runs is the one service NAME of a stack run-NAME, for "
                "all other commands: berth exec NAME,\nberth logs NAME, berth delete run-NAME. "
                "Options stand before IMAGE.\n\n"
                "Exit codes: the program's own (128+n when a signal ended it); 125 berth could not "
                "start it,\n126 the program cannot be executed, 127 there is no such program.\n\n"
                "Examples:\n"
                "  berth run --rm -it alpine sh\n"
                "  berth run -d --name db -p 5432:5432 -e POSTGRES_PASSWORD=x -v data:"
                "/var/lib/postgresql/data postgres:16\n"
                "  berth run --rm -i -v .:/src -w /src alpine wc -l < list.txt\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .rest = true,
        .run = run,
};
