/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "orchestrator/cli/ci_env.h"
#include "orchestrator/cli/ci_root.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/interrupt.h"
#include "orchestrator/cli/progress.h"
#include "orchestrator/cli/source.h"
#include "orchestrator/cli/stacks.h"

#define UP_TIMEOUT_MS (5 * 60 * 1000)
/* Between SIGTERM and SIGKILL for a command that overran --timeout. */
#define KILL_AFTER_MS 10000

static const struct option_def options[] = {
        OPTION_FILE,
        OPTION_PROJECT,
        OPTION_ENV_FILE,
        OPTION_PROFILE,
        OPTION_STRICT,
        {0, "up-timeout", "TIME", "time for the stack to become healthy (default 5m)"},
        {0, "timeout", "TIME", "time for all of it (default: no limit)"},
        {0, "keep", "WHEN", "leave the stack running: never (default), on-failure, always"},
        {0, NULL, NULL, NULL},
};

struct ci {
        struct ci_root root;
        const struct args *args;
        const struct source *source;
        int signals;
        int64_t up_timeout_ms;
        int64_t deadline_ms; /* of all; 0: none */
        json_t *status;      /* of the healthy stack */
};

static int not_up(struct ci *ci, struct progress *progress, enum progress_end end)
{
        const char *stack = ci->source->stack->name;
        int signo;

        switch (end) {
        case PROGRESS_OK:
                ci->status = json_incref(progress->status);
                return CLI_OK;
        case PROGRESS_WOKEN:
                signo = interrupt_read(ci->signals, NULL);
                return CLI_SIGNAL + (signo ? signo : SIGINT);
        case PROGRESS_TIMEOUT:
                progress_report(&ci->root.cli, stack, progress->status);
                return cli_error(CLI_TIMEOUT, "stack %s is not healthy in time", stack);
        case PROGRESS_FAILED:
                progress_report(&ci->root.cli, stack, progress->status);
                return cli_error(CLI_NOT_UP,
                                 "stack %s cannot be brought up; the command was not "
                                 "run",
                                 stack);
        case PROGRESS_GONE:
                return cli_error(CLI_NOT_UP, "stack %s was deleted meanwhile", stack);
        }
        bug("progress_end");
}

static int bring_up(struct ci *ci)
{
        int64_t until = clock_mono_ms() + ci->up_timeout_ms;
        AUTO_JSON json_t *answer = NULL;
        struct progress progress = {
                .cli = &ci->root.cli,
                .stack = ci->source->stack->name,
                .deadline_ms = ci->deadline_ms && ci->deadline_ms < until ? ci->deadline_ms : until,
                .wake = true,
                .wake_fd = ci->signals,
        };
        enum progress_end end = PROGRESS_FAILED;
        struct err err = ERR_INIT;
        int r = stack_put(&ci->root.cli, ci->source, "auto", &answer, &err);

        if (r == 0) {
                progress.revision = json_int(answer, "revision", 0);
                r = progress_follow(&progress, &end, &err);
        }
        if (r < 0)
                r = cli_error(r == -EINVAL ? CLI_INVALID : CLI_NOT_UP, "%s", err.msg);
        else
                r = not_up(ci, &progress, end);
        progress_release(&progress);
        return r;
}

static int status_code(int status)
{
        return WIFEXITED(status) ? WEXITSTATUS(status) : CLI_SIGNAL + WTERMSIG(status);
}

/*
 * Wait for the command; pass signals on. One that came from the terminal has reached it already,
 * because it is in our process group.
 */
static int wait_command(const struct ci *ci, pid_t pid, int pidfd)
{
        int64_t deadline = ci->deadline_ms;
        bool overran = false;
        int status = 0;

        for (;;) {
                struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN},
                                      {.fd = ci->signals, .events = POLLIN}};
                int64_t left = deadline ? deadline - clock_mono_ms() : 60000;
                int code = 0, signo, n;

                n = poll(p, 2, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);
                if (p[0].revents)
                        break;
                signo = n > 0 && p[1].revents ? interrupt_read(ci->signals, &code) : 0;
                if (signo && code != SI_KERNEL)
                        (void)fd_pidfd_signal(pidfd, signo, NULL); /* it may have just ended */
                if (deadline && clock_mono_ms() >= deadline) {
                        (void)fd_pidfd_signal(pidfd, overran ? SIGKILL : SIGTERM, NULL); /* too */
                        deadline = clock_mono_ms() + KILL_AFTER_MS;
                        overran = true;
                }
        }
        if (spawn_reap(pid, &status, NULL) < 0)
                return CLI_INTERNAL;
        if (overran)
                return cli_error(CLI_TIMEOUT, "the command did not end within --timeout");
        return status_code(status);
}

