/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/explain_text.h"
#include "orchestrator/cli/stacks.h"
#include "orchestrator/cli/table.h"
#include "orchestrator/cli/target.h"

/* Events that are shown with the state. */
#define WHY_EVENTS "10"
/* A service and all its replicas in words. */
#define TEXT_MAX (4u << 20)

static const struct option_def options[] = {
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static void print_service(const json_t *service)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(TEXT_MAX);

        explain_service(service, &out);
        (void)fputs(strbuf_str(&out), stdout); /* main() flushes and checks */
}

static int on_event(void *arg, json_t *event)
{
        const struct target *target = arg;
        AUTO_FREE char *reason = text_safe(json_str(event, "reason", ""));
        AUTO_FREE char *message = text_safe(json_str(event, "message", ""));

        if (target->service && !streq(json_str(event, "service", ""), target->service))
                return 0;
        (void)printf("  %.19s  %-12s %s%s%s\n", json_str(event, "time", ""),
                     json_str(event, "type", ""), reason, *reason && *message ? ": " : "",
                     message); /* main() flushes and checks */
        return 0;
}

static int print_events(struct cli *cli, struct target *target, struct err *err)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        struct client_stream stream = {.on_item = on_event, .arg = target};

        strbuf_adds(&path, "/v1/events");
        client_query(&path, "stack", target->stack);
        client_query(&path, "limit", WHY_EVENTS);
        stream.path = strbuf_str(&path);
        (void)printf("last events:\n"); /* main() flushes and checks */
        return client_follow(cli, &stream, err);
}

static int why(struct cli *cli, const char *text, struct target *target, struct err *err)
{
        AUTO_JSON json_t *status = NULL;
        const json_t *service;
        bool found = false;
        size_t i;
        int r = target_any(cli, text, target, err);

        if (r == 0)
                r = stack_status(cli, target->stack, &status, err);
        if (r < 0)
                return r;
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, status);
        json_array_foreach(json_object_get(status, "services"), i, service) {
                if (target->service && !streq(json_str(service, "service", ""), target->service))
                        continue;
                found = true;
                print_service(service);
        }
        if (!found)
                return err_set(err, ENOENT, "stack %s has no service %s", target->stack,
                               target->service ? target->service : "at all");
        return print_events(cli, target, err);
}

static int run(struct cli *cli, const struct args *args)
{
        struct target target = {0};
        struct err err = ERR_INIT;
        int r = why(cli, args_operand(args, 0), &target, &err);

        target_release(&target);
        return r < 0 ? cli_fail(&err) : CLI_OK;
}

const struct command cmd_why = {
        .name = "why",
        .usage = "STACK | STACK/SERVICE",
        .about = "tell in words where a service stands, and why",
        .help = "Examples:\n  berth why shop/web\n  berth why shop\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run,
};
