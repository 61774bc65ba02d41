/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/source.h"

#include <assert.h>
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

struct names {
        char **items;
        size_t len;
};

static void names_release(struct names *names)
{
        for (size_t i = 0; i < names->len; i++)
                free(names->items[i]);
        free(names->items);
        *names = (struct names){0};
}

/* BERTH_FILE or COMPOSE_FILE: names between colons. */
static void split_files(const char *list, struct names *names)
{
        while (*list) {
                size_t n = strcspn(list, ":");

                if (n > 0)
                        *array_push(&names->items, &names->len) = xstrndup(list, n);
                list += n + (list[n] == ':');
        }
}

/* The first of the usual names, and the one that is meant to go over it. */
static void default_names(struct names *names)
{
        for (size_t i = 0; i < ARRAY_SIZE(default_files); i++) {
                const char *name = default_files[i], *dot = strrchr(name, '.');
                AUTO_FREE char *over = NULL;

                if (access(name, F_OK) < 0)
                        continue;
                *array_push(&names->items, &names->len) = xstrdup(name);
                over = xasprintf("%.*s.override%s", (int)(dot - name), name, dot);
                if (access(over, F_OK) == 0)
                        *array_push(&names->items, &names->len) = STEAL(over);
                return;
        }
}

static void find_files(const struct args *args, struct names *names)
{
        size_t count = 0;
        AUTO_FREE const char **given = args_values(args, "file", &count);
        const char *list = getenv("BERTH_FILE");

        for (size_t i = 0; i < count; i++)
                *array_push(&names->items, &names->len) = xstrdup(given[i]);
        if (!list)
                list = getenv("COMPOSE_FILE");
        if (count == 0 && list)
                split_files(list, names);
        if (names->len == 0)
                default_names(names);
}

static int load_failed(const struct err *err)
{
        if (err->code == ENOENT || err->code == ENOTDIR || err->code == EISDIR)
                return cli_error(CLI_NO_INPUT, "%s", err->msg);
        if (err->code == EFBIG)
                return cli_error(CLI_INVALID, "%s", err->msg);
        return cli_fail_input(err);
}

/* A finding with its line for people at a terminal; one line each for programs. */
static void print_findings(const struct diags *diags)
{
        if (isatty(STDERR_FILENO))
                diags_show(diags, stderr);
        else
                diags_print(diags, stderr);
}

int source_load_findings(const struct args *args, struct source *ret, struct diags *ret_diags)
{
        struct names files = {0};
        size_t env_count = 0, profile_count = 0;
        AUTO_FREE const char **env_files = args_values(args, "env-file", &env_count);
        AUTO_FREE const char **profiles = args_values(args, "profile", &profile_count);
        struct load_options options = {
                .project = args_value(args, "project-name"),
                .environ = (const char *const *)environ,
                .env_files = env_files,
                .env_file_count = env_count,
                .profiles = profiles,
                .profile_count = profile_count,
                .strict = args_flag(args, "strict"),
        };
        struct source source = {0};
        struct diags diags = {0};
        struct err err = ERR_INIT;
        int r;

        find_files(args, &files);
        if (files.len == 0)
                return cli_error(CLI_NO_INPUT, "no stack.yaml or compose.yaml in this folder; name "
                                               "the manifest with -f FILE");
        options.files = (const char *const *)files.items;
        options.file_count = files.len;
        r = load(&options, &source, &diags, &err);
        names_release(&files);
        if (ret_diags) {
                *ret_diags = diags;
        } else {
                print_findings(&diags);
                diags_release(&diags);
        }
        if (r < 0) {
                source_release(&source);
                return ret_diags && err.code == EINVAL ? CLI_INVALID : load_failed(&err);
        }
        *ret = source;
        return CLI_OK;
}

int source_load(const struct args *args, struct source *ret)
{
        return source_load_findings(args, ret, NULL);
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
        assert(source.stack);
        *ret = xstrdup(source.stack->name);
        source_release(&source);
        return CLI_OK;
}
