/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/commands.h"
#include "orchestrator/cli/instructions.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

static const struct option_def load_options[] = {
        {'i', "input", "FILE", "the archive; - or none: standard input"},
        {'t', "tag", "NAME", "name for an image that the archive does not name"},
        {'q', "quiet", NULL, "no progress"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def import_options[] = {
        {'c', "change", "INSTRUCTION",
         "CMD, ENTRYPOINT, ENV, EXPOSE, USER, WORKDIR, VOLUME, "
         "STOPSIGNAL or LABEL; repeat it"},
        {'q', "quiet", NULL, "no progress"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def ls_options[] = {
        {'q', "quiet", NULL, "names only"},
        OPTION_OUTPUT,
        {0, NULL, NULL, NULL},
};

static const struct option_def rm_options[] = {{0, NULL, NULL, NULL}};

/* The upload's stream of {stage, done, total}, and its last line. */
struct loading {
        bool live, quiet;
        char stage[64];
        json_t *images; /* of the last line */
};

static void show_stage(struct loading *loading, const json_t *item)
{
        AUTO_FREE char *stage = text_safe(json_str(item, "stage", ""));
        long long done = (long long)json_int(item, "done", 0);
        long long total = (long long)json_int(item, "total", 0);

        if (loading->quiet || !*stage)
                return;
        if (loading->live && total > 0) /* a picture: nothing checks it */
                (void)fprintf(stderr, "\r\033[2K%s  %lld%%", stage, done * 100 / total);
        else if (loading->live)
                (void)fprintf(stderr, "\r\033[2K%s  %lld", stage, done);
        else if (!streq(stage, loading->stage))
                (void)fprintf(stderr, "%s\n", stage);
        (void)snprintf(loading->stage, sizeof(loading->stage), "%.63s", stage); /* cut is fine */
}

static int on_load_item(void *arg, json_t *item)
{
        struct loading *loading = arg;
        json_t *images = json_object_get(item, "images");

        if (!images) {
                show_stage(loading, item);
                return 0;
        }
        json_decref(loading->images);
        loading->images = json_incref(images);
        return 0;
}

static int show_loaded(const struct cli *cli, const json_t *images)
{
        const json_t *image;
        size_t i;

        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, images);
        json_array_foreach(images, i, image)
                (void)printf("%s  %s\n", json_str(image, "ref", "?"),
                             json_str(image, "digest", "?"));
        return CLI_OK; /* main() flushes and checks */
}

static int upload(struct cli *cli, const struct args *args, const char *path, const char *file)
{
        bool std = !file || streq(file, "-");
        AUTO_CLOSE int opened = std ? -1 : open(file, O_RDONLY | O_CLOEXEC);
        AUTO_JSON json_t *images = NULL;
        struct loading loading = {.live = cli->err_tty && cli->colour_err,
                                  .quiet = args_flag(args, "quiet")};
        struct client_stream stream = {
                .path = path,
                .on_item = on_load_item,
                .arg = &loading,
                .upload = true,
                .upload_fd = std ? STDIN_FILENO : opened,
        };
        struct err err = ERR_INIT;
        int r;

        if (!std && opened < 0)
                return cli_error(errno == ENOENT ? CLI_NO_INPUT : CLI_FAILED, "%s: %s", file,
                                 strerror(errno));
        if (std && isatty(STDIN_FILENO))
                return cli_usage(args->command, "name an archive with -i FILE, or pipe one in");
        r = client_follow(cli, &stream, &err);
        images = loading.images;
        if (loading.live && loading.stage[0])
                (void)fputs("\r\033[2K", stderr); /* a picture */
        if (r < 0) {
                (void)err_wrap(&err, "%s", std ? "standard input" : file); /* err is set */
                return cli_fail_input(&err);
        }
        if (!images)
                return cli_error(CLI_FAILED, "%s: berthd ended before the image was whole",
                                 std ? "standard input" : file);
        return show_loaded(cli, images);
}

static int run_load(struct cli *cli, const struct args *args)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        const char *file = args_value(args, "input");

        if (file && args_operand(args, 0))
                return cli_usage(args->command, "name the archive once");
        strbuf_adds(&path, "/v1/images/load");
        client_query(&path, "ref", args_value(args, "tag"));
        return upload(cli, args, strbuf_str(&path), file ? file : args_operand(args, 0));
}

static int run_import(struct cli *cli, const struct args *args)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
        AUTO_FREE const char **changes = args_values(args, "change", NULL);
        AUTO_JSON json_t *config = NULL;
        AUTO_FREE char *text = NULL;
        struct err err = ERR_INIT;

        if (instructions_config(changes, &config, &err) < 0)
                return cli_usage(args->command, "%s", err.msg);
        text = config ? json_text(config) : NULL;
        strbuf_adds(&path, "/v1/images/import");
        client_query(&path, "ref", args_operand(args, 1));
        client_query(&path, "changes", text);
        if (strbuf_failed(&path))
                return cli_usage(args->command, "too many changes");
        return upload(cli, args, strbuf_str(&path), args_operand(args, 0));
}

static void print_images(const struct cli *cli, const json_t *images)
{
        static const char *const headings[] = {"NAME", "DIGEST", "SIZE", "ARCH", "CREATED", NULL};
        struct table table;
        const json_t *image;
        unsigned columns = 0, rows;
        size_t i;

        table_init(&table, headings);
        json_array_foreach(images, i, image) {
                const char *name = json_str(image, "name", json_str(image, "ref", NULL));
                char size[16], since[16];

                size_text(json_int(image, "size_bytes", 0), size);
                since_text(json_str(image, "created", NULL), since);
                table_add(&table, name);
                table_addf(&table, "%.19s", json_str(image, "digest", ""));
                table_add(&table, size);
                table_add(&table, json_str(image, "architecture", NULL));
                table_addf(&table, "%s%s", since, streq(since, "-") ? "" : " ago");
        }
        if (cli->out_tty)
                terminal_size(1, &columns, &rows);
        table_print(&table, stdout, columns);
        table_release(&table);
}

static int run_ls(struct cli *cli, const struct args *args)
{
        AUTO_JSON json_t *images = NULL;
        struct err err = ERR_INIT;
        const json_t *image;
        size_t i;

        if (client_call(cli, "GET", "/v1/images", NULL, &images, &err) < 0)
                return cli_fail(&err);
        if (args_flag(args, "quiet")) {
                json_array_foreach(images, i, image)
                        (void)printf("%s\n", json_str(image, "ref", "?")); /* main() checks */
                return CLI_OK;
        }
        if (cli->format != FORMAT_TABLE)
                return cli_print_value(cli, images);
        print_images(cli, images);
        return CLI_OK;
}

static int run_rm(struct cli *cli, const struct args *args)
{
        int result = CLI_OK;

        for (size_t i = 0; i < args->operands_len; i++) {
                AUTO_STRBUF struct strbuf path = STRBUF_INIT(CLIENT_PATH_MAX);
                struct err err = ERR_INIT;

                strbuf_adds(&path, "/v1/images");
                client_query(&path, "ref", args_operand(args, i));
                if (client_call(cli, "DELETE", strbuf_str(&path), NULL, NULL, &err) < 0)
                        result = cli_fail(&err);
                else
                        (void)printf("removed %s\n", args_operand(args, i)); /* main() checks */
        }
        return result;
}

const struct command cmd_image_load = {
        .name = "image load",
        .usage = "[-i] [FILE] [OPTIONS]",
        .about = "add the images of an archive (OCI layout or docker save)",
        .help = "Takes tar archives, plain or compressed with gzip or zstd, and checks every "
                "digest.\n\n"
                "Examples:\n"
                "  berth image load -i alpine.tar\n"
                "  docker save web:1 | berth image load\n",
        .options = load_options,
        .operands_max = 1,
        .run = run_load,
};

const struct command cmd_image_import = {
        .name = "image import",
        .usage = "FILE|- NAME [-c INSTRUCTION]...",
        .about = "make an image of a root file system in a tar archive",
        .help = "Examples:\n"
                "  mmdebstrap --variant=essential bookworm - | berth image import - debian:12\n"
                "  berth image import root.tar web:1 -c 'CMD [\"httpd\",\"-f\"]' -c 'EXPOSE 80'\n",
        .options = import_options,
        .operands_min = 2,
        .operands_max = 2,
        .run = run_import,
};

const struct command cmd_image_ls = {
        .name = "image ls",
        .alias = "images",
        .usage = "[OPTIONS]",
        .about = "list images",
        .help = "Examples:\n  berth image ls\n  berth image ls -o json\n",
        .options = ls_options,
        .run = run_ls,
};

const struct command cmd_image_rm = {
        .name = "image rm",
        .alias = "rmi",
        .usage = "NAME...",
        .about = "remove images; refused while a stack uses them",
        .help = "Examples:\n  berth image rm web:1\n",
        .options = rm_options,
        .operands_min = 1,
        .operands_max = 1000,
        .run = run_rm,
};
