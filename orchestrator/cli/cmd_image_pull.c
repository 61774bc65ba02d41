/* SPDX-License-Identifier: Apache-2.0 */
/* Images from and to registries. */
#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/pull.h"

static const struct option_def pull_options[] = {
        {'q', "quiet", NULL, "no progress"},
        {0, "platform", "OS/ARCH",
         "of another machine: to look at, save or push; also OS/ARCH/VARIANT"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def push_options[] = {
        {'q', "quiet", NULL, "no progress"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static void show_pulled(const json_t *last)
{
        const json_t *image;
        size_t i;

        json_array_foreach(json_object_get(last, "images"), i, image)
                (void)printf("%s  %s%s\n", json_str(image, "ref", "?"),
                             json_str(image, "digest", "?"),
                             json_bool(last, "unchanged", false) ? "  (unchanged)" : "");
}

/* path: of the pull or the push, which have the same stream. */
static int transfer(struct cli *cli, const struct args *args, const char *path,
                    const char *platform, const char *ref, json_t *results)
{
        AUTO_JSON json_t *last = NULL;
        struct err err = ERR_INIT;

        if (pull_image(cli, path, ref, platform, args_flag(args, "quiet"), &last, &err) < 0)
                return cli_fail(&err);
        if (cli->format != FORMAT_TABLE)
                (void)json_array_extend(results, json_object_get(last, "images")); /* OOM only */
        else
                show_pulled(last);
        return CLI_OK;
}

static int transfer_all(struct cli *cli, const struct args *args, const char *path,
                        const char *platform)
{
        AUTO_JSON json_t *results = json_array();
        int result = CLI_OK;

        for (size_t i = 0; i < args->operands_len; i++) {
                int code = transfer(cli, args, path, platform, args_operand(args, i), results);

                result = code != CLI_OK ? code : result;
        }
        if (result == CLI_OK && cli->format != FORMAT_TABLE)
                return cli_print_value(cli, results);
        return result;
}

static int run_pull(struct cli *cli, const struct args *args)
{
        return transfer_all(cli, args, "/v1/images/pull", args_value(args, "platform"));
}

static int run_push(struct cli *cli, const struct args *args)
{
        return transfer_all(cli, args, "/v1/images/push", NULL);
}

const struct command cmd_image_push = {
        .name = "image push",
        .alias = "push",
        .usage = "NAME... [OPTIONS]",
        .about = "put images into the registry that their name says",
        .help = "What the registry has already, under this or another name, is not sent again.\n\n"
                "Examples:\n"
                "  berth image tag web:1 registry.lan:5000/team/web:1\n"
                "  berth image push registry.lan:5000/team/web:1\n",
        .options = push_options,
        .operands_min = 1,
        .operands_max = 100,
        .run = run_push,
};

const struct command cmd_image_pull = {
        .name = "image pull",
        .alias = "pull",
        .usage = "NAME... [OPTIONS]",
        .about = "get images from their registry, ready to run",
        .help = "Names are as Docker writes them; what a former pull left half done is gone on "
                "with. Credentials come from berth registry login, docker login or podman "
                "login.\n\n"
                "Examples:\n"
                "  berth image pull redis:7\n"
                "  berth image pull registry.lan:5000/team/web@sha256:...\n"
                "  berth image pull --platform linux/arm64 redis:7\n",
        .options = pull_options,
        .operands_min = 1,
        .operands_max = 100,
        .run = run_pull,
};
