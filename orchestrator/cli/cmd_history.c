/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/changes.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

static const struct option_def options[] = {
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static void print_history(const json_t *list)
{
        static const char *const headings[] = {"REVISION", "AGE", "BY", "CHANGES", NULL};
        struct table table;
        const json_t *r;
        size_t i;

        table_init(&table, headings);
        json_array_foreach(list, i, r) {
                AUTO_FREE char *note = text_safe(json_str(r, "note", ""));
                AUTO_FREE char *summary = changes_summary(json_object_get(r, "changes"));
                char age[16];

                since_text(json_str(r, "created", NULL), age);
                table_addf(&table, "%lld%s", (long long)json_int(r, "revision", 0),
                           json_bool(r, "current", false) ? " *" : "");
                table_add(&table, age);
                table_add(&table, note);
                table_add(&table, summary);
        }
        table_print(&table, stdout, 0);
        table_release(&table);
}

static int run(struct cli *cli, const struct args *args)
{
        AUTO_FREE char *name = http_escape(args_operand(args, 0));
        AUTO_FREE char *path = xasprintf("/v1/stacks/%s/history", name);
        AUTO_JSON json_t *list = NULL;
        struct err err = ERR_INIT;

        if (client_call(cli, "GET", path, NULL, &list, &err) < 0)
                return cli_fail(&err);
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, list);
        print_history(list);
        return CLI_OK;
}

const struct command cmd_history = {
        .name = "history",
        .usage = "STACK [OPTIONS]",
        .about = "list the revisions of a stack and what made them",
        .help = "The present one is marked with *. The last 100 are kept.\n\n"
                "Example:\n  berth history shop\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run,
};
