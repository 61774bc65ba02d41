/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/source.h"
#include "orchestrator/cli/stacks.h"

static const struct option_def options[] = {
        OPTION_FILE,   OPTION_PROJECT, OPTION_ENV_FILE,       OPTION_PROFILE,
        OPTION_STRICT, OPTION_OUTPUT,  {0, NULL, NULL, NULL},
};

/* 1 means "differences found" here, so that a failure needs another code. */
static int run(struct cli *cli, const struct args *args)
{
        struct source source = {0};
        struct err err = ERR_INIT;
        int r = source_load(args, &source);

        if (r == CLI_OK) {
                r = stack_diff_print(cli, &source, stdout, &err);
                if (r < 0) {
                        r = cli_fail_input(&err);
                        r = r == CLI_FAILED ? CLI_UNAVAILABLE : r;
                } else if (r == STACK_REFUSED) {
                        r = 1; /* a difference all the same */
                }
                source_release(&source);
                return r;
        }
        return r == CLI_FAILED ? CLI_INVALID : r;
}

const struct command cmd_diff = {
        .name = "diff",
        .usage = "[-f FILE]... [OPTIONS]",
        .about = "show what apply would change, field by field",
        .help = "Compares the manifest with what berthd was last told. Nothing is changed.\n"
                "  +    is created            ~   changes in place, the VM keeps running\n"
                "  -    is removed          -/+   gets a new VM; named volumes stay\n\n"
                "Exit codes: 0 no differences, 1 differences, above 1 an error.\n"
                "Behind each new value is its FILE:LINE:COLUMN; secrets are not shown.\n"
                "-o json gives {\"changes\": [{kind, what, name, file, line, column, fields: "
                "[{path,\nbefore, after, effect, file, line, column}]}]}.\n\n"
                "Examples:\n"
                "  berth diff -f stack.yaml\n"
                "  berth diff -f stack.yaml || berth apply -f stack.yaml\n",
        .options = options,
        .run = run,
};
