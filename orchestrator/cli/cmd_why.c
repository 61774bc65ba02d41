/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/draw.h"
#include "orchestrator/cli/explain_text.h"
#include "orchestrator/cli/stacks.h"
#include "orchestrator/cli/table.h"
#include "orchestrator/cli/target.h"

/* Events that are shown with the state. */
#define WHY_EVENTS "10"
/* Lines of the output of a service that failed. */
#define WHY_LINES "5"
/* A service and all its replicas in words. */
#define TEXT_MAX (4u << 20)

static const struct option_def options[] = {
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static int on_event(void *arg, json_t *event)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(TEXT_MAX);
        bool *first = arg;

        explain_event(event, &out);
        (void)printf("%s  %s", *first ? "last events:\n" : "", strbuf_str(&out));
        *first = false; /* main() flushes and checks */
        return 0;
}

static int print_events(struct cli *cli, const struct target *target, struct err *err)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        bool first = true;
        struct client_stream stream = {.on_item = on_event, .arg = &first};

        strbuf_adds(&path, "/v1/events");
        client_query(&path, "stack", target->stack);
        client_query(&path, "service", target->service);
        client_query(&path, "limit", WHY_EVENTS);
        stream.path = strbuf_str(&path);
        return client_follow(cli, &stream, err);
}

/* The last lines of those that ended badly: a program's own words are the best reason. */
static void print_logs(struct cli *cli, const struct target *target, const json_t *status)
{
        const json_t *service;
        size_t i;

        json_array_foreach(json_object_get(status, "services"), i, service) {
                const char *name = json_str(service, "service", "");
                const char *phase = json_str(service, "phase", "");
                AUTO_FREE char *heading = xasprintf("last output of %s:\n", name);

                if ((streq(phase, "failed") || streq(phase, "backoff")) &&
                    (!target->service || streq(name, target->service)))
                        log_print(cli, target->stack, service, WHY_LINES, heading, stdout);
        }
}

/* A stack that is as wanted, but not as the last apply wanted it. */
static int print_undone(struct cli *cli, const char *stack, const json_t *status, struct err *err)
{
        AUTO_FREE char *note = NULL;
        int r = json_object_get(status, "undoes")
                        ? stack_note(cli, stack, json_int(status, "revision", 0), &note, err)
                        : 0;

        if (note)
                (void)printf("revision %lld was taken back: %s\n",
                             (long long)json_int(status, "undoes", 0),
                             note); /* main() flushes and checks */
        return r;
}

static int why(struct cli *cli, const char *text, struct target *target, struct err *err)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(TEXT_MAX);
        AUTO_JSON json_t *status = NULL;
        int r = target_any(cli, text, target, err);

        if (r == 0)
                r = stack_status(cli, target->stack, &status, err);
        if (r < 0)
                return r;
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, status);
        if (!explain_status(status, target->service, &out))
                return err_set(err, ENOENT, "stack %s has no service %s", target->stack,
                               target->service ? target->service : "at all");
        (void)fputs(strbuf_str(&out), stdout); /* main() flushes and checks */
        r = print_undone(cli, target->stack, status, err);
        if (r < 0)
                return r;
        print_logs(cli, target, status);
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
        .help = "A service is told with what it waits for, and that with what it waits for, down "
                "to the\nreason; with what the last test of its health said, what it wrote last, "
                "and its last events.\n\n"
                "Examples:\n  berth why shop/web\n  berth why shop\n",
        .options = options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run,
};
