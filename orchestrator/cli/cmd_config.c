/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/source.h"

static const struct option_def config_options[] = {
        OPTION_FILE,
        OPTION_PROJECT,
        OPTION_ENV_FILE,
        OPTION_PROFILE,
        OPTION_STRICT,
        {'q', "quiet", NULL, "print nothing, only check"},
        {'o', "output", "FORMAT", "yaml (default) or json"},
        {0, NULL, NULL, NULL},
};

static const struct option_def validate_options[] = {
        OPTION_FILE,
        OPTION_PROJECT,
        OPTION_ENV_FILE,
        OPTION_PROFILE,
        OPTION_STRICT,
        {'q', "quiet", NULL, "nothing on standard output"},
        {'o', "output", "FORMAT", "json or yaml: the findings as a list"},
        {0, NULL, NULL, NULL},
};

static int run_config(struct cli *cli, const struct args *args)
{
        struct source source = {0};
        int r = source_look(args, &source, NULL);

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
        bool list = cli->format != FORMAT_TABLE;
        struct source source = {0};
        struct diags diags = {0};
        int r = source_look(args, &source, list ? &diags : NULL);

        if (list && (r == CLI_OK || r == CLI_INVALID)) {
                AUTO_JSON json_t *json = diags_to_json(&diags);
                int printed = cli_print_value(cli, json);

                r = r == CLI_OK ? printed : r;
        } else if (r == CLI_OK && !args_flag(args, "quiet")) {
                (void)printf("%s: valid; stack %s, %zu service%s\n", source.file,
                             source.stack->name, source.stack->services_len,
                             source.stack->services_len == 1 ? "" : "s"); /* main() checks */
        }
        diags_release(&diags);
        source_release(&source);
        return r;
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
        .help = "Needs no daemon. Exit codes: 0 valid, 65 invalid, 66 no such file. With -o "
                "json the findings are a\nlist of {severity, code, file, line, column, path, "
                "message}; codes never change.\n\n"
                "Examples:\n"
                "  berth validate -f stack.yaml\n"
                "  berth validate --strict -o json -f stack.yaml\n",
        .options = validate_options,
        .run = run_validate,
};
