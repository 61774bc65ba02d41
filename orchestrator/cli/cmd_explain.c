/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/explain.h"

static const struct option_def options[] = {{0, NULL, NULL, NULL}};

static int run(struct cli *cli, const struct args *args)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(EXPLAIN_MAX);
        struct err err = ERR_INIT;

        (void)cli;
        if (explain(args_operand(args, 0), &out, &err) < 0)
                return cli_error(CLI_FAILED, "%s", err.msg);
        (void)fputs(strbuf_str(&out), stdout); /* main() flushes and checks */
        return CLI_OK;
}

const struct command cmd_explain = {
        .name = "explain",
        .usage = "[KEY]",
        .about = "what a key of the manifest means",
        .help = "Examples:\n"
                "  berth explain services\n"
                "  berth explain services.healthcheck.interval\n"
                "  berth explain restart\n",
        .options = options,
        .operands_max = 1,
        .run = run,
};
