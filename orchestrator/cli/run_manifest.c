/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/run_manifest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/load.h"

/* Longest name: with "run-" before it, it is still one of a stack. */
#define NAME_LEN_MAX 48
/* Of the image's name in a name that berth makes up. */
#define NAME_BASE_MAX  24
#define TEXT_LEN_MAX   (1u << 20)
#define NAME_CHARS     "abcdefghijklmnopqrstuvwxyz0123456789"
#define NAME_CHARS_ALL NAME_CHARS "-_"

enum shape { TEXT, LIST, FLAG, WORDS, SECONDS };

static const struct mapping {
        const char *option, *key;
        enum shape shape;
} mappings[] = {
        {"env", "environment", LIST},
        {"publish", "ports", LIST},
        {"tmpfs", "tmpfs", LIST},
        {"user", "user", TEXT},
        {"workdir", "working_dir", TEXT},
        {"entrypoint", "entrypoint", WORDS},
        {"hostname", "hostname", TEXT},
        {"add-host", "extra_hosts", LIST},
        {"dns", "dns", LIST},
        {"memory", "mem_limit", TEXT},
        {"cpus", "cpus", TEXT},
        {"shm-size", "shm_size", TEXT},
        {"read-only", "read_only", FLAG},
        {"privileged", "privileged", FLAG},
        {"device", "devices", LIST},
        {"cap-add", "cap_add", LIST},
        {"cap-drop", "cap_drop", LIST},
        {"stop-signal", "stop_signal", TEXT},
        {"stop-timeout", "stop_grace_period", SECONDS},
        {"restart", "restart", TEXT},
        {"platform", "platform", TEXT},
        {"label", "labels", LIST},
        {"tty", "tty", FLAG},
        {"interactive", "stdin_open", FLAG},
};

/* A string that stands for itself: a dollar sign begins no variable here. */
static json_t *literal(const char *text)
{
        AUTO_STRBUF struct strbuf sb = STRBUF_INIT(TEXT_LEN_MAX);

        for (; *text; text++)
                strbuf_adds(&sb, *text == '$' ? "$$" : (char[]){*text, '\0'});
        return json_string(strbuf_str(&sb));
}

/* false: not UTF-8 */
static bool add_text(json_t *list, const char *text)
{
        return json_array_append_new(list, literal(text)) == 0;
}

static bool map_option(const struct args *args, const struct mapping *map, json_t *service)
{
        AUTO_FREE const char **values = args_values(args, map->option, NULL);
        AUTO_FREE char *seconds = NULL;
        json_t *list;

        if (!args_flag(args, map->option))
                return true;
        switch (map->shape) {
        case FLAG:
                json_set_bool(service, map->key, true);
                return true;
        case SECONDS:
                seconds = xasprintf("%ss", args_value(args, map->option));
                return json_object_set_new(service, map->key, literal(seconds)) == 0;
        case TEXT:
                return json_object_set_new(service, map->key,
                                           literal(args_value(args, map->option))) == 0;
        case WORDS:
        case LIST:
                break;
        }
        list = json_array();
        (void)json_object_set_new(service, map->key, list); /* a plain key: it cannot fail */
        if (map->shape == WORDS)
                return add_text(list, args_value(args, map->option));
        for (const char **v = values; *v; v++)
                if (!add_text(list, *v))
                        return false;
        return true;
}

/* Paths mean the caller's folder. */
static char *absolute(const char *path)
{
        AUTO_FREE char *here = NULL;

        if (path[0] == '/' || path[0] == '~')
                return xstrdup(path);
        here = getcwd(NULL, 0);
        return xasprintf("%s/%s", here ? here : ".", path);
}

