/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/replicas.h"

static const struct option_def options[] = {
        {'a', "all", NULL, "also replicas that have ended"},
        {'w', "wide", NULL, "with restarts and the pid of each VM"},
        {'q', "quiet", NULL, "names only"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static void print_names(const json_t *replicas)
{
        const json_t *replica;
        size_t i;

        json_array_foreach(replicas, i, replica)
                (void)printf("%s\n", json_str(replica, "name", "?")); /* main() checks */
}

static int run(struct cli *cli, const struct args *args)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        AUTO_JSON json_t *replicas = NULL;
        struct err err = ERR_INIT;

        strbuf_adds(&path, "/v1/ps");
        client_query(&path, "stack", args_operand(args, 0));
        client_query(&path, "all", args_flag(args, "all") ? "1" : NULL);
        if (client_call(cli, "GET", strbuf_str(&path), NULL, &replicas, &err) < 0)
                return cli_fail(&err);
        if (args_flag(args, "quiet"))
                print_names(replicas);
        else if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, replicas);
        else
                replicas_print(cli, replicas, args_flag(args, "wide"));
        return CLI_OK;
}

const struct command cmd_ps = {
        .name = "ps",
        .usage = "[STACK] [OPTIONS]",
        .about = "list what runs: state, health, address, ports, isolation",
        .help = "One line a replica. ISOLATION says kvm (hardware) or tcg (software emulation, "
                "which is no\nsecurity boundary).\n\n"
                "Examples:\n"
                "  berth ps\n"
                "  berth ps shop -a -o json\n",
        .options = options,
        .operands_max = 1,
        .run = run,
};
