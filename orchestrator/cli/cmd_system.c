/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/daemon.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

/* Stopping VMs takes their grace periods, 10 s each unless a manifest says otherwise. */
#define STOP_TIMEOUT_MS (2 * 60 * 1000)

static const struct option_def show_options[] = {
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def none[] = {{0, NULL, NULL, NULL}};

static const struct option_def stop_options[] = {
        {0, "vms", NULL, "stop all VMs too; they start again with the daemon"},
        {0, "timeout", "TIME", "give up waiting after TIME (default 2m)"},
        {0, NULL, NULL, NULL},
};

static void row(const char *label, const char *value)
{
        AUTO_FREE char *safe = text_safe(value && *value ? value : "-");

        (void)printf("%-11s %s\n", label, safe); /* main() flushes and checks */
}

/* "512M x 1: ready, 14 clones, 23M" */
static void print_template(const json_t *t)
{
        char memory[16], resident[16];
        const char *state = json_str(t, "state", ""), *reason = json_str(t, "reason", NULL);
        AUTO_FREE char *text = NULL;

        size_text(json_int(t, "memory_bytes", 0), memory);
        size_text(json_int(t, "resident_bytes", 0), resident);
        text = xasprintf("%s, %lld CPU: %s%s%s, %lld clones, %s in memory", memory,
                         (long long)json_int(t, "cpus", 0), state, reason ? ": " : "",
                         reason ? reason : "", (long long)json_int(t, "clones", 0), resident);
        row("template", text);
}

/* "2 for each size", then "128M, 1 CPU: 2 wait, 14 claimed" */
static void print_pool(const json_t *pool)
{
        long long size = (long long)json_int(pool, "size", 0);
        const char *why = json_str(pool, "reason", NULL);
        AUTO_FREE char *sizes = xasprintf("%lld of each size", size);
        const json_t *s;
        size_t i;

        row("pool", why ? why : sizes);
        json_array_foreach(json_object_get(pool, "shapes"), i, s) {
                char memory[16];
                const char *reason = json_str(s, "reason", NULL);
                AUTO_FREE char *text = NULL;

                size_text(json_int(s, "memory_bytes", 0), memory);
                text = xasprintf(
                        "%s, %lld CPU: %lld wait, %lld being made, %lld claimed%s%s", memory,
                        (long long)json_int(s, "cpus", 0), (long long)json_int(s, "waiting", 0),
                        (long long)json_int(s, "making", 0), (long long)json_int(s, "claims", 0),
                        reason ? "; " : "", reason ? reason : "");
                row("", text);
        }
}

static void print_ahead(const json_t *ahead)
{
        long long made = (long long)json_int(ahead, "made", 0);
        long long making = (long long)json_int(ahead, "making", 0);
        AUTO_FREE char *text =
                xasprintf("%lld VM%s made for services that wait for others, %lld being made", made,
                          made == 1 ? "" : "s", making);

        if (made + making)
                row("ahead", text);
}

/* "VMs may have 3.0G, 2 x the host's 1.5G; they have 512M" */
static void print_memory(const json_t *memory)
{
        double ratio = json_number_value(json_object_get(memory, "overcommit"));
        int64_t host = json_int(memory, "host_bytes", 0);
        char all[16], of[16], vms[16];
        AUTO_FREE char *text = NULL;

        size_text((int64_t)((double)host * ratio), all);
        size_text(host, of);
        size_text(json_int(memory, "vms_bytes", 0), vms);
        if (ratio > 0)
                text = xasprintf("%s promised to VMs, of %s: the host's %s x %.1f", vms, all, of,
                                 ratio);
        else
                text = xasprintf("%s promised to VMs, the host has %s: no limit", vms, of);
        row("overcommit", text);
}

static void print_info(const json_t *info)
{
        AUTO_FREE char *pid = xasprintf("%lld", (long long)json_int(info, "pid", 0));
        long long stacks = (long long)json_int(info, "stacks", 0);
        long long vms = (long long)json_int(info, "vms", 0);
        AUTO_FREE char *counts = xasprintf("%lld stack%s, %lld VM%s", stacks,
                                           stacks == 1 ? "" : "s", vms, vms == 1 ? "" : "s");
        const char *reason = json_str(info, "isolation_reason", "");
        AUTO_FREE char *isolation = xasprintf("%s%s%s%s", json_str(info, "isolation", "unknown"),
                                              *reason ? " (" : "", reason, *reason ? ")" : "");
        char memory[16], since[16];
        const json_t *template;
        size_t i;

        size_text(json_int(info, "memory_bytes", 0), memory);
        since_text(json_str(info, "started", NULL), since);
        row("version", json_str(info, "version", NULL));
        row("pid", pid);
        row("up", since);
        row("root", json_str(info, "root", NULL));
        row("running", counts);
        row("memory", memory);
        print_memory(json_object_get(info, "memory"));
        row("isolation", isolation);
        row("qemu", json_str(info, "qemu", NULL));
        row("kernel", json_str(info, "kernel", NULL));
        json_array_foreach(json_object_get(info, "templates"), i, template)
                print_template(template);
        if (*json_str(info, "memory_kept", ""))
                row("freed", json_str(info, "memory_kept", NULL));
        print_pool(json_object_get(info, "pool"));
        print_ahead(json_object_get(info, "ahead"));
        if (streq(json_str(info, "isolation", ""), "tcg"))
                (void)printf(
                        "\nVMs run in software emulation: slower, and no security boundary.\n");
}

static int run_info(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *info = NULL;
        struct err err = ERR_INIT;

        (void)args;
        if (client_call(cli, "GET", "/v1/info", NULL, &info, &err) < 0)
                return cli_fail(&err);
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, info);
        print_info(info);
        return CLI_OK;
}

