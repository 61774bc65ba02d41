/* SPDX-License-Identifier: Apache-2.0 */
/* stop, start, restart, scale, rollback: changes of a stack without its manifest. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/interrupt.h"
#include "orchestrator/cli/progress.h"
#include "orchestrator/cli/stacks.h"
#include "orchestrator/cli/target.h"

#define CHANGE_TIMEOUT_MS (5 * 60 * 1000)

static const struct option_def options[] = {
        {0, "timeout", "TIME", "give up waiting after TIME (default 5m); berth goes on trying"},
        {'d', "detach", NULL, "return when the change is accepted, do not wait"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

/* Stopping is done when the services that were named are; others may wait for them now. */
static int judge_stopped(const struct progress *progress, const json_t *status)
{
        const json_t *names = json_object_get(progress->judge_arg, "services"), *service;
        size_t i;

        json_array_foreach(json_object_get(status, "services"), i, service) {
                const char *name = json_str(service, "service", "");
                bool meant = !names;
                const json_t *item;
                size_t k;

                json_array_foreach(names, k, item)
                        meant = meant || streq(json_string_value(item), name);
                if (meant && !streq(json_str(service, "phase", ""), "stopped"))
                        return -1;
        }
        return PROGRESS_OK;
}

static int tell_end(struct cli *cli, const struct progress *progress, enum progress_end end)
{
        const char *stack = progress->stack;

        switch (end) {
        case PROGRESS_OK:
                if (cli->format != FORMAT_TABLE)
                        return cli_print_value(cli, progress->status);
                (void)printf("Stack %s: revision %lld is as wanted.\n", stack,
                             (long long)json_int(progress->status, "revision", 0));
                return CLI_OK; /* main() flushes and checks */
        case PROGRESS_FAILED:
                progress_report(cli, stack, progress->status);
                return cli_error(CLI_FAILED, "stack %s is not as wanted; see 'berth why %s'", stack,
                                 stack);
        case PROGRESS_GONE:
                return cli_error(CLI_FAILED, "stack %s was deleted meanwhile", stack);
        case PROGRESS_TIMEOUT:
                return cli_error(CLI_TIMEOUT,
                                 "stack %s is not as wanted within --timeout; berth goes on "
                                 "trying, see 'berth why %s'",
                                 stack, stack);
        case PROGRESS_WOKEN:
                return CLI_SIGNAL + SIGINT;
        }
        bug("progress_end");
}

static int wait_changed(struct cli *cli, const char *stack, const json_t *body, int64_t revision,
                        int64_t timeout_ms)
{
        AUTO_CLOSE int interrupt = interrupt_open();
        bool stop = streq(json_str(body, "do", ""), "stop");
        struct progress progress = {
                .cli = cli,
                .stack = stack,
                .revision = revision,
                .deadline_ms = clock_mono_ms() + timeout_ms,
                .wake = true,
                .wake_fd = interrupt,
                .judge = stop ? judge_stopped : NULL,
                .judge_arg = body,
        };
        enum progress_end end = PROGRESS_FAILED;
        struct err err = ERR_INIT;
        int r = progress_follow(&progress, &end, &err);

        r = r < 0 ? cli_fail(&err) : tell_end(cli, &progress, end);
        progress_release(&progress);
        return r;
}

/* Ask for the change, and wait for it unless told not to. */
static int change(struct cli *cli, const struct args *args, const char *stack, const json_t *body)
{
        AUTO_JSON json_t *answer = NULL;
        struct err err = ERR_INIT;
        int64_t timeout_ms;
        int r = cli_duration(args, "timeout", CHANGE_TIMEOUT_MS, &timeout_ms);

        if (r != CLI_OK)
                return r;
        if (stack_change(cli, stack, body, &answer, &err) < 0)
                return cli_fail(&err);
        if (!args_flag(args, "detach"))
                return wait_changed(cli, stack, body, json_int(answer, "revision", 0), timeout_ms);
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, answer);
        (void)printf("Stack %s: revision %lld accepted.\n", stack,
                     (long long)json_int(answer, "revision", 0));
        return CLI_OK; /* main() flushes and checks */
}

/* Put what an operand names into body; all have to be of one stack. */
static int add_target(struct cli *cli, const char *text, char **stack, json_t *body,
                      struct err *err)
{
        struct target target = {0};
        json_t *list = json_object_get(body, "services");
        int r = target_any(cli, text, &target, err);

