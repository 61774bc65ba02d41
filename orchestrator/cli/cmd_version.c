/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/daemon.h"

static const struct option_def options[] = {
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

/* The client alone when no daemon runs: asking for a version starts nothing. */
static int run(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *both = json_object();
        json_t *client = json_object();
        json_t *daemon = NULL;
        struct err err = ERR_INIT;

        (void)args;
        json_set_str(client, "version", BERTH_VERSION);
        json_set_int(client, "api", API_VERSION);
        if (json_object_set_new(both, "client", client) < 0)
                bug("json_object_set_new");
        if (daemon_serving(&cli->roots)) {
                if (client_call(cli, "GET", "/v1/version", NULL, &daemon, &err) < 0)
                        return cli_fail(&err);
                if (json_object_set_new(both, "server", daemon) < 0)
                        bug("json_object_set_new");
        }
        if (daemon && json_int(daemon, "api", 0) != API_VERSION)
                cli_warn("berthd speaks API %lld, this berth %d; restart it with 'berth system "
                         "stop'",
                         (long long)json_int(daemon, "api", 0), API_VERSION);
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, both);
        (void)printf("berth   %s\nberthd  %s\n", BERTH_VERSION,
                     daemon ? json_str(daemon, "version", "?") : "(not running)");
        return CLI_OK; /* main() flushes and checks */
}

const struct command cmd_version = {
        .name = "version",
        .usage = "[OPTIONS]",
        .about = "versions of berth and of the running berthd",
        .options = options,
        .run = run,
};
