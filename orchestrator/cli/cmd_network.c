/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/table.h"

static const struct option_def ls_options[] = {
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

/* Members are a number, a list of names, or an object by name: shown as how many there are. */
static size_t member_count(const json_t *members)
{
        if (json_is_integer(members))
                return json_integer_value(members) > 0 ? (size_t)json_integer_value(members) : 0;
        return json_is_object(members) ? json_object_size(members) : json_array_size(members);
}

static int run_ls(struct cli *cli, const struct args *args)
{
        static const char *const headings[] = {"STACK",   "NETWORK", "SUBNET", "GATEWAY",
                                               "MEMBERS", "STATE",   NULL};
        AUTO_JSON json_t *networks = NULL;
        struct err err = ERR_INIT;
        const json_t *network;
        struct table table;
        size_t i;

        (void)args;
        if (client_call(cli, "GET", "/v1/networks", NULL, &networks, &err) < 0)
                return cli_fail(&err);
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, networks);
        table_init(&table, headings);
        json_array_foreach(networks, i, network) {
                table_add(&table, json_str(network, "stack", NULL));
                table_add(&table, json_str(network, "name", NULL));
                table_add(&table, json_str(network, "subnet", NULL));
                table_add(&table, json_str(network, "gateway", NULL));
                table_addf(&table, "%zu", member_count(json_object_get(network, "members")));
                table_add(&table, json_bool(network, "up", false) ? "up" : "down");
        }
        table_print(&table, stdout, 0);
        table_release(&table);
        return CLI_OK;
}

const struct command cmd_network_ls = {
        .name = "network ls",
        .usage = "[OPTIONS]",
        .about = "list networks",
        .help = "Examples:\n  berth network ls -o json\n",
        .options = ls_options,
        .run = run_ls,
};
