/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images, looking into them, archives of them, cleaning up. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

static const struct option_def save_options[] = {
        {'f', "file", "FILE", "write there instead of to standard output"},
        {0, NULL, NULL, NULL},
};

static const struct option_def prune_options[] = {
        {'a', "all", NULL, "also images with a name that no stack uses"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def inspect_options[] = {
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def tag_options[] = {{0, NULL, NULL, NULL}};

static int run_tag(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *body = json_pack("{s:s, s:s}", "source", args_operand(args, 0), "target",
                                           args_operand(args, 1));
        struct err err = ERR_INIT;

        if (!body)
                return cli_usage(args->command, "the names are not valid UTF-8");
        return client_call(cli, "POST", "/v1/images/tag", body, NULL, &err) < 0 ? cli_fail(&err)
                                                                                : CLI_OK;
}

static int run_inspect(struct cli *cli, const struct args *args)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        AUTO_JSON json_t *image = NULL;
        struct err err = ERR_INIT;

        strbuf_adds(&path, "/v1/images/inspect");
        client_query(&path, "ref", args_operand(args, 0));
        if (client_call(cli, "GET", strbuf_str(&path), NULL, &image, &err) < 0)
                return cli_fail(&err);
        if (cli->format == FORMAT_TABLE)
                cli->format = FORMAT_YAML; /* nothing of it is a table */
        return cli_print_value(cli, image);
}

static json_t *save_body(const struct args *args)
{
        AUTO_JSON json_t *refs = json_array();

        for (size_t i = 0; i < args->operands_len; i++)
                if (json_array_append_new(refs, json_string(args_operand(args, i))) < 0)
                        return NULL;
        return json_pack("{s:O}", "refs", refs);
}

/* An archive that is not whole is not left behind. */
static int run_save(struct cli *cli, const struct args *args)
{
        const char *file = args_value(args, "file");
        AUTO_JSON json_t *body = save_body(args);
        AUTO_CLOSE int fd = -1;
        struct err err = ERR_INIT;
        int r;

        if (!body)
                return cli_usage(args->command, "the names are not valid UTF-8");
        if (!file && isatty(STDOUT_FILENO))
                return cli_usage(args->command, "an archive is not for a terminal; use -f FILE");
        if (file)
                fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (file && fd < 0)
                return cli_error(CLI_CANT_CREATE, "%s: %s", file, strerror(errno));
        r = client_download(cli, "/v1/images/save", body, file ? fd : STDOUT_FILENO, &err);
        if (r < 0) {
                if (file)
                        (void)unlink(file); /* the error is told anyway */
                return cli_fail(&err);
        }
        return CLI_OK;
}

static int run_prune(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *body = json_pack("{s:b}", "all", args_flag(args, "all"));
        AUTO_JSON json_t *answer = NULL;
        struct err err = ERR_INIT;
        const json_t *name;
        char size[16];
        size_t i;

        if (client_call(cli, "POST", "/v1/images/prune", body, &answer, &err) < 0)
                return cli_fail(&err);
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, answer);
        json_array_foreach(json_object_get(answer, "removed"), i, name)
                (void)printf("removed %s\n", json_string_value(name)); /* main() checks */
        size_text(json_int(answer, "bytes", 0), size);
        (void)printf("%s given back\n", size); /* main() checks */
        return CLI_OK;
}

const struct command cmd_image_tag = {
        .name = "image tag",
        .usage = "NAME NEW-NAME",
        .about = "give an image one more name",
        .help = "Examples:\n  berth image tag web:1 registry.lan:5000/team/web:1\n",
        .options = tag_options,
        .operands_min = 2,
        .operands_max = 2,
        .run = run_tag,
};

const struct command cmd_image_inspect = {
        .name = "image inspect",
        .usage = "NAME [OPTIONS]",
        .about = "show what an image says about itself",
        .help = "Examples:\n  berth image inspect redis:7 -o json\n",
        .options = inspect_options,
        .operands_min = 1,
        .operands_max = 1,
        .run = run_inspect,
};

const struct command cmd_image_save = {
        .name = "image save",
        .usage = "NAME... [-f FILE]",
        .about = "write images as an archive that docker, podman and skopeo read",
        .help = "The archive is an OCI layout with docker's manifest.json beside it.\n\n"
                "Examples:\n"
                "  berth image save web:1 -f web.tar\n"
                "  berth image save web:1 | docker load\n",
        .options = save_options,
        .operands_min = 1,
        .operands_max = 256,
        .run = run_save,
};

const struct command cmd_image_prune = {
        .name = "image prune",
        .usage = "[--all]",
        .about = "remove what no image name, stack or VM needs",
        .help = "Without --all: blobs and disks that no name refers to, and what ended pulls left "
                "behind. Images that a stack or a VM uses stay in any case.\n",
        .options = prune_options,
        .run = run_prune,
};
