/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/http.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

/* Longest list of users that is shown. */
#define USERS_MAX 4096

static const struct option_def ls_options[] = {
        {'q', "quiet", NULL, "names only"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def rm_options[] = {{0, NULL, NULL, NULL}};

/* "shop/db/1, shop/web/1" of a list of names. */
static char *users_text(const json_t *names)
{
        struct strbuf out = STRBUF_INIT(USERS_MAX);
        const json_t *name;
        size_t i;

        json_array_foreach(names, i, name)
                if (json_is_string(name))
                        strbuf_addf(&out, "%s%s", out.len ? ", " : "", json_string_value(name));
        return strbuf_take(&out);
}

static void print_volumes(const struct cli *cli, const json_t *volumes)
{
        static const char *const headings[] = {"NAME",    "STACK",     "SIZE", "USED",
                                               "CREATED", "IN USE BY", NULL};
        struct table table;
        const json_t *volume;
        unsigned columns = 0, rows;
        size_t i;

        table_init(&table, headings);
        json_array_foreach(volumes, i, volume) {
                AUTO_FREE char *users = users_text(json_object_get(volume, "in_use"));
                char size[16], used[16], since[16];

                size_text(json_int(volume, "size_bytes", 0), size);
                size_text(json_int(volume, "used_bytes", 0), used);
                since_text(json_str(volume, "created", NULL), since);
                table_add(&table, json_str(volume, "name", NULL));
                table_add(&table, json_str(volume, "stack", NULL));
                table_add(&table, size);
                table_add(&table, used);
                table_addf(&table, "%s%s", since, streq(since, "-") ? "" : " ago");
                table_add(&table, users);
        }
        if (cli->out_tty)
                terminal_size(1, &columns, &rows);
        table_print(&table, stdout, columns);
        table_release(&table);
}

static int run_ls(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *volumes = NULL;
        struct err err = ERR_INIT;
        const json_t *volume;
        size_t i;

        if (client_call(cli, "GET", "/v1/volumes", NULL, &volumes, &err) < 0)
                return cli_fail(&err);
        if (args_flag(args, "quiet")) {
                json_array_foreach(volumes, i, volume)
                        (void)printf("%s\n", json_str(volume, "name", "?")); /* main() checks */
                return CLI_OK;
        }
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, volumes);
        print_volumes(cli, volumes);
        return CLI_OK;
}

static int run_rm(struct cli *cli, const struct args *args)
{
        return client_remove_each(cli, "/v1/volumes/", args);
}

const struct command cmd_volume_ls = {
        .name = "volume ls",
        .usage = "[OPTIONS]",
        .about = "list volumes",
        .help = "Examples:\n  berth volume ls\n  berth volume ls -o json\n",
        .options = ls_options,
        .run = run_ls,
};

const struct command cmd_volume_rm = {
        .name = "volume rm",
        .usage = "NAME...",
        .about = "remove volumes and their data; refused while in use",
        .help = "Examples:\n  berth volume rm shop_data\n",
        .options = rm_options,
        .operands_min = 1,
        .operands_max = 1000,
        .run = run_rm,
};
