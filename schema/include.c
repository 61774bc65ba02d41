/* SPDX-License-Identifier: Apache-2.0 */
/* `include`: other projects, each with its own folder and .env, below the document. */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "schema/assemble.h"
#include "schema/dotenv.h"
#include "schema/draft.h"
#include "schema/kinds.h"
#include "schema/merge.h"
#include "schema/mount.h"
#include "schema/shapes.h"

struct include_spec {
        struct str_list path, env_file;
        char *project_directory;
};

static const struct field include_fields[] = {
        {.name = "path",
         .kind = &kind_strings,
         .offset = offsetof(struct include_spec, path),
         .required = true,
         .doc = "the files; later ones are merged over earlier ones"},
        {.name = "project_directory",
         .kind = &kind_string,
         .offset = offsetof(struct include_spec, project_directory),
         .doc = "folder that relative paths in them start from; that of the first file when left "
                "out"},
        {.name = "env_file",
         .kind = &kind_strings,
         .offset = offsetof(struct include_spec, env_file),
         .doc = "files with variables for them; .env of their folder when left out"},
        {0},
};

void assemble_refuse(struct reader *r, const struct field *field, const struct node *node,
                     void *value)
{
        (void)field;
        (void)value;
        reader_fault(r, DIAG_UNSUPPORTED_KEY, &node->mark,
                     "files are read by the command line, not from JSON");
}

const struct kind kind_include = {.schema = SHAPE_ENTRIES("{'type':'string'}"),
                                  .form = "a list of files",
                                  .long_form = include_fields,
                                  .read = assemble_refuse};

static void read_env_file(struct reader *r, const char *path, const struct mark *mark,
                          struct env *env)
{
        AUTO_FREE char *text = NULL;
        struct err err = ERR_INIT;

        if (file_read(path, DOTENV_SIZE_MAX, &text, NULL, &err) == 0)
                (void)dotenv_read(arena_strdup(r->arena, path), "", text, false, env,
                                  r->diags); /* errors are findings */
        else if (mark || err.code != ENOENT)
                reader_fault(r, DIAG_BAD_FILE, mark, "%s", err.msg);
}

/* The project's variables, which live as long as its tree. */
static const struct env *read_env(struct reader *r, const struct include_spec *spec,
                                  const struct mark *mark, const char *dir, const struct env *outer)
{
        struct env env = {.parent = outer};
        const struct env *kept;

        for (size_t i = 0; i < spec->env_file.len; i++)
                read_env_file(r, reader_resolve_path(r, mark, spec->env_file.items[i]), mark, &env);
        if (!spec->env_file.set) {
                AUTO_FREE char *beside = file_join(dir, ".env");

                read_env_file(r, beside, NULL, &env);
        }
        kept = env_keep(r->arena, &env);
        env_release(&env);
        return kept;
}

static bool in_cycle(struct assembly *a, const char *path, const struct mark *mark)
{
        size_t depth = 0;

        for (const struct include_frame *f = a->frame; f; f = f->outer, depth++)
                if (streq(f->path, path)) {
                        reader_fault(a->r, DIAG_CYCLE, mark,
                                     "%s includes itself, directly or through others; remove one "
                                     "of these includes",
                                     assemble_shown(a->r->arena, path));
                        return true;
                }
        if (depth >= INCLUDE_DEPTH_MAX)
                reader_fault(a->r, DIAG_LIMIT, mark, "files include each other deeper than %d",
                             INCLUDE_DEPTH_MAX);
        return depth >= INCLUDE_DEPTH_MAX;
}

/* Only what a stack is made of: the name is that of the file that includes. */
static void keep_sections(struct node *root)
{
        static const char *const sections[] = {"services", "networks", "volumes", "configs",
                                               "secrets"};

        for (size_t i = root->len; i > 0; i--) {
                bool keep = false;

                for (size_t k = 0; k < ARRAY_SIZE(sections); k++)
                        keep = keep || streq(root->entries[i - 1].key, sections[k]);
                if (!keep && (has_prefix(root->entries[i - 1].key, "x-") ||
                              streq(root->entries[i - 1].key, "name") ||
                              streq(root->entries[i - 1].key, "version")))
                        node_remove(root, root->entries[i - 1].key);
        }
}