/* "data:/srv" names a volume of the host's, "./x:/srv" a folder, "/srv" one without a name. */
static bool add_volume(const char *value, json_t *list, json_t *volumes)
{
        size_t len = strcspn(value, ":");
        AUTO_FREE char *source = xstrndup(value, len);
        AUTO_FREE char *path = NULL, *text = NULL;

        if (value[len] != ':' || value[0] == '/' || value[0] == '~')
                return add_text(list, value);
        if (value[0] == '.') {
                path = absolute(source);
                text = xasprintf("%s%s", path, value + len);
                return add_text(list, text);
        }
        return add_text(list, value) &&
               json_object_set_new(volumes, source, json_pack("{s:s}", "name", source)) == 0;
}

static bool add_volumes(const struct args *args, json_t *service, json_t *stack)
{
        AUTO_FREE const char **values = args_values(args, "volume", NULL);
        json_t *list = json_array(), *volumes = json_object();
        bool ok = true;

        (void)json_object_set_new(service, "volumes", list); /* plain keys: cannot fail */
        (void)json_object_set_new(stack, "volumes", volumes);
        for (const char **v = values; ok && *v; v++)
                ok = add_volume(*v, list, volumes);
        return ok;
}

static bool add_env_files(const struct args *args, json_t *service)
{
        AUTO_FREE const char **values = args_values(args, "env-file", NULL);
        json_t *list = json_array();
        bool ok = true;

        (void)json_object_set_new(service, "env_file", list); /* as above */
        for (const char **v = values; ok && *v; v++) {
                AUTO_FREE char *path = absolute(*v);

                ok = add_text(list, path);
        }
        return ok;
}

static bool add_command(const struct args *args, json_t *service)
{
        json_t *list;
        bool ok = true;

        /* An entrypoint in place of the image's takes the image's arguments away, as with Docker.
         */
        if (args->operands_len < 2 && !args_flag(args, "entrypoint"))
                return true;
        list = json_array();
        (void)json_object_set_new(service, "command", list); /* as above */
        for (size_t i = 1; ok && i < args->operands_len; i++)
                ok = add_text(list, args->operands[i]);
        return ok;
}

/* none, or one that is shared: networks that are the stack's own are all alike here. */
static int add_network(const struct args *args, json_t *service, json_t *stack)
{
        const char *network = args_value(args, "network");
        json_t *outer;

        if (!network || streq(network, "bridge") || streq(network, "default"))
                return CLI_OK;
        if (streq(network, "none")) {
                json_set_str(service, "network_mode", "none");
                return CLI_OK;
        }
        if (streq(network, "host") || strchr(network, ':'))
                return cli_usage(args->command,
                                 "--network %s: a VM has a network of its own; bridge, none, or "
                                 "one of `berth network ls`",
                                 network);
        outer = json_object();
        json_set_bool(outer, "external", true);
        if (json_object_set_new(outer, "name", literal(network)) < 0)
                return cli_usage(args->command, "the command line is not valid UTF-8");
        json_object_set_new(stack, "networks", json_pack("{s:o}", "outer", outer));
        json_object_set_new(service, "networks", json_pack("[s]", "outer"));
        return CLI_OK;
}

/* redis:7 becomes redis-3f2a. */
static char *make_name(const char *image)
{
        const char *slash = strrchr(image, '/'), *base = slash ? slash + 1 : image;
        AUTO_FREE char *word = xstrndup(base, strcspn(base, ":@"));
        char hex[5];

        random_hex(hex, 4);
        if (strlen(word) > NAME_BASE_MAX)
                word[NAME_BASE_MAX] = '\0';
        for (char *c = word; *c; c++)
                if (!strchr(NAME_CHARS, *c))
                        *c = '-';
        return xasprintf("%s-%s", word[0] && word[0] != '-' ? word : "vm", hex);
}

