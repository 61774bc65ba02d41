/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

static const struct option_def df_options[] = {OPTION_OUTPUT, {0, NULL, NULL, NULL}};

static void print_classes(const json_t *classes)
{
        static const char *const headings[] = {"WHAT", "FILES", "SIZE", "RECLAIMABLE", NULL};
        struct table table;
        const json_t *class;
        size_t i;

        table_init(&table, headings);
        json_array_foreach(classes, i, class) {
                char size[16], free_size[16];

                size_text(json_int(class, "bytes", 0), size);
                size_text(json_int(class, "reclaimable_bytes", 0), free_size);
                table_add(&table, json_str(class, "class", NULL));
                table_addf(&table, "%lld", (long long)json_int(class, "count", 0));
                table_add(&table, size);
                table_add(&table, free_size);
        }
        table_print(&table, stdout, 0);
        table_release(&table);
}

static int run_df(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *classes = NULL;
        struct err err = ERR_INIT;

        (void)args;
        if (client_call(cli, "GET", "/v1/df", NULL, &classes, &err) < 0)
                return cli_fail(&err);
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, classes);
        print_classes(classes);
        return CLI_OK; /* main() flushes and checks */
}

const struct command cmd_system_df = {
        .name = "system df",
        .usage = "[OPTIONS]",
        .about = "what takes space on the disk, and what could be given back",
        .help = "Layers and disks that no stack and no VM uses are given back by 'berth image "
                "prune "
                "--all', volumes of stacks that are gone by 'berth volume rm'.\n\n"
                "Examples:\n  berth system df -o json\n",
        .options = df_options,
        .run = run_df,
};
