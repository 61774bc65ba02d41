/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline: files -> trees -> variables -> one tree -> drafts -> normalised -> valid -> stack.
 */
#include "schema/load.h"

#include <ctype.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "schema/assemble.h"
#include "schema/dotenv.h"
#include "schema/draft.h"
#include "schema/normalise.h"
#include "schema/places.h"
#include "schema/validate.h"
#include "schema/variables.h"
#include "schema/yaml.h"

struct loader {
        const struct load_options *options;
        struct arena *arena;
        struct diags *diags;
        struct env project; /* COMPOSE_PROJECT_NAME of -p: above all others */
        struct env env;
        char *base_dir;
        struct reader reader;
        struct assembly assembly;
        struct include_frame top; /* the first file: included again, it is a cycle */
        struct node **docs;
        size_t docs_len;
        const struct node *root; /* of all docs */
};

bool text_valid(const char *s, size_t n)
{
        AUTO_JSON json_t *probe = json_stringn(s, n);

        return probe && !memchr(s, '\0', n);
}

/* Lower case, what cannot be in a name dropped, a letter or digit first: as Compose does. */
static char *project_name(const char *text)
{
        char *name = xstrdup(text);
        char *out = name;

        for (const char *p = text; *p && out - name < 63; p++) {
                char c = (char)tolower((unsigned char)*p);

                if (isalnum((unsigned char)c) || ((c == '_' || c == '-') && out != name))
                        *out++ = c;
        }
        *out = '\0';
        return name;
}

static int find_base_dir(struct loader *l, struct err *err)
{
        const char *first = l->options->files[0], *chosen = l->options->project_dir;
        AUTO_FREE char *copy = xstrdup(streq(first, "-") ? "./-" : first);

        l->base_dir = realpath(chosen ? chosen : dirname(copy), NULL);
        if (l->base_dir)
                return 0;
        return chosen ? err_errno(err, errno, "project directory %s", chosen)
                      : err_errno(err, errno, "%s: its folder", first);
}

static int read_dotenv(struct loader *l, const char *path, bool must, struct err *err)
{
        AUTO_FREE char *text = NULL;
        struct err why = ERR_INIT;
        int r = file_read(path, DOTENV_SIZE_MAX, &text, NULL, &why);

        if (r == -ENOENT && !must)
                return 0;
        if (r < 0)
                return err_set(err, why.code, "%s", why.msg);
        (void)dotenv_read(arena_strdup(l->arena, path), "", text, false, &l->env,
                          l->diags); /* errors are findings */
        return 0;
}

static int read_environment(struct loader *l, struct err *err)
{
        AUTO_FREE char *beside = file_join(l->base_dir, ".env");

        l->env.environ = l->options->environ;
        if (l->options->project)
                env_set(&l->project, "COMPOSE_PROJECT_NAME", l->options->project);
        l->env.parent = &l->project;
        for (size_t i = 0; i < l->options->env_file_count; i++) {
                int r = read_dotenv(l, l->options->env_files[i], true, err);

                if (r < 0)
                        return r;
        }
        return l->options->env_file_count ? 0 : read_dotenv(l, beside, false, err);
}

static int read_file(struct loader *l, const char *file, struct err *err)
{
        AUTO_FREE char *text = NULL;
        size_t len = 0;
        int r = file_read(streq(file, "-") ? "/dev/stdin" : file, YAML_SIZE_MAX, &text, &len, err);

        if (r < 0)
                return r;
        assemble_read_text(&l->assembly, arena_strdup(l->arena, file), text, len, &l->docs,
                           &l->docs_len);
        return 0;
}

/* The name that variables can use, before anything is interpolated with it. */
static const char *choose_name(struct loader *l)
{
        const char *ours = l->options->project ? NULL : env_get(&l->env, "BERTH_PROJECT_NAME");
        const char *given = ours ? ours : env_get(&l->env, "COMPOSE_PROJECT_NAME");
        const struct node *last = NULL;
        AUTO_FREE char *name = NULL;

        if (given && *given)
                return arena_strdup(l->arena, given);
        for (size_t i = 0; i < l->docs_len; i++) {
                const struct node *node = node_get(l->docs[i], "name");

                if (node && node->kind == NODE_STRING && node->text[0])
                        last = node;
        }
        if (last)
                name = project_name(variables_text(l->arena, &l->env, last->text));
        else
                name = project_name(basename(arena_strdup(l->arena, l->base_dir)));
        return arena_strdup(l->arena, name);
}