/* KEY without a value, in a map or a list, takes that of the project it is written in. */
static void resolve_bare(struct arena *arena, const struct env *env, struct node *environment)
{
        for (size_t i = 0; i < environment->len; i++) {
                struct node *item = environment->kind == NODE_MAP ? environment->entries[i].value
                                                                  : environment->items[i];
                const char *key =
                        environment->kind == NODE_MAP ? environment->entries[i].key : item->text;
                const char *value;

                if (item->tag == TAG_RESET ||
                    (environment->kind == NODE_MAP ? item->kind != NODE_NULL
                                                   : item->kind != NODE_STRING || strchr(key, '=')))
                        continue;
                value = env_get(env, key);
                if (!value)
                        continue;
                if (environment->kind == NODE_SEQ)
                        value = arena_printf(arena, "%s=%s", key, value);
                item->kind = NODE_STRING;
                item->text = arena_strdup(arena, value);
        }
}

static void resolve_environments(struct arena *arena, const struct env *env, struct node *root)
{
        const struct node *services = node_get(root, "services");

        for (size_t i = 0; services && services->kind == NODE_MAP && i < services->len; i++) {
                struct entry *e = node_find(services->entries[i].value, "environment");

                if (e && (e->value->kind == NODE_MAP || e->value->kind == NODE_SEQ))
                        resolve_bare(arena, env, e->value);
        }
}

/* The project that one entry names, as a tree; NULL: nothing of it can be used. */
static struct node *load_project(struct assembly *a, const struct env *outer,
                                 const struct include_spec *spec, const struct mark *mark)
{
        struct reader *r = a->r;
        const char *first = reader_resolve_path(r, mark, spec->path.items[0]);
        struct origin from = {.dir = spec->project_directory
                                             ? reader_resolve_path(r, mark, spec->project_directory)
                                             : dirname(arena_strdup(r->arena, first))};
        struct include_frame frame = {a->frame, first};
        struct node **docs = NULL;
        struct node *root = NULL;
        struct path at = r->path;
        size_t docs_len = 0;

        if (in_cycle(a, first, mark))
                return NULL;
        from.env = read_env(r, spec, mark, from.dir, outer);
        for (size_t i = 0; i < spec->path.len; i++) {
                if (assemble_is_remote(r, mark, spec->path.items[i]))
                        continue;
                from.file = reader_resolve_path(r, mark, spec->path.items[i]);
                assemble_read_file(a, &from, mark, &docs, &docs_len);
        }
        a->frame = &frame;
        r->path.len = 0; /* findings in those files are about their own keys */
        if (docs_len > 0)
                root = assemble_docs(a, from.env, docs, docs_len);
        if (root)
                resolve_environments(r->arena, from.env, root);
        r->path = at;
        a->frame = frame.outer;
        return root;
}

static bool read_spec(struct reader *r, const struct node *item, struct include_spec *spec)
{
        size_t errors = r->diags->errors;

        if (item->kind == NODE_MAP)
                fields_read(r, include_fields, item, spec);
        else if (item->kind == NODE_STRING)
                str_list_add(&spec->path, item->text);
        else
                reader_fault(r, DIAG_BAD_TYPE, &item->mark, "must be a file or a map, not %s",
                             node_kind_name(item));
        return r->diags->errors == errors && spec->path.len > 0;
}

void include_resolve(struct assembly *a, const struct env *env, struct node *doc)
{
        struct reader *r = a->r;
        const struct node *list = node_get(doc, "include");

        if (!list)
                return;
        path_push_key(&r->path, "include");
        if (list->kind != NODE_SEQ && list->kind != NODE_NULL)
                reader_fault(r, DIAG_BAD_TYPE, &list->mark, "must be a list of files, not %s",
                             node_kind_name(list));
        for (size_t i = 0; list->kind == NODE_SEQ && i < list->len; i++) {
                struct include_spec spec = {0};
                struct node *root = NULL;

                path_push_index(&r->path, i);
                if (read_spec(r, list->items[i], &spec))
                        root = load_project(a, env, &spec, &list->items[i]->mark);
                path_pop(&r->path);
                if (root) {
                        struct path at = r->path;

                        r->path.len = 0;
                        keep_sections(root);
                        merge_maps(r, stack_fields, root, doc);
                        r->path = at;
                        doc->entries = root->entries;
                        doc->len = root->len;
                }
                str_list_release(&spec.path);
                str_list_release(&spec.env_file);
                free(spec.project_directory);
        }
        path_pop(&r->path);
        node_remove(doc, "include");
}