static int choose_name(const struct args *args, struct run_manifest *m)
{
        const char *name = args_value(args, "name");

        m->image = xstrdup(args_operand(args, 0));
        m->name = name ? xstrdup(name) : make_name(m->image);
        if (!m->name[0] || strlen(m->name) > NAME_LEN_MAX || !strchr(NAME_CHARS, m->name[0]) ||
            m->name[strspn(m->name, NAME_CHARS_ALL)])
                return cli_usage(args->command,
                                 "--name '%.64s': up to %d small letters, digits, - and _, "
                                 "beginning with a letter or digit",
                                 m->name, NAME_LEN_MAX);
        return CLI_OK;
}

static int build(const struct args *args, const struct run_manifest *m, json_t **ret)
{
        AUTO_FREE char *stack_name = xasprintf("run-%s", m->name);
        bool never = streq(args_value(args, "pull"), "never");
        json_t *service = json_pack("{s:s, s:s, s:s, s:s*}", "image", m->image, "restart", "no",
                                    "hostname", m->name, "pull_policy", never ? "never" : NULL);
        AUTO_JSON json_t *stack =
                json_pack("{s:s, s:{s:o*}}", "name", stack_name, "services", m->name, service);
        bool ok = service && stack;
        int r;

        for (size_t i = 0; ok && i < ARRAY_SIZE(mappings); i++)
                ok = map_option(args, &mappings[i], service);
        ok = ok && add_volumes(args, service, stack) && add_env_files(args, service) &&
             add_command(args, service);
        if (!ok)
                return cli_usage(args->command, "the command line is not valid UTF-8");
        r = add_network(args, service, stack);
        if (r == CLI_OK)
                *ret = STEAL(stack);
        return r;
}

/* Findings are about options, not about lines of a file that nobody wrote. */
static void print_findings(const struct diags *diags)
{
        for (size_t i = 0; i < diags->len; i++) {
                const struct diag *diag = &diags->items[i];
                const char *key =
                        has_prefix(diag->path, "services.") ? strchr(diag->path + 9, '.') : NULL;

                if (diag->severity == DIAG_ERROR)
                        (void)cli_error(CLI_FAILED, "%s: %s", key ? key + 1 : diag->path,
                                        diag->message); /* the code is the caller's */
                else
                        cli_warn("%s: %s", key ? key + 1 : diag->path, diag->message);
        }
}

/* The loader reads files: this one is in memory. */
static int load(const json_t *draft, json_t **ret, struct err *err)
{
        AUTO_FREE char *text = json_text(draft);
        AUTO_CLOSE int fd = memfd_create("berth-run", MFD_CLOEXEC);
        AUTO_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
        const char *const files[] = {path};
        const struct load_options options = {
                .files = files,
                .file_count = 1,
                .environ = (const char *const *)environ,
                .to_run = true,
        };
        struct stack *stack = NULL;
        struct diags diags = {0};
        int r;

        if (fd < 0)
                return err_errno(err, errno, "memfd_create");
        r = fd_write_all(fd, text, strlen(text), err);
        if (r == 0)
                r = manifest_load(&options, &stack, &diags, err);
        print_findings(&diags);
        if (r == 0)
                *ret = stack_to_json(stack);
        else if (diags.errors)
                err->msg[0] = '\0'; /* was printed */
        stack_free(stack);
        diags_release(&diags);
        return r;
}

int run_manifest_make(const struct args *args, struct run_manifest *ret)
{
        struct run_manifest m = {0};
        AUTO_JSON json_t *draft = NULL;
        struct err err = ERR_INIT;
        int r = choose_name(args, &m);

        if (r == CLI_OK)
                r = build(args, &m, &draft);
        if (r == CLI_OK && load(draft, &m.json, &err) < 0)
                r = err.msg[0] ? cli_error(CLI_NOT_UP, "%s", err.msg) : CLI_NOT_UP;
        if (r != CLI_OK) {
                run_manifest_release(&m);
                return r;
        }
        *ret = m;
        return CLI_OK;
}

void run_manifest_release(struct run_manifest *m)
{
        free(m->name);
        free(m->image);
        json_decref(m->json);
        *m = (struct run_manifest){0};
}