static int compare_entries(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;

        return strcmp(x->key, y->key);
}

/* Sorted before they are read, objects come out sorted. */
static void sort_sections(const struct node *root)
{
        static const char *const sections[] = {"services", "networks", "volumes", "configs",
                                               "secrets"};

        for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
                const struct node *section = node_get(root, sections[i]);

                if (section && section->kind == NODE_MAP && section->len)
                        qsort(section->entries, section->len, sizeof(*section->entries),
                              compare_entries);
        }
}

/* Drafts to services; those that are off are left out. */
static struct stack *take_stack(struct stack_draft *draft)
{
        struct stack *stack = xnew(struct stack);

        for (size_t i = 0; i < draft->drafts_len; i++) {
                struct service_draft *d = &draft->drafts[i];

                if (d->disabled)
                        continue;
                *array_push(&draft->stack.services, &draft->stack.services_len) = d->service;
                d->service = (struct service){0};
        }
        *stack = draft->stack;
        draft->stack = (struct stack){0};
        return stack;
}

/* From one tree on, YAML and JSON go the same way. name: NULL keeps that of the tree. */
static void build(struct reader *r, const struct node *root, const char *name,
                  struct stack_draft *draft)
{
        sort_sections(root);
        fields_init(stack_fields, draft);
        fields_read(r, stack_fields, root, draft);
        if (name) {
                free(draft->stack.name);
                draft->stack.name = xstrdup(name);
        }
        normalise(r, draft);
        validate(r, draft);
}

static void check_project_name(struct loader *l, const char *name)
{
        const char *file = l->options->files[0];
        const struct mark mark = {file, 1, 1};

        if (!value_stack_name_valid(name))
                diags_add(l->diags, DIAG_BAD_NAME, l->options->project ? NULL : &mark, "name",
                          "'%.70s' is not a stack name; use a-z, 0-9, _ and -, a letter or digit "
                          "first, at most 63: write it as 'name:' or with -p",
                          name);
}

/* --profile, and BERTH_PROFILES or COMPOSE_PROFILES: all in one list. */
static const char *all_profiles(struct loader *l)
{
        const char *all = env_get(&l->env, "BERTH_PROFILES");

        if (!all)
                all = env_get(&l->env, "COMPOSE_PROFILES");
        for (size_t i = 0; i < l->options->profile_count; i++)
                all = arena_printf(l->arena, "%s,%s", all ? all : "", l->options->profiles[i]);
        return all;
}

/* Services at the top level, as in the first form of the language. */
static bool has_old_form(const struct node *root)
{
        for (size_t i = 0; i < root->len; i++)
                if (!node_get(root->entries[i].value, "image") &&
                    !node_get(root->entries[i].value, "build"))
                        return false;
        return root->len > 0;
}

static void load_docs(struct loader *l, struct stack_draft *draft)
{
        const char *name = choose_name(l);
        struct node *root;
        size_t errors;

        env_set(&l->env, "COMPOSE_PROJECT_NAME", name);
        check_project_name(l, name);
        errors = l->diags->errors;
        root = assemble_docs(&l->assembly, &l->env, l->docs, l->docs_len);
        if (!node_find(root, "services") && l->diags->errors == errors && !l->reader.partial) {
                diags_add(
                        l->diags, DIAG_MISSING_KEY, &root->mark, "",
                        "no 'services': a stack needs at least that key%s",
                        node_find(root, "image") ? "; put the service below services: NAME:"
                        : node_find(root, "apiVersion")
                                ? "; this is a manifest of Kubernetes, which is another language"
                        : has_old_form(root)
                                ? "; this file has the form of Compose 1: write 'services:' above "
                                  "it and indent it below that"
                                : "");
                if (has_old_form(root) || node_find(root, "apiVersion"))
                        return;
        }
        l->reader.profiles = all_profiles(l);
        build(&l->reader, root, name, draft);
        l->root = root;
}

