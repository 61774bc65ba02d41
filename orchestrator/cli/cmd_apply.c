/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/changes.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/draw.h"
#include "orchestrator/cli/interrupt.h"
#include "orchestrator/cli/progress.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/source.h"
#include "orchestrator/cli/stacks.h"

#define APPLY_TIMEOUT_MS (5 * 60 * 1000)

static const struct option_def options[] = {
        OPTION_FILE,
        OPTION_PROJECT,
        OPTION_ENV_FILE,
        OPTION_PROFILE,
        OPTION_STRICT,
        {0, "timeout", "TIME", "give up waiting after TIME (default 5m); berth goes on trying"},
        {'d', "detach", NULL, "return when the manifest is accepted, do not wait"},
        {0, "dry-run", NULL,
         "show what would be done, as 'berth diff' does; exit 0, or 1 if refused"},
        {'v', "verbose", NULL,
         "show the changes field by field first, and the phases of each start"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static int show_end(struct cli *cli, const struct source *source, const struct progress *progress,
                    bool verbose)
{
        AUTO_JSON json_t *replicas = status_replicas(progress->status);

        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, progress->status);
        if (json_array_size(replicas)) {
                replicas_print(cli, replicas, false);
                replicas_print_urls(replicas, stdout);
                if (verbose)
                        replicas_print_phases(replicas);
        } else {
                (void)printf("Stack %s has no services.\n", source->stack->name);
        }
        return CLI_OK; /* main() flushes and checks */
}

static int timed_out(const struct progress *progress, const char *stack)
{
        const json_t *service;
        size_t i;

        json_array_foreach(json_object_get(progress->status, "services"), i, service) {
                AUTO_FREE char *text = service_text(service);

                if (!json_bool(service, "ok", false))
                        (void)cli_error(0, "%s/%s: %s", stack, json_str(service, "service", "?"),
                                        text); /* the code comes below */
        }
        return cli_error(CLI_TIMEOUT,
                         "stack %s is not healthy within --timeout; berth goes on "
                         "trying, see 'berth why %s'",
                         stack, stack);
}

static int undone(struct cli *cli, const char *stack, const json_t *status)
{
        AUTO_FREE char *note = NULL;

        if (stack_note(cli, stack, json_int(status, "revision", 0), &note, NULL) == 0 && note)
                (void)cli_error(0, "%s", note); /* the code comes below */
        return cli_error(CLI_FAILED,
                         "the update of stack %s failed and was rolled back; see 'berth events' "
                         "and 'berth history %s'",
                         stack, stack);
}

static int finish(struct cli *cli, const struct source *source, const struct progress *progress,
                  enum progress_end end, bool verbose)
{
        const char *stack = source->stack->name;

        switch (end) {
        case PROGRESS_OK:
                return show_end(cli, source, progress, verbose);
        case PROGRESS_FAILED:
                (void)show_end(cli, source, progress, verbose); /* the failure counts more */
                (void)fflush(stdout);
                progress_report(cli, stack, progress->status);
                if (progress_undone(progress, progress->status))
                        return undone(cli, stack, progress->status);
                return cli_error(
                        CLI_FAILED,
                        "stack %s is not as its manifest says; berth goes on where it can, "
                        "see 'berth why %s'",
                        stack, stack);
        case PROGRESS_GONE:
                return cli_error(CLI_FAILED, "stack %s was deleted meanwhile", stack);
        case PROGRESS_TIMEOUT:
                return timed_out(progress, stack);
        case PROGRESS_WOKEN:
                (void)fprintf(stderr,
                              "interrupted; berth goes on converging, 'berth delete %s' takes the "
                              "stack down\n",
                              stack); /* best effort */
                return CLI_SIGNAL + SIGINT;
        }
        bug("progress_end");
}

static int wait_settled(struct cli *cli, const struct source *source, int64_t revision,
                        int64_t timeout_ms, bool verbose)
{
        AUTO_CLOSE int interrupt = interrupt_open();
        struct progress progress = {
                .cli = cli,
                .stack = source->stack->name,
                .revision = revision,
                .deadline_ms = clock_mono_ms() + timeout_ms,
                .wake = true,
                .wake_fd = interrupt,
        };
        enum progress_end end = PROGRESS_FAILED;
        struct err err = ERR_INIT;
        int r = progress_follow(&progress, &end, &err);

        r = r < 0 ? cli_fail(&err) : finish(cli, source, &progress, end, verbose);
        progress_release(&progress);
        return r;
}

/* Nothing changed: one question tells whether there is anything to wait for. */
static bool already_there(struct cli *cli, const struct source *source, json_t **ret_status)
{
        if (stack_status(cli, source->stack->name, ret_status, NULL) < 0)
                return false;
        return json_bool(*ret_status, "settled", false) && json_bool(*ret_status, "ok", false);
}

static int after_put(struct cli *cli, const struct args *args, const struct source *source,
                     const json_t *answer, int64_t timeout_ms)
{
        const char *stack = source->stack->name;
        long long revision = (long long)json_int(answer, "revision", 0);
        AUTO_JSON json_t *status = NULL;

        if (json_bool(answer, "unchanged", false) && already_there(cli, source, &status)) {
                if (cli->format != FORMAT_TABLE)
                        return cli_print_value(cli, status);
                (void)printf("No changes. Stack %s matches the manifest.\n", stack);
                return CLI_OK; /* main() flushes and checks */
        }
        if (args_flag(args, "detach")) {
                AUTO_FREE char *summary = changes_summary(json_object_get(answer, "changes"));

                if (cli->format != FORMAT_TABLE)
                        return cli_print_value(cli, answer);
                (void)printf("Stack %s: revision %lld accepted, %s.\n", stack, revision, summary);
                return CLI_OK; /* as above */
        }
        return wait_settled(cli, source, revision, timeout_ms, args_flag(args, "verbose"));
}

static int apply(struct cli *cli, const struct args *args, const struct source *source,
                 int64_t timeout_ms)
{
        AUTO_JSON json_t *answer = NULL;
        struct err err = ERR_INIT;
        int r;

        if (args_flag(args, "dry-run") || args_flag(args, "verbose")) {
                r = stack_diff_print(cli, source, args_flag(args, "dry-run") ? stdout : stderr,
                                     &err);
                if (r < 0)
                        return cli_fail_input(&err);
                if (args_flag(args, "dry-run"))
                        return r == STACK_REFUSED ? CLI_FAILED : CLI_OK;
        }
        if (stack_put(cli, source, "manifest", &answer, &err) < 0)
                return cli_fail_input(&err);
        return after_put(cli, args, source, answer, timeout_ms);
}

static int run(struct cli *cli, const struct args *args)
{
        struct source source = {0};
        int64_t timeout_ms;
        int r = cli_duration(args, "timeout", APPLY_TIMEOUT_MS, &timeout_ms);

        if (r == CLI_OK)
                r = source_load(args, &source);
        if (r != CLI_OK)
                return r;
        r = apply(cli, args, &source, timeout_ms);
        source_release(&source);
        return r;
}

const struct command cmd_apply = {
        .name = "apply",
        .alias = "up",
        .usage = "[-f FILE]... [OPTIONS]",
        .about = "make a stack run as its manifest says, and wait until it does",
        .help = "Reads the manifest (stack.yaml or compose.yaml of this folder unless -f names "
                "one), tells\nberthd, and follows the stack until every service is healthy, or "
                "running when it has no\nhealthcheck, and every one-shot service has exited 0. "
                "Applying again changes only what\ndiffers; applying the same does nothing.\n\n"
                "Exit codes: 0 all is well, 1 a service failed, 65 the manifest is invalid, 124 "
                "--timeout.\n\n"
                "Examples:\n"
                "  berth apply\n"
                "  berth apply -f stack.yaml -f stack.test.yaml --timeout 2m\n"
                "  berth apply -f stack.yaml --dry-run\n",
        .options = options,
        .run = run,
};