/* An answer, not just a door: one that is ending may still have its socket. */
static bool daemon_answers(struct cli *cli)
{
        bool no_start = cli->no_start;
        int r;

        cli->no_start = true;
        r = client_call(cli, "GET", "/v1/version", NULL, NULL, NULL);
        cli->no_start = no_start;
        return r == 0;
}

static int run_status(struct cli *cli, const struct args *args)
{
        (void)args;
        if (!daemon_answers(cli)) {
                (void)printf("berthd does not run (%s)\n", cli->roots.state); /* main() checks */
                return CLI_FAILED;
        }
        (void)printf("berthd runs (%s)\n", cli->roots.state); /* main() flushes and checks */
        return CLI_OK;
}

static int run_start(struct cli *cli, const struct args *args)
{
        bool ran = daemon_answers(cli);
        struct err err = ERR_INIT;

        (void)args;
        if (client_call(cli, "GET", "/v1/version", NULL, NULL, &err) < 0)
                return cli_fail(&err);
        (void)printf(ran ? "berthd runs already (%s)\n" : "berthd started (%s)\n",
                     cli->roots.state); /* main() flushes and checks */
        return CLI_OK;
}

/* Wait for the end of a process that need not be our child. */
static int wait_end(int pidfd, int64_t timeout_ms, struct err *err)
{
        int64_t deadline = clock_mono_ms() + timeout_ms, left;

        while ((left = deadline - clock_mono_ms()) > 0) {
                struct pollfd p = {.fd = pidfd, .events = POLLIN};
                int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);

                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return err_errno(err, errno, "wait for berthd");
        }
        return err_set(err, ETIMEDOUT, "berthd has not ended within --timeout");
}

static int stop(struct cli *cli, bool vms, int64_t timeout_ms, struct err *err)
{
        AUTO_JSON json_t *version = NULL;
        AUTO_JSON json_t *body = json_pack("{s:b}", "stop_vms", vms);
        AUTO_CLOSE int pidfd = -1;
        int64_t pid = 0;
        int r = client_call(cli, "GET", "/v1/version", NULL, &version, err);

        if (r == 0)
                r = json_need_int(version, "pid", 1, INT32_MAX, "answer of berthd", &pid, err);
        if (r == 0)
                r = fd_pidfd_open((pid_t)pid, &pidfd, err);
        if (r == 0)
                r = client_call(cli, "POST", "/v1/shutdown", body, NULL, err);
        return r < 0 ? r : wait_end(pidfd, timeout_ms, err);
}

static int run_stop(struct cli *cli, const struct args *args)
{
        bool vms = args_flag(args, "vms");
        struct err err = ERR_INIT;
        int64_t timeout_ms;
        int r = cli_duration(args, "timeout", STOP_TIMEOUT_MS, &timeout_ms);

        if (r != CLI_OK)
                return r;
        if (!daemon_answers(cli)) {
                (void)printf("berthd does not run (%s)\n", cli->roots.state); /* main() checks */
                return CLI_OK;
        }
        cli->no_start = true; /* in order to stop it */
        if (stop(cli, vms, timeout_ms, &err) < 0)
                return cli_fail(&err);
        (void)printf(vms ? "berthd and its VMs have stopped\n"
                         : "berthd has stopped; its VMs run on, and the next berthd adopts them\n");
        return CLI_OK; /* main() flushes and checks */
}

const struct command cmd_system_info = {
        .name = "system info",
        .alias = "info",
        .usage = "[OPTIONS]",
        .about = "the daemon, its VMs, and how well they are isolated here",
        .help = "Examples:\n  berth system info -o json\n",
        .options = show_options,
        .run = run_info,
};

const struct command cmd_system_status = {
        .name = "system status",
        .usage = "",
        .about = "whether berthd runs; exit 0 if so, else 1; starts nothing",
        .options = none,
        .run = run_status,
};

const struct command cmd_system_start = {
        .name = "system start",
        .usage = "",
        .about = "start berthd (other commands do it by themselves)",
        .options = none,
        .run = run_start,
};

const struct command cmd_system_stop = {
        .name = "system stop",
        .usage = "[--vms]",
        .about = "end berthd; VMs run on unless --vms is given",
        .help = "Examples:\n  berth system stop\n  berth system stop --vms\n",
        .options = stop_options,
        .run = run_stop,
};
