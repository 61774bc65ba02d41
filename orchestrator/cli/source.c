/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/source.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"

/* Longest list of file names of one stack. */
#define SOURCE_NAME_MAX (64 * 1024)

static const char *const default_files[] = {"stack.yaml",         "stack.yml",
                                            "compose.yaml",       "compose.yml",
                                            "docker-compose.yml", "docker-compose.yaml"};

/* Absolute, with links in folders resolved, so that one file always has one name. */
static char *absolute_path(const char *path)
{
        char *real = realpath(path, NULL);

        return real ? real : xstrdup(path);
}

static char *source_name(const char *const *files, size_t count)
{
        struct strbuf name = STRBUF_INIT(SOURCE_NAME_MAX);

        for (size_t i = 0; i < count; i++) {
                AUTO_FREE char *path = absolute_path(files[i]);

                strbuf_addf(&name, "%s%s", i ? "," : "", path);
        }
        return strbuf_take(&name);
}

static int load(const struct load_options *options, struct source *ret, struct diags *diags,
                struct err *err)
{
        int r = manifest_load(options, &ret->stack, diags, err);

        if (r < 0)
                return r;
        ret->json = stack_to_json(ret->stack);
        ret->name = source_name(options->files, options->file_count);
        ret->file = xstrdup(options->files[0]);
        return 0;
}

static const char *default_file(void)
{
        for (size_t i = 0; i < ARRAY_SIZE(default_files); i++)
                if (access(default_files[i], F_OK) == 0)
                        return default_files[i];
        return NULL;
}

static int load_failed(const struct err *err)
{
        if (err->code == ENOENT || err->code == ENOTDIR || err->code == EISDIR)
                return cli_error(CLI_NO_INPUT, "%s", err->msg);
        if (err->code == EFBIG)
                return cli_error(CLI_INVALID, "%s", err->msg);
        return cli_fail_input(err);
}

int source_load(const struct args *args, struct source *ret)
{
        size_t file_count = 0, env_count = 0;
        AUTO_FREE const char **files = args_values(args, "file", &file_count);
        AUTO_FREE const char **env_files = args_values(args, "env-file", &env_count);
        const char *fallback = default_file();
        struct load_options options = {
                .files = file_count ? files : &fallback,
                .file_count = file_count ? file_count : 1,
                .project = args_value(args, "project-name"),
                .environ = (const char *const *)environ,
                .env_files = env_files,
                .env_file_count = env_count,
        };
        struct source source = {0};
        struct diags diags = {0};
        struct err err = ERR_INIT;
        int r;

        if (!file_count && !fallback)
                return cli_error(CLI_NO_INPUT, "no stack.yaml or compose.yaml in this folder; name "
                                               "the manifest with -f FILE");
        r = load(&options, &source, &diags, &err);
        diags_print(&diags, stderr);
        diags_release(&diags);
        if (r < 0) {
                source_release(&source);
                return load_failed(&err);
        }
        *ret = source;
        return CLI_OK;
}

int source_load_file(const char *path, struct source *ret, struct diags *ret_diags, struct err *err)
{
        struct load_options options = {
                .files = &path, .file_count = 1, .environ = (const char *const *)environ};
        struct source source = {0};
        int r = load(&options, &source, ret_diags, err);

        if (r < 0) {
                source_release(&source);
                return r;
        }
        *ret = source;
        return 0;
}

void source_release(struct source *source)
{
        stack_free(source->stack);
        free(source->name);
        free(source->file);
        json_decref(source->json);
        *source = (struct source){0};
}

int source_stack_name(const struct args *args, char **ret)
{
        struct source source = {0};
        int r = source_load(args, &source);

        if (r != CLI_OK)
                return r;
        *ret = xstrdup(source.stack->name);
        source_release(&source);
        return CLI_OK;
}
