/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/interrupt.h"
#include "orchestrator/cli/progress.h"

#define WAIT_TIMEOUT_MS (5 * 60 * 1000)

static const struct option_def options[] = {
        {0, "for", "CONDITION",
         "ready (default), healthy, running, completed, exited, gone,"
         " revision=N"},
        {0, "timeout", "TIME", "give up after TIME (default 5m); 0 looks once"},
        {'q', "quiet", NULL, "no progress"},
        {0, NULL, NULL, NULL},
};

/* Phases in which a service meets a condition, and those in which it never will by itself. */
static const struct condition {
        const char *name;
        const char *met; /* words between spaces */
        const char *never;
} conditions[] = {
        {"healthy", " healthy ", " failed unhealthy completed "},
        {"running", " running healthy unhealthy ", " failed completed "},
        {"completed", " completed ", " failed "},
        {"exited", " completed failed backoff ", " "},
};

struct wanted {
        const struct condition *condition; /* NULL: ready, gone or a revision */
        bool gone;
        int64_t revision; /* -1: any */
        const struct args *args;
        size_t services; /* operands from 1 on; 0: all */
};

static bool selected(const struct wanted *wanted, const json_t *service)
{
        const char *name = json_str(service, "service", "");

        if (wanted->services == 0)
                return true;
        for (size_t i = 1; i <= wanted->services; i++)
                if (streq(args_operand(wanted->args, i), name))
                        return true;
        return false;
}

static bool phase_in(const char *words, const char *phase)
{
        AUTO_FREE char *word = xasprintf(" %s ", phase);

        return strstr(words, word) != NULL;
}

/* One service: a progress_end, or -1. */
static int judge_service(const struct wanted *wanted, const json_t *service)
{
        const char *phase = json_str(service, "phase", "");

        if (wanted->condition) {
                if (phase_in(wanted->condition->met, phase))
                        return PROGRESS_OK;
                return phase_in(wanted->condition->never, phase) ? PROGRESS_FAILED : -1;
        }
        if (!json_bool(service, "settled", false))
                return -1;
        return json_bool(service, "ok", false) ? PROGRESS_OK : PROGRESS_FAILED;
}

static int judge(const struct progress *progress, const json_t *status)
{
        const struct wanted *wanted = progress->judge_arg;
        size_t i, found = 0;
        const json_t *service;
        int all = PROGRESS_OK;

        if (wanted->gone || json_int(status, "revision", 0) < wanted->revision)
                return -1;
        json_array_foreach(json_object_get(status, "services"), i, service) {
                int one;

                if (!selected(wanted, service))
                        continue;
                found++;
                one = judge_service(wanted, service);
                if (one == PROGRESS_FAILED)
                        return one;
                if (one < 0)
                        all = one;
        }
        return wanted->services && found < wanted->services ? PROGRESS_FAILED : all;
}

static int parse_condition(const char *text, struct wanted *wanted, struct err *err)
{
        wanted->revision = -1;
        if (!text || streq(text, "ready"))
                return 0;
        if (has_prefix(text, "revision="))
                return value_int(text + strlen("revision="), 1, INT64_MAX, &wanted->revision, err);
        wanted->gone = streq(text, "gone");
        for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
                if (streq(conditions[i].name, text))
                        wanted->condition = &conditions[i];
        if (wanted->gone || wanted->condition)
                return 0;
        return err_set(err, EINVAL,
                       "--for %s: there are ready, healthy, running, completed, exited, gone and "
                       "revision=N",
                       text);
}

static int report(struct cli *cli, const struct wanted *wanted, const struct progress *progress,
                  enum progress_end end)
{
        switch (end) {
        case PROGRESS_OK:
                return CLI_OK;
        case PROGRESS_GONE:
                if (wanted->gone)
                        return CLI_OK;
                return cli_error(CLI_FAILED, "there is no stack %s", progress->stack);
        case PROGRESS_TIMEOUT:
                return cli_error(CLI_TIMEOUT, "stack %s: timeout", progress->stack);
        case PROGRESS_WOKEN:
                return CLI_SIGNAL + SIGINT;
        case PROGRESS_FAILED:
                progress_report(cli, progress->stack, progress->status);
                return cli_error(CLI_FAILED, "stack %s will not get there by itself",
                                 progress->stack);
        }
        bug("progress_end");
}

static int run(struct cli *cli, const struct args *args)
{
        AUTO_CLOSE int interrupt = interrupt_open();
        struct wanted wanted = {.args = args, .services = args->operands_len - 1};
        struct progress progress = {
                .cli = cli,
                .stack = args_operand(args, 0),
                .quiet = args_flag(args, "quiet"),
                .wake = true,
                .wake_fd = interrupt,
                .judge = judge,
                .judge_arg = &wanted,
        };
        enum progress_end end = PROGRESS_FAILED;
        struct err err = ERR_INIT;
        int64_t timeout_ms;
        int r = cli_duration(args, "timeout", WAIT_TIMEOUT_MS, &timeout_ms);

        if (r != CLI_OK)
                return r;
        if (parse_condition(args_value(args, "for"), &wanted, &err) < 0)
                return cli_usage(args->command, "%s", err.msg);
        /* The first status comes at once: "look once" is a short wait for it. */
        progress.deadline_ms = clock_mono_ms() + (timeout_ms ? timeout_ms : 1000);
        r = progress_follow(&progress, &end, &err) < 0 ? cli_fail(&err)
                                                       : report(cli, &wanted, &progress, end);
        progress_release(&progress);
        return r;
}

const struct command cmd_wait = {
        .name = "wait",
        .usage = "STACK [SERVICE...] [--for CONDITION] [--timeout TIME]",
        .about = "wait until a stack or some of its services are as wanted",
        .help = "ready: healthy, or running without a healthcheck, or completed with 0; fails at "
                "once when\na service cannot get there by itself.\n\n"
                "Exit codes: 0 reached, 1 cannot be reached, 124 timeout.\n\n"
                "Examples:\n"
                "  berth wait shop\n"
                "  berth wait shop db --for healthy --timeout 30s\n"
                "  berth wait shop --for gone\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1000,
        .run = run,
};
