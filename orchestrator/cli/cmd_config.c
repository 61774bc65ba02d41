/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/auto.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/source.h"

static const struct option_def config_options[] = {
        OPTION_FILE,
        OPTION_PROJECT,
        OPTION_ENV_FILE,
        {'q', "quiet", NULL, "print nothing, only check"},
        {'o', "output", "FORMAT", "yaml (default) or json"},
        {0, NULL, NULL, NULL},
};

static const struct option_def validate_options[] = {
        OPTION_FILE,           OPTION_PROJECT,
        OPTION_ENV_FILE,       {'q', "quiet", NULL, "nothing on standard output"},
        {0, NULL, NULL, NULL},
};

static int run_config(struct cli *cli, const struct args *args)
{
        struct source source = {0};
        int r = source_load(args, &source);

        if (r != CLI_OK)
                return r;
        if (cli->format == FORMAT_TABLE)
                cli->format = FORMAT_YAML;
        if (!args_flag(args, "quiet"))
                r = cli_print_value(cli, source.json);
        source_release(&source);
        return r;
}

static int run_validate(struct cli *cli, const struct args *args)
{
        struct source source = {0};
        int r = source_load(args, &source);

        (void)cli;
        if (r != CLI_OK)
                return r;
        if (!args_flag(args, "quiet"))
                (void)printf("%s: valid; stack %s, %zu service%s\n", source.file,
                             source.stack->name, source.stack->services_len,
                             source.stack->services_len == 1 ? "" : "s"); /* main() checks */
        source_release(&source);
        return CLI_OK;
}

const struct command cmd_config = {
        .name = "config",
        .usage = "[-f FILE]... [OPTIONS]",
        .about = "show the manifest as berth understands it: merged, interpolated, complete",
        .help = "Needs no daemon. Secrets are shown: mind where the output goes.\n\n"
                "Examples:\n"
                "  berth config -f stack.yaml\n"
                "  TAG=2 berth config -f stack.yaml -f stack.test.yaml -o json\n",
        .options = config_options,
        .run = run_config,
};

const struct command cmd_validate = {
        .name = "validate",
        .usage = "[-f FILE]... [OPTIONS]",
        .about = "check a manifest; every problem with its file, line and column",
        .help = "Needs no daemon. Exit codes: 0 valid, 65 invalid, 66 no such file.\n\n"
                "Examples:\n"
                "  berth validate -f stack.yaml\n",
        .options = validate_options,
        .run = run_validate,
};
