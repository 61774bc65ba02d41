/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/auto.h"
#include "base/http.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/table.h"

static const struct option_def ls_options[] = {
        {'q', "quiet", NULL, "names only"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def create_options[] = {
        {0, "subnet", "A.B.C.D/N", "its addresses, from /16 to /29; chosen when left out"},
        {0, "internal", NULL, "no way out of it"},
        {0, "label", "KEY=VALUE", "a note for people; may be given more than once"},
        {'d', "driver", "NAME", "bridge, the only one there is"},
        {0, NULL, NULL, NULL},
};

static const struct option_def inspect_options[] = {
        {'o', "output", "FORMAT", "json (default) or yaml"},
        {0, NULL, NULL, NULL},
};

static const struct option_def rm_options[] = {{0, NULL, NULL, NULL}};

static void print_networks(const json_t *networks)
{
        static const char *const headings[] = {"STACK",   "NETWORK", "SUBNET", "GATEWAY",
                                               "MEMBERS", "STATE",   NULL};
        const json_t *network;
        struct table table;
        size_t i;

        table_init(&table, headings);
        json_array_foreach(networks, i, network) {
                table_add(&table, json_str(network, "stack", NULL));
                table_add(&table, json_str(network, "name", NULL));
                table_add(&table, json_str(network, "subnet", NULL));
                table_add(&table, json_str(network, "gateway", NULL));
                table_addf(&table, "%zu", json_array_size(json_object_get(network, "members")));
                table_add(&table, json_bool(network, "up", false) ? "up" : "down");
        }
        table_print(&table, stdout, 0);
        table_release(&table);
}

/* As `inspect` takes it: NAME, or STACK/NAME of one that is a stack's own. */
static void print_name(const json_t *network)
{
        const char *stack = json_str(network, "stack", NULL);

        (void)printf("%s%s%s\n", stack ? stack : "", stack ? "/" : "",
                     json_str(network, "name", "?")); /* main() checks */
}

static int run_ls(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *networks = NULL;
        struct err err = ERR_INIT;
        const json_t *network;
        size_t i;

        if (client_call(cli, "GET", "/v1/networks", NULL, &networks, &err) < 0)
                return cli_fail(&err);
        if (args_flag(args, "quiet")) {
                json_array_foreach(networks, i, network)
                        print_name(network);
                return CLI_OK;
        }
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, networks);
        print_networks(networks);
        return CLI_OK;
}

static json_t *labels_json(const struct args *args)
{
        json_t *labels = json_object();
        AUTO_FREE const char **values = args_values(args, "label", NULL);

        for (size_t i = 0; values[i]; i++) {
                const char *equals = strchr(values[i], '=');
                AUTO_FREE char *key = equals ? xstrndup(values[i], (size_t)(equals - values[i]))
                                             : xstrdup(values[i]);

                json_set_str(labels, key, equals ? equals + 1 : "");
        }
        return labels;
}

static int run_create(struct cli *cli, const struct args *args)
{
        const char *name = args_operand(args, 0), *driver = args_value(args, "driver");
        AUTO_JSON json_t *body = json_object();
        struct err err = ERR_INIT;

        if (driver && !streq(driver, "bridge")) {
                err_set(&err, EINVAL, "there is no driver '%.40s'; leave it out (bridge)", driver);
                return cli_fail(&err);
        }
        json_set_str(body, "name", name);
        json_set_str(body, "subnet", args_value(args, "subnet"));
        json_set_bool(body, "internal", args_flag(args, "internal"));
        json_object_set_new(body, "labels", labels_json(args));
        if (client_call(cli, "POST", "/v1/networks", body, NULL, &err) < 0)
                return cli_fail(&err);
        (void)printf("created %s\n", name); /* main() checks */
        return CLI_OK;
}

static int run_inspect(struct cli *cli, const struct args *args)
{
        const char *text = args_operand(args, 0), *slash = strchr(text, '/');
        AUTO_FREE char *stack = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup("");
        AUTO_FREE char *stack_text = http_escape(stack);
        AUTO_FREE char *name = http_escape(slash ? slash + 1 : text);
        AUTO_FREE char *path =
                xasprintf("/v1/networks/%s%s%s", name, slash ? "?stack=" : "", stack_text);
        AUTO_JSON json_t *network = NULL;
        struct err err = ERR_INIT;

        if (client_call(cli, "GET", path, NULL, &network, &err) < 0)
                return cli_fail(&err);
        return cli_print_value(cli, network);
}

static int run_rm(struct cli *cli, const struct args *args)
{
        return client_remove_each(cli, "/v1/networks/", args);
}

const struct command cmd_network_ls = {
        .name = "network ls",
        .usage = "[OPTIONS]",
        .about = "list networks",
        .help = "Networks without a stack are shared.\n\n"
                "Examples:\n  berth network ls -o json\n",
        .options = ls_options,
        .run = run_ls,
};

const struct command cmd_network_create = {
        .name = "network create",
        .usage = "NAME [OPTIONS]",
        .about = "make a network that stacks share",
        .help = "Services are on it whose manifest says `external: true` beside its name.\n\n"
                "Examples:\n"
                "  berth network create proxy\n"
                "  berth network create backend --internal --subnet 10.7.0.0/24\n",
        .options = create_options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run_create,
};

const struct command cmd_network_inspect = {
        .name = "network inspect",
        .usage = "NAME | STACK/NAME [OPTIONS]",
        .about = "addresses, members and users of a network",
        .help = "Examples:\n"
                "  berth network inspect proxy\n"
                "  berth network inspect shop/default | jq .members\n",
        .options = inspect_options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run_inspect,
};

const struct command cmd_network_rm = {
        .name = "network rm",
        .usage = "NAME...",
        .about = "remove networks that stacks share; refused while in use",
        .help = "Networks of a stack go with it.\n\nExamples:\n  berth network rm proxy\n",
        .options = rm_options,
        .operands_min = 1,
        .operands_max = 1000,
        .run = run_rm,
};
