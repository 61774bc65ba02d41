/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/commands.h"

static int run(struct cli *cli, const struct args *args)
{
        (void)cli;
        return cli_usage(args->command, "no documentation");
}

static const struct option_def options[] = {{0, NULL, NULL, NULL}};

const struct command cmd_explain = {
        .name = "explain",
        .usage = "[KEY]",
        .about = "what a key of the manifest means",
        .options = options,
        .operands_max = 1,
        .run = run,
};
