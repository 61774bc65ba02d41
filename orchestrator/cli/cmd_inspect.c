/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"
#include "orchestrator/cli/target.h"

static const struct option_def options[] = {
        {'o', "output", "FORMAT", "json (default) or yaml"},
        {0, NULL, NULL, NULL},
};

/* STACK, or a service that is unique by its name alone, or STACK/SERVICE[/N]. */
static int inspect_target(struct cli *cli, const char *text, struct target *ret,
                          json_t **ret_answer, struct err *err)
{
        AUTO_FREE char *path = NULL, *stack = NULL;
        int r = target_any(cli, text, ret, err);

        if (r < 0)
                return r;
        stack = http_escape(ret->stack);
        path = ret->service ? target_path(ret) : xasprintf("/v1/stacks/%s", stack);
        return client_call(cli, "GET", path, NULL, ret_answer, err);
}

static int run(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *answer = NULL;
        struct target target = {0};
        struct err err = ERR_INIT;
        int r = inspect_target(cli, args_operand(args, 0), &target, &answer, &err);

        target_release(&target);
        return r < 0 ? cli_fail(&err) : cli_print_value(cli, answer);
}

const struct command cmd_inspect = {
        .name = "inspect",
        .usage = "STACK | STACK/SERVICE[/N] [OPTIONS]",
        .about = "everything known about a stack, a service or a replica",
        .help = "A service: its spec, status, and for each replica the phases of its boot in "
                "milliseconds\n(prepare, qemu, kernel, vminit, configure, exec), mounts, probes "
                "and "
                "events.\n\n"
                "Examples:\n"
                "  berth inspect shop/web\n"
                "  berth inspect shop/web/2 | jq '.replicas[0].phases_ms'\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run,
};
