/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/target.h"

static const struct option_def options[] = {
        {'f', "follow", NULL, "go on with what is written from now on"},
        {'n', "tail", "N", "only the last N lines (default: all)"},
        {0, "since", "TIME", "only lines of the last TIME (10m) or after a time (RFC 3339)"},
        {'t', "timestamps", NULL, "with the time of each line"},
        {0, "boot", NULL, "the guest kernel's boot log instead of the service's output"},
        {'o', "output", "FORMAT", "table (text) or json (one object a line)"},
        {0, NULL, NULL, NULL},
};

struct printer {
        bool json, times, names;
        bool failed;
};

/* The service's own output is given as it is: it is the user's program and the user's terminal. */
static int on_line(void *arg, json_t *line)
{
        struct printer *printer = arg;
        const json_t *text = json_object_get(line, "text");

        if (printer->json) {
                AUTO_FREE char *all = json_text(line);

                (void)puts(all); /* checked by the flush below */
        } else {
                if (printer->times)
                        (void)printf("%s ", json_str(line, "time", ""));
                if (printer->names)
                        (void)printf("%s/%lld | ", json_str(line, "service", "?"),
                                     (long long)json_int(line, "replica", 1));
                (void)fwrite(json_string_value(text) ? json_string_value(text) : "", 1,
                             json_string_length(text), stdout);
                (void)putchar('\n');
        }
        printer->failed = fflush(stdout) != 0;
        return printer->failed;
}

/* "10m" counts back from now; the API wants a time. */
static int since_time(const char *text, char *ret, struct err *err)
{
        int64_t back_ms, at_ns;

        if (value_duration_ms(text, &back_ms, NULL) == 0)
                at_ns = clock_wall_ns() - back_ms * 1000000;
        else if (clock_parse(text, &at_ns) < 0)
                return err_set(err, EINVAL,
                               "--since %.64s: write a duration such as 10m, or a time such as "
                               "2026-01-31T12:00:00Z",
                               text);
        clock_text(at_ns, ret);
        return 0;
}

/* Whether lines of more than one replica can come. */
static bool several(struct cli *cli, const struct target *target)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        AUTO_JSON json_t *replicas = NULL;
        const json_t *replica;
        size_t i, n = 0;

        if (!target->service || target->replica)
                return !target->service;
        strbuf_adds(&path, "/v1/ps?all=1");
        client_query(&path, "stack", target->stack);
        if (client_call(cli, "GET", strbuf_str(&path), NULL, &replicas, NULL) < 0)
                return false; /* only a matter of decoration */
        json_array_foreach(replicas, i, replica)
                n += streq(json_str(replica, "service", ""), target->service) ? 1 : 0;
        return n > 1;
}

static int build_path(const struct args *args, const struct target *target, struct strbuf *path,
                      struct err *err)
{
        const char *tail = args_value(args, "tail"), *since = args_value(args, "since");
        char since_at[CLOCK_TEXT_MAX], number[16];
        int64_t n;

        if (tail && !streq(tail, "all") && value_int(tail, 0, 100000000, &n, err) < 0)
                return err_wrap(err, "--tail");
        if (since && since_time(since, since_at, err) < 0)
                return -EINVAL;
        (void)snprintf(number, sizeof(number), "%u", target->replica); /* fits */
        strbuf_adds(path, "/v1/logs");
        client_query(path, "stack", target->stack);
        client_query(path, "service", target->service);
        client_query(path, "replica", target->replica ? number : NULL);
        client_query(path, "follow", args_flag(args, "follow") ? "1" : NULL);
        client_query(path, "tail", streq(tail, "all") ? NULL : tail);
        client_query(path, "since", since ? since_at : NULL);
        client_query(path, "boot", args_flag(args, "boot") ? "1" : NULL);
        return 0;
}

static int logs(struct cli *cli, const struct args *args, struct target *target)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        struct printer printer = {.json = cli->format == FORMAT_JSON,
                                  .times = args_flag(args, "timestamps")};
        struct client_stream stream = {.on_item = on_line, .arg = &printer};
        struct err err = ERR_INIT;

        if (cli->format == FORMAT_YAML)
                return cli_usage(args->command, "logs are table (text) or json");
        if (target_any(cli, args_operand(args, 0), target, &err) < 0)
                return cli_fail(&err);
        if (build_path(args, target, &path, &err) < 0)
                return cli_usage(args->command, "%s", err.msg);
        printer.names = several(cli, target);
        stream.path = strbuf_str(&path);
        if (client_follow(cli, &stream, &err) < 0)
                return cli_fail(&err);
        return printer.failed ? cli_error(CLI_FAILED, "standard output: %s", strerror(errno))
                              : CLI_OK;
}

static int run(struct cli *cli, const struct args *args)
{
        struct target target = {0};
        int r = logs(cli, args, &target);

        target_release(&target);
        return r;
}

const struct command cmd_logs = {
        .name = "logs",
        .usage = "STACK | STACK/SERVICE[/N] [OPTIONS]",
        .about = "what services wrote to their standard output and error",
        .help = "Lines of several replicas carry SERVICE/N in front. Logs outlive restarts of the "
                "service and\nof berthd.\n\n"
                "Examples:\n"
                "  berth logs -f shop\n"
                "  berth logs --since 10m -t shop/web\n"
                "  berth logs --boot shop/web/1\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run,
};
