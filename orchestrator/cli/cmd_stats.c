/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/interrupt.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"
#include "orchestrator/cli/target.h"

/* Between two samples; load of the processor is what was used between them. */
#define INTERVAL_MS 1000

static const struct option_def options[] = {
        {0, "no-stream", NULL, "once, measured over a second"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static int fetch_one(struct cli *cli, const char *text, json_t *list, struct err *err)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        AUTO_FREE char *replica = NULL;
        AUTO_JSON json_t *answer = NULL;
        struct target target = {0};
        int r = text ? target_any(cli, text, &target, err) : 0;

        if (r < 0)
                return r;
        if (target.replica)
                replica = xasprintf("%u", target.replica);
        strbuf_adds(&path, "/v1/stats");
        client_query(&path, "stack", target.stack);
        client_query(&path, "service", target.service);
        client_query(&path, "replica", replica);
        target_release(&target);
        r = client_call(cli, "GET", strbuf_str(&path), NULL, &answer, err);
        if (r == 0)
                (void)json_array_extend(list, answer); /* fails only out of memory */
        return r;
}

static int fetch(struct cli *cli, const struct args *args, json_t **ret, struct err *err)
{
        AUTO_JSON json_t *list = json_array();
        int r = 0;

        if (args->operands_len == 0)
                r = fetch_one(cli, NULL, list, err);
        for (size_t i = 0; r == 0 && i < args->operands_len; i++)
                r = fetch_one(cli, args->operands[i], list, err);
        if (r == 0)
                *ret = STEAL(list);
        return r;
}

static int64_t figure(const json_t *item, const char *part, const char *name)
{
        return json_int(json_object_get(item, part), name, -1);
}

static const json_t *find_before(const json_t *list, const json_t *item)
{
        const json_t *other;
        size_t i;

        json_array_foreach(list, i, other)
                if (streq(json_str(other, "id", ""), json_str(item, "id", "?")))
                        return other;
        return NULL;
}

/* Percent of one processor that its QEMU took since the sample before. */
static void set_load(json_t *list, const json_t *before)
{
        json_t *item;
        size_t i;

        json_array_foreach(list, i, item) {
                const json_t *old = find_before(before, item);
                int64_t ns = old ? json_int(item, "time_ns", 0) - json_int(old, "time_ns", 0) : 0;
                int64_t usec = figure(item, "host", "cpu_usec") -
                               (old ? figure(old, "host", "cpu_usec") : 0);

                if (ns > 0 && usec >= 0)
                        (void)json_object_set_new(
                                item, "cpu_percent",
                                json_real((double)(usec * 1000) * 100.0 / (double)ns));
        }
}

/* "12M / 119M", "-" where nothing is known. */
static void add_sizes(struct table *table, int64_t a, int64_t b)
{
        char one[16] = "-", two[16] = "-";

        if (a >= 0)
                size_text(a, one);
        if (b >= 0)
                size_text(b, two);
        table_addf(table, "%s / %s", one, two);
}

static void add_row(struct table *table, const json_t *item)
{
        int64_t total = figure(item, "guest", "total_bytes");
        int64_t available = figure(item, "guest", "available_bytes");
        int64_t disk =
                figure(item, "host", "scratch_bytes") + figure(item, "host", "volumes_bytes");
        int64_t pids = figure(item, "guest", "pids");
        const json_t *percent = json_object_get(item, "cpu_percent");
        char text[16] = "-";

        table_add(table, json_str(item, "name", "?"));
        if (percent)
                table_addf(table, "%.1f%%", json_real_value(percent));
        else
                table_add(table, NULL);
        add_sizes(table, total < 0 ? -1 : total - available, total);
        add_sizes(table, figure(item, "host", "private_bytes"),
                  figure(item, "host", "template_bytes"));
        if (disk >= 0)
                size_text(disk, text);
        table_add(table, text);
        add_sizes(table, figure(item, "guest", "net_rx_bytes"),
                  figure(item, "guest", "net_tx_bytes"));
        add_sizes(table, figure(item, "guest", "io_read_bytes"),
                  figure(item, "guest", "io_write_bytes"));
        if (pids >= 0)
                table_addf(table, "%lld", (long long)pids);
        else
                table_add(table, NULL);
}

static void print_table(const struct cli *cli, const json_t *list)
{
        static const char *const headings[] = {"NAME", "CPU",     "USED / VM", "PRIVATE / SHARED",
                                               "DISK", "NET I/O", "BLOCK I/O", "PIDS",
                                               NULL};
        struct table table;
        unsigned columns = 0, rows = 0;
        const json_t *item;
        size_t i;

        table_init(&table, headings);
        json_array_foreach(list, i, item)
                add_row(&table, item);
        if (cli->out_tty)
                terminal_size(STDOUT_FILENO, &columns, &rows);
        table_print(&table, stdout, columns);
        table_release(&table);
}

/* JSON of a stream is one document a line, as logs and events are. */
static int show(const struct cli *cli, const json_t *list, bool stream)
{
        AUTO_FREE char *line = NULL;

        if (cli->format == FORMAT_JSON && stream) {
                line = json_text(list);
                (void)printf("%s\n", line); /* flushed and checked below */
        } else if (cli->format != FORMAT_TABLE) {
                return cli_print_value(cli, list);
        } else {
                if (stream && cli->out_tty)
                        (void)printf("\033[H\033[J"); /* as above */
                print_table(cli, list);
        }
        return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

/* 0: the time is over; else the signal that came. */
static int wait_interval(int signals)
{
        struct pollfd fd = {.fd = signals, .events = POLLIN};

        return poll(&fd, 1, INTERVAL_MS) > 0 ? interrupt_read(signals, NULL) : 0;
}

static int run(struct cli *cli, const struct args *args)
{
        bool stream = !args_flag(args, "no-stream");
        AUTO_JSON json_t *before = NULL;
        struct err err = ERR_INIT;
        int signals, signo = 0, r = CLI_OK;

        if (fetch(cli, args, &before, &err) < 0)
                return cli_fail(&err);
        signals = interrupt_open();
        while (r == CLI_OK && (signo = wait_interval(signals)) == 0) {
                AUTO_JSON json_t *now = NULL;

                if (fetch(cli, args, &now, &err) < 0) {
                        r = cli_fail(&err);
                        break;
                }
                set_load(now, before);
                r = show(cli, now, stream);
                if (!stream)
                        break;
                json_decref(before);
                before = STEAL(now);
        }
        (void)close(signals); /* a signalfd holds nothing */
        return signo ? CLI_SIGNAL + signo : r;
}

const struct command cmd_stats = {
        .name = "stats",
        .usage = "[STACK | STACK/SERVICE[/N]]... [OPTIONS]",
        .about = "what VMs use, and what they cost the host",
        .help = "Once a second, until it is interrupted. CPU: of one processor, all of QEMU. USED "
                "/ "
                "VM: memory\nin use in the guest, of all it has. PRIVATE / SHARED: memory of the "
                "host that is this VM's alone,\nand that it shares with its template. DISK: blocks "
                "of its own disk and its volumes. NET and BLOCK\nI/O: received / sent, read / "
                "written, as the guest says.\n\n"
                "Examples:\n"
                "  berth stats\n"
                "  berth stats --no-stream shop -o json\n",
        .options = options,
        .operands_max = 100,
        .run = run,
};