static int run_command(struct ci *ci)
{
        struct spawn_fd fds[] = {{0, 0}, {1, 1}, {2, 2}};
        AUTO_FREE const char **argv = xcalloc(ci->args->operands_len + 1, sizeof(*argv));
        AUTO_CLOSE int pidfd = -1;
        struct spawn spec = {.argv = argv,
                             .fds = fds,
                             .fd_count = ARRAY_SIZE(fds),
                             .foreground = true,
                             .die_with_us = true};
        struct ci_env env = {0};
        struct err err = ERR_INIT;
        pid_t pid = -1;
        int r;

        memcpy(argv, ci->args->operands, ci->args->operands_len * sizeof(*argv));
        r = ci_env_build(&env, (const char *const *)environ, ci->status, &err);
        if (r == 0) {
                ci_env_set(&env, "BERTH_STACK", ci->source->stack->name);
                ci_env_set(&env, "BERTH_ROOT", ci->root.cli.roots.state);
                (void)array_push(&env.items, &env.len); /* the NULL at its end */
                spec.env = (const char *const *)env.items;
                r = spawn_start(&spec, &pid, &pidfd, &err);
        }
        ci_env_release(&env);
        if (r == -ENOENT)
                return cli_error(CLI_NOT_FOUND, "%s", err.msg);
        if (r == -EEXIST)
                return cli_error(CLI_INVALID, "%s", err.msg);
        return r < 0 ? cli_error(CLI_NOT_EXECUTABLE, "%s", err.msg) : wait_command(ci, pid, pidfd);
}

static int parse(struct ci *ci)
{
        const char *keep = args_value(ci->args, "keep");
        int64_t timeout_ms;
        int r = cli_duration(ci->args, "timeout", 0, &timeout_ms);

        if (r == CLI_OK)
                r = cli_duration(ci->args, "up-timeout", UP_TIMEOUT_MS, &ci->up_timeout_ms);
        if (r != CLI_OK)
                return r;
        if (keep && !streq(keep, "never") && !streq(keep, "on-failure") && !streq(keep, "always"))
                return cli_usage(ci->args->command,
                                 "--keep %s: there are never, on-failure and "
                                 "always",
                                 keep);
        ci->deadline_ms = timeout_ms ? clock_mono_ms() + timeout_ms : 0;
        return CLI_OK;
}

static void tear_down(struct ci *ci, int code)
{
        const char *keep = args_value(ci->args, "keep");

        if (streq(keep, "always") || (streq(keep, "on-failure") && code != CLI_OK))
                ci_root_keep(&ci->root);
        else
                ci_root_stop(&ci->root, ci->signals);
}

static int ci_run(struct cli *cli, struct ci *ci)
{
        struct err err = ERR_INIT;
        int r = parse(ci);

        if (r != CLI_OK)
                return r;
        ci->signals = interrupt_open(); /* before there is anything that must be torn down */
        if (ci_root_start(cli, &ci->root, &err) < 0)
                r = cli_error(CLI_NOT_UP, "%s", err.msg);
        else {
                r = bring_up(ci);
                if (r == CLI_OK)
                        r = run_command(ci);
                tear_down(ci, r);
        }
        json_decref(ci->status);
        (void)close(ci->signals); /* a signalfd holds nothing */
        return r;
}

static int run(struct cli *cli, const struct args *args)
{
        struct source source = {0};
        struct ci ci = {.args = args, .source = &source, .signals = -1};
        int r = source_load(args, &source);

        if (r != CLI_OK)
                return r;
        r = ci_run(cli, &ci);
        source_release(&source);
        return r;
}

const struct command cmd_ci = {
        .name = "ci",
        .usage = "[-f FILE]... [OPTIONS] -- COMMAND [ARGUMENTS]",
        .about = "bring a stack up for one command, and take it down whatever happens",
        .help = "The stack runs in a temporary instance of its own: its networks, volumes and "
                "ports meet\nnobody else's, so any number of runs may go on at once. Published "
                "ports get free numbers;\nthe command finds them in its environment:\n"
                "  BERTH_<SVC>_URL, _HOST, _PORT        the service's first published port\n"
                "  BERTH_<SVC>_<TARGET>_PORT, _ADDR     the one for port TARGET of the service\n"
                "  BERTH_STACK, BERTH_ROOT              berth itself works inside the command\n"
                "SVC is the service's name in capitals, other characters as _. The stack is taken "
                "down when\nthe command ends, and also when berth ci is killed.\n\n"
                "Exit codes: the command's own (128+n when a signal ended it); 65 invalid "
                "manifest, "
                "124\ntimeout, 125 the stack did not come up, 126 and 127 the command cannot be "
                "run.\n\n"
                "Examples:\n"
                "  berth ci -f stack.yaml -- make test\n"
                "  berth ci -- sh -c 'curl -fsS \"$BERTH_WEB_URL\"'\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .rest = true,
        .run = run,
};