static int load_files(struct loader *l, struct stack_draft *draft, struct err *err)
{
        int r = find_base_dir(l, err);

        if (r == 0)
                r = read_environment(l, err);
        l->reader = (struct reader){
                .arena = l->arena, .diags = l->diags, .env = &l->env, .base_dir = l->base_dir};
        l->top.path = arena_printf(l->arena, "%s/%s", l->base_dir,
                                   basename(arena_strdup(l->arena, l->options->files[0])));
        l->assembly = (struct assembly){.r = &l->reader, .frame = &l->top};
        for (size_t i = 0; r == 0 && i < l->options->file_count; i++)
                r = read_file(l, l->options->files[i], err);
        if (r < 0)
                return r;
        if (l->docs_len == 0 && l->diags->errors == 0) {
                const struct mark mark = {l->options->files[0], 1, 1};

                diags_add(l->diags, DIAG_MISSING_KEY, &mark, "", "the file is empty");
        }
        l->reader.partial = l->diags->errors > 0;
        if (l->docs_len > 0)
                load_docs(l, draft);
        return 0;
}

int manifest_load_places(const struct load_options *options, struct stack **ret_stack,
                         struct places **ret_places, struct diags *diags, struct err *err)
{
        AUTO(arena) struct arena *arena = arena_new();
        struct loader l = {.options = options, .arena = arena, .diags = diags};
        struct stack_draft draft = {0};
        int r;

        if (options->file_count == 0)
                return err_set(err, EINVAL, "no manifest given");
        r = load_files(&l, &draft, err);
        if (options->strict)
                diags_harden(diags, DIAG_CODES);
        else if (options->to_run)
                diags_harden(diags, DIAG_INCOMPLETE);
        diags_sort(diags, options->files, options->file_count);
        if (r == 0 && diags->errors > 0)
                r = err_set(err, EINVAL, "%s: %zu error%s", options->files[0], diags->errors,
                            diags->errors == 1 ? "" : "s");
        if (r == 0)
                *ret_stack = take_stack(&draft);
        if (r == 0 && ret_places)
                *ret_places = places_new(STEAL(arena), l.root, l.reader.notes, l.reader.notes_len);
        draft_release(&draft);
        env_release(&l.env);
        env_release(&l.project);
        free(l.base_dir);
        return r;
}

int manifest_load(const struct load_options *options, struct stack **ret_stack, struct diags *diags,
                  struct err *err)
{
        return manifest_load_places(options, ret_stack, NULL, diags, err);
}

json_t *stack_to_json(const struct stack *stack)
{
        json_t *json = fields_write(stack_fields, stack);

        if (!json_object_get(json, "services") &&
            json_object_set_new(json, "services", json_object()) < 0)
                bug("json_object_set_new");
        return json;
}

void service_differ(const struct service *a, const struct service *b, json_t **ret_a,
                    json_t **ret_b)
{
        fields_differ(service_fields, a, b, ret_a, ret_b);
}

json_t *service_to_json(const struct service *service)
{
        return fields_write(service_fields, service);
}

void stack_json_mask(json_t *json)
{
        json_t *secret;
        const char *name;

        json_object_foreach(json_object_get(json, "secrets"), name, secret) {
                (void)json_object_del(secret, "x-berth"); /* not there is fine */
                json_set_str(secret, "content", "***");
        }
}

int stack_from_json(const json_t *json, struct stack **ret_stack, struct diags *diags,
                    struct err *err)
{
        AUTO(arena) struct arena *arena = arena_new();
        struct reader r = {.arena = arena, .diags = diags};
        struct stack_draft draft = {0};
        struct node *root;

        if (!json_is_object(json))
                return err_set(err, EINVAL, "a manifest must be a JSON object");
        root = tree_from_json(arena, json);
        if (!node_find(root, "name"))
                diags_add(diags, DIAG_MISSING_KEY, NULL, "name", "'name' is missing");
        build(&r, root, NULL, &draft);
        if (diags->errors == 0)
                *ret_stack = take_stack(&draft);
        draft_release(&draft);
        if (diags->errors > 0)
                return err_set(err, EINVAL, "%s%s%s (%zu error%s)", diags->items[0].path,
                               diags->items[0].path[0] ? ": " : "", diags->items[0].message,
                               diags->errors, diags->errors == 1 ? "" : "s");
        return 0;
}
