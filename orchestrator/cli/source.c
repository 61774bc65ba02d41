/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/source.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/dotenv.h"
#include "schema/env.h"

/* Longest list of file names of one stack. */
#define SOURCE_NAME_MAX (64 * 1024)

static const char *const default_files[] = {"stack.yaml",         "stack.yml",
                                            "compose.yaml",       "compose.yml",
                                            "docker-compose.yml", "docker-compose.yaml"};
static const char *const override_files[] = {"compose.override.yaml", "compose.override.yml",
                                             "docker-compose.override.yml",
                                             "docker-compose.override.yaml"};

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
        int r = manifest_load_places(options, &ret->stack, &ret->places, diags, err);

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

static void split(const char *list, const char *separators, struct names *names)
{
        while (*list) {
                size_t n = strcspn(list, separators);

                if (n > 0)
                        *array_push(&names->items, &names->len) = xstrndup(list, n);
                list += n + (list[n] != '\0');
        }
}

/* Our name of a variable, or else Compose's: of the environment, or else of the variables. */
static const char *variable(const struct env *env, const char *ours, const char *theirs)
{
        const char *value = env_get(env, ours);

        return value ? value : env_get(env, theirs);
}

/* What goes over a file of one of the usual names: the same name with .override, or another one. */
static char *override_name(const char *dir, const char *name)
{
        const char *dot = strrchr(name, '.');
        char *path = xasprintf("%s%.*s.override%s", dir, (int)(dot - name), name, dot);

        for (size_t i = 0; i < ARRAY_SIZE(override_files) && access(path, F_OK) < 0; i++) {
                free(path);
                path = xasprintf("%s%s", dir, override_files[i]);
        }
        if (access(path, F_OK) == 0)
                return path;
        free(path);
        return NULL;
}

static bool default_names_in(const char *dir, struct names *names)
{
        for (size_t i = 0; i < ARRAY_SIZE(default_files); i++) {
                AUTO_FREE char *path = xasprintf("%s%s", dir, default_files[i]);
                char *over;

                if (access(path, F_OK) < 0)
                        continue;
                *array_push(&names->items, &names->len) = STEAL(path);
                over = override_name(dir, default_files[i]);
                if (over)
                        *array_push(&names->items, &names->len) = over;
                return true;
        }
        return false;
}

/* The first of the usual names here or in the nearest folder above. */
static void default_names(struct names *names)
{
        AUTO_FREE char *cwd = getcwd(NULL, 0);
        AUTO_FREE char *up = xstrdup("");

        for (const char *p = cwd; p && !default_names_in(up, names); p = strchr(p + 1, '/')) {
                char *next = xasprintf("%s../", up);

                free(up);
                up = next;
        }
}

/* .env of the project's folder may name files, as the environment does. */
static void read_dotenv(const char *dir, struct env *env)
{
        AUTO_FREE char *path = file_join(dir ? dir : ".", ".env");
        AUTO_FREE char *text = NULL;
        struct diags findings = {0}; /* told when the manifest is loaded */

        if (file_read(path, DOTENV_SIZE_MAX, &text, NULL, NULL) == 0)
                (void)dotenv_read(path, "", text, false, env, &findings);
        diags_release(&findings);
}

static void find_files(const struct args *args, const struct env *env, struct names *names)
{
        size_t count = 0;
        AUTO_FREE const char **given = args_values(args, "file", &count);
        const char *list = variable(env, "BERTH_FILE", "COMPOSE_FILE");
        const char *separator = variable(env, "BERTH_PATH_SEPARATOR", "COMPOSE_PATH_SEPARATOR");

        for (size_t i = 0; i < count; i++)
                *array_push(&names->items, &names->len) = xstrdup(given[i]);
        if (count == 0 && list)
                split(list, separator && *separator ? separator : ":", names);
        if (names->len == 0)
                default_names(names);
}

static void find_env_files(const struct args *args, const struct env *env, struct names *names)
{
        size_t count = 0;
        AUTO_FREE const char **given = args_values(args, "env-file", &count);
        const char *list = variable(env, "BERTH_ENV_FILES", "COMPOSE_ENV_FILES");

        for (size_t i = 0; i < count; i++)
                *array_push(&names->items, &names->len) = xstrdup(given[i]);
        if (count == 0 && list)
                split(list, ",", names);
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

static int load_named(const struct args *args, bool to_run, struct source *ret,
                      struct diags *ret_diags)
{
        struct env env = {.environ = (const char *const *)environ};
        struct names files = {0}, env_files = {0};
        size_t profile_count = 0;
        AUTO_FREE const char **profiles = args_values(args, "profile", &profile_count);
        struct load_options options = {
                .project = args_value(args, "project-name"),
                .project_dir = args_value(args, "project-directory"),
                .environ = (const char *const *)environ,
                .profiles = profiles,
                .profile_count = profile_count,
                .strict = args_flag(args, "strict"),
                .to_run = to_run,
        };
        struct source source = {0};
        struct diags diags = {0};
        struct err err = ERR_INIT;
        int r;

        read_dotenv(options.project_dir, &env);
        find_files(args, &env, &files);
        find_env_files(args, &env, &env_files);
        env_release(&env);
        if (files.len == 0) {
                names_release(&env_files);
                return cli_error(CLI_NO_INPUT,
                                 "no stack.yaml, compose.yaml or docker-compose.yml in this folder "
                                 "or above; name the manifest with -f FILE");
        }
        options.files = (const char *const *)files.items;
        options.file_count = files.len;
        options.env_files = (const char *const *)env_files.items;
        options.env_file_count = env_files.len;
        r = load(&options, &source, &diags, &err);
        names_release(&files);
        names_release(&env_files);
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
        return load_named(args, true, ret, NULL);
}

int source_look(const struct args *args, struct source *ret, struct diags *ret_diags)
{
        return load_named(args, false, ret, ret_diags);
}

int source_load_file(const char *path, struct source *ret, struct diags *ret_diags, struct err *err)
{
        struct load_options options = {
                .files = &path,
                .file_count = 1,
                .environ = (const char *const *)environ,
                .to_run = true,
        };
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
        places_free(source->places);
        free(source->name);
        free(source->file);
        json_decref(source->json);
        *source = (struct source){0};
}

int source_stack_name(const struct args *args, char **ret)
{
        struct source source = {0};
        int r = source_look(args, &source, NULL);

        if (r != CLI_OK)
                return r;
        assert(source.stack);
        *ret = xstrdup(source.stack->name);
        source_release(&source);
        return CLI_OK;
}