        if (r == 0 && target.replica)
                r = err_set(err, EINVAL, "%s: name the service, not one replica of it", text);
        if (r == 0 && *stack && !streq(*stack, target.stack))
                r = err_set(err, EINVAL, "%s and %s are two stacks: one at a time", *stack,
                            target.stack);
        if (r == 0 && !*stack)
                *stack = xstrdup(target.stack);
        if (r == 0 && target.service && !list) {
                list = json_array();
                json_object_set_new(body, "services", list);
        }
        if (r == 0 && target.service)
                json_array_append_new(list, json_string(target.service));
        target_release(&target);
        return r;
}

static int run_services(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *body = json_pack("{s:s}", "do", args->command->name);
        AUTO_FREE char *stack = NULL;
        struct err err = ERR_INIT;
        const char *operand;

        for (size_t i = 0; (operand = args_operand(args, i)); i++)
                if (add_target(cli, operand, &stack, body, &err) < 0)
                        return cli_fail(&err);
        return change(cli, args, stack, body);
}

static int run_scale(struct cli *cli, const struct args *args)
{
        AUTO_FREE char *operand = xstrdup(args_operand(args, 0));
        AUTO_JSON json_t *body = json_pack("{s:s}", "do", "scale");
        char *equals = strchr(operand, '=');
        AUTO_FREE char *stack = NULL;
        struct err err = ERR_INIT;
        int64_t replicas;

        if (!equals)
                return cli_usage(args->command, "%s: SERVICE=N is what it takes", operand);
        *equals = '\0';
        if (value_int(equals + 1, 0, SERVICE_REPLICAS_MAX, &replicas, &err) < 0)
                return cli_usage(args->command, "%s: replicas: %s", operand, err.msg);
        json_set_int(body, "replicas", replicas);
        if (add_target(cli, operand, &stack, body, &err) < 0)
                return cli_fail(&err);
        if (!json_object_get(body, "services"))
                return cli_usage(args->command, "%s: which service of the stack?", operand);
        return change(cli, args, stack, body);
}

static int run_rollback(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *body = json_pack("{s:s}", "do", "rollback");
        const char *revision = args_operand(args, 1);
        struct err err = ERR_INIT;
        int64_t n = 0;

        if (revision && value_int(revision, 1, UINT32_MAX, &n, &err) < 0)
                return cli_usage(args->command, "revision: %s", err.msg);
        if (n)
                json_set_int(body, "revision", n);
        return change(cli, args, args_operand(args, 0), body);
}

const struct command cmd_stop = {
        .name = "stop",
        .usage = "STACK | STACK/SERVICE... [OPTIONS]",
        .about = "stop services until 'start' or the next 'apply'",
        .help = "Dependants stop before what they depend on. Addresses and volumes are kept.\n\n"
                "Examples:\n  berth stop shop/web\n  berth stop shop\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1000,
        .run = run_services,
};

const struct command cmd_start = {
        .name = "start",
        .usage = "STACK | STACK/SERVICE... [OPTIONS]",
        .about = "start services that were stopped, or have failed",
        .help = "Examples:\n  berth start shop/web\n  berth start shop\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1000,
        .run = run_services,
};

const struct command cmd_restart = {
        .name = "restart",
        .usage = "STACK | STACK/SERVICE... [OPTIONS]",
        .about = "give services new VMs, one replica after the other",
        .help = "Jobs that have completed run again.\n\n"
                "Examples:\n  berth restart shop/web\n  berth restart shop\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1000,
        .run = run_services,
};

const struct command cmd_scale = {
        .name = "scale",
        .usage = "STACK/SERVICE=N [OPTIONS]",
        .about = "run N replicas of a service until the next 'apply' says otherwise",
        .help = "The number goes into the stack's revision: 'berth diff' shows it against the "
                "manifest,\nand 'berth apply' takes the manifest's number again.\n\n"
                "Example:\n  berth scale shop/web=3\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run_scale,
};

const struct command cmd_rollback = {
        .name = "rollback",
        .usage = "STACK [REVISION] [OPTIONS]",
        .about = "want an earlier revision's manifest again",
        .help = "Without a REVISION, the last one whose manifest differs from the present one. "
                "See 'berth history'.\n\n"
                "Examples:\n  berth rollback shop\n  berth rollback shop 3\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 2,
        .run = run_rollback,
};
