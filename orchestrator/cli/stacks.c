/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/stacks.h"

#include <stdlib.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/changes.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/table.h"

static char *stack_path(const char *stack, const char *rest)
{
        AUTO_FREE char *name = http_escape(stack);

        return xasprintf("/v1/stacks/%s%s", name, rest);
}

int stack_put(struct cli *cli, const struct source *source, const char *ports, json_t **ret,
              struct err *err)
{
        AUTO_FREE char *path = stack_path(source->stack->name, "");
        AUTO_JSON json_t *body = json_pack("{s:O, s:s, s:s}", "manifest", source->json, "source",
                                           source->name, "ports", ports);

        if (!body)
                return err_set(err, EINVAL, "%s: the path is not valid UTF-8", source->file);
        return client_call(cli, "PUT", path, body, ret, err);
}

int stack_status(struct cli *cli, const char *stack, json_t **ret, struct err *err)
{
        AUTO_FREE char *path = stack_path(stack, "/status?follow=0");

        return client_call(cli, "GET", path, NULL, ret, err);
}

/* A stack that does not exist yet has revision 0. */
static int present_revision(struct cli *cli, const char *stack, int64_t *ret, struct err *err)
{
        AUTO_FREE char *path = stack_path(stack, "");
        AUTO_JSON json_t *answer = NULL;
        int r = client_call(cli, "GET", path, NULL, &answer, err);

        *ret = r == 0 ? json_int(answer, "revision", 0) : 0;
        return r == -ENOENT ? 0 : r;
}

static void print_text(const struct changes_head *head, const json_t *changes, FILE *out)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(CHANGES_TEXT_MAX);

        changes_text(head, changes, &text);
        if (strbuf_failed(&text))
                strbuf_reset(&text);
        (void)fputs(text.len ? strbuf_str(&text) : "too many changes to show; see -o json\n",
                    out); /* main() flushes and checks */
}

/* Whether an apply would be refused as it is now. */
static bool print_refusals(const json_t *refusals)
{
        const json_t *text;
        size_t i;

        json_array_foreach(refusals, i, text) {
                AUTO_FREE char *safe = text_safe(json_string_value(text));

                (void)cli_error(CLI_FAILED, "it would be refused: %s", safe);
        }
        return json_array_size(refusals) > 0;
}

int stack_diff_print(struct cli *cli, const struct source *source, FILE *out, struct err *err)
{
        AUTO_FREE char *path = stack_path(source->stack->name, "/diff");
        AUTO_JSON json_t *body = json_pack("{s:O}", "manifest", source->json);
        AUTO_JSON json_t *answer = NULL;
        struct changes_head head = {
                .stack = source->stack->name,
                .source = source->name,
                .services = source->stack->services_len,
                .volumes = source->stack->volumes_len,
                .colour = out == stdout ? cli->colour_out : cli->colour_err,
        };
        json_t *changes;
        int r = present_revision(cli, head.stack, &head.revision, err);

        if (r == 0)
                r = client_call(cli, "POST", path, body, &answer, err);
        if (r < 0)
                return r;
        changes = json_object_get(answer, "changes");
        changes_locate(changes, source->places);
        if (cli->format != FORMAT_TABLE && out == stdout)
                (void)cli_print_value(cli, answer); /* main() flushes and checks */
        else
                print_text(&head, changes, out);
        if (print_refusals(json_object_get(answer, "refusals")))
                return STACK_REFUSED;
        return changes_any(changes) ? 1 : 0;
}

int stack_note(struct cli *cli, const char *stack, int64_t revision, char **ret, struct err *err)
{
        AUTO_FREE char *path = stack_path(stack, "/history");
        AUTO_JSON json_t *list = NULL;
        const json_t *one;
        size_t i;
        int r = client_call(cli, "GET", path, NULL, &list, err);

        *ret = NULL;
        json_array_foreach(list, i, one)
                if (!*ret && json_int(one, "revision", 0) == revision)
                        *ret = text_safe(json_str(one, "note", ""));
        return r;
}

int stack_delete(struct cli *cli, const char *stack, bool volumes, struct err *err)
{
        AUTO_FREE char *path = stack_path(stack, volumes ? "?volumes=1" : "");

        return client_call(cli, "DELETE", path, NULL, NULL, err);
}

int stack_change(struct cli *cli, const char *stack, const json_t *body, json_t **ret,
                 struct err *err)
{
        AUTO_FREE char *path = stack_path(stack, "/change");

        return client_call(cli, "POST", path, body, ret, err);
}
