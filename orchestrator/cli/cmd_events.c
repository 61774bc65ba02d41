/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/explain_text.h"

static const struct option_def options[] = {
        {'f', "follow", NULL, "go on with those that come"},
        {'n', "limit", "N", "only the last N (default: all that are kept)"},
        {0, "since", "SEQ", "only those after the event with this number"},
        {'o', "output", "FORMAT", "table (text) or json (one object a line)"},
        {0, NULL, NULL, NULL},
};

struct printer {
        bool json, failed;
};

static int on_event(void *arg, json_t *event)
{
        struct printer *printer = arg;

        if (printer->json) {
                AUTO_FREE char *all = json_text(event);

                (void)puts(all); /* checked by the flush below */
        } else {
                AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);

                explain_event(event, &out);
                (void)fputs(strbuf_str(&out), stdout); /* checked by the flush below */
        }
        printer->failed = fflush(stdout) != 0;
        return printer->failed;
}

static int run(struct cli *cli, const struct args *args)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        const char *limit = args_value(args, "limit"), *since = args_value(args, "since");
        struct printer printer = {.json = cli->format == FORMAT_JSON};
        struct client_stream stream = {.on_item = on_event, .arg = &printer};
        struct err err = ERR_INIT;
        int64_t n;

        if ((limit && value_int(limit, 0, 100000000, &n, &err) < 0) ||
            (since && value_int(since, 0, INT64_MAX, &n, &err) < 0))
                return cli_usage(args->command, "%s", err.msg);
        strbuf_adds(&path, "/v1/events");
        client_query(&path, "stack", args_operand(args, 0));
        client_query(&path, "follow", args_flag(args, "follow") ? "1" : NULL);
        client_query(&path, "since", since);
        client_query(&path, "limit", limit);
        stream.path = strbuf_str(&path);
        if (client_follow(cli, &stream, &err) < 0)
                return cli_fail(&err);
        return printer.failed ? cli_error(CLI_FAILED, "standard output: %s", strerror(errno))
                              : CLI_OK;
}

const struct command cmd_events = {
        .name = "events",
        .usage = "[STACK] [OPTIONS]",
        .about = "what happened, and why",
        .help = "Examples:\n"
                "  berth events -f\n"
                "  berth events shop -n 20 -o json\n",
        .options = options,
        .operands_max = 1,
        .run = run,
};
