/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/interrupt.h"
#include "orchestrator/cli/progress.h"
#include "orchestrator/cli/source.h"
#include "orchestrator/cli/stacks.h"

#define DELETE_TIMEOUT_MS (2 * 60 * 1000)

static const struct option_def options[] = {
        OPTION_FILE,
        OPTION_PROJECT,
        OPTION_ENV_FILE,
        OPTION_PROFILE,
        OPTION_STRICT,
        {'v', "volumes", NULL, "remove the stack's named volumes too: their data is lost"},
        {0, "timeout", "TIME", "give up waiting after TIME (default 2m)"},
        {'d', "detach", NULL, "do not wait until all is gone"},
        {0, NULL, NULL, NULL},
};

/* Only its end ends a stack that is being deleted. */
static int judge_gone(const struct progress *progress, const json_t *status)
{
        (void)progress;
        (void)status;
        return -1;
}

static int wait_gone(struct cli *cli, const char *stack, int64_t timeout_ms)
{
        AUTO_CLOSE int interrupt = interrupt_open();
        struct progress progress = {
                .cli = cli,
                .stack = stack,
                .deadline_ms = clock_mono_ms() + timeout_ms,
                .wake = true,
                .wake_fd = interrupt,
                .judge = judge_gone,
        };
        enum progress_end end = PROGRESS_FAILED;
        struct err err = ERR_INIT;
        int r = progress_follow(&progress, &end, &err);

        progress_release(&progress);
        if (r < 0)
                return cli_fail(&err);
        if (end == PROGRESS_TIMEOUT)
                return cli_error(CLI_TIMEOUT,
                                 "stack %s is not gone within --timeout; see 'berth "
                                 "why %s'",
                                 stack, stack);
        if (end == PROGRESS_WOKEN)
                return CLI_SIGNAL + SIGINT;
        (void)printf("Stack %s is gone.\n", stack); /* main() flushes and checks */
        return CLI_OK;
}

static int delete_stack(struct cli *cli, const struct args *args, const char *stack)
{
        struct err err = ERR_INIT;
        int64_t timeout_ms;
        int r = cli_duration(args, "timeout", DELETE_TIMEOUT_MS, &timeout_ms);

        if (r != CLI_OK)
                return r;
        if (stack_delete(cli, stack, args_flag(args, "volumes"), &err) < 0)
                return cli_fail(&err);
        return args_flag(args, "detach") ? CLI_OK : wait_gone(cli, stack, timeout_ms);
}

static int run(struct cli *cli, const struct args *args)
{
        AUTO_FREE char *stack = xstrdup(args_operand(args, 0));
        int r = CLI_OK;

        if (stack && args_value(args, "file"))
                return cli_usage(args->command, "name the stack or its file, not both");
        if (!stack)
                r = source_stack_name(args, &stack);
        return r == CLI_OK ? delete_stack(cli, args, stack) : r;
}

const struct command cmd_delete = {
        .name = "delete",
        .alias = "down",
        .usage = "[STACK | -f FILE] [OPTIONS]",
        .about = "take a stack down; named volumes stay",
        .help = "Stops all services in reverse order of their dependencies, removes their VMs and "
                "networks,\nand returns when nothing is left but the named volumes.\n\n"
                "Examples:\n"
                "  berth delete shop\n"
                "  berth delete -f stack.yaml --volumes\n",
        .options = options,
        .operands_max = 1,
        .run = run,
};
