/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds that name files of the host which a service's variables and labels come from. */
#include <stdlib.h>

#include "base/mem.h"
#include "schema/draft.h"
#include "schema/kinds.h"
#include "schema/mount.h"
#include "schema/service_kinds.h"

static const char *const env_formats[] = {"default", "raw", NULL};

struct env_file_spec {
        char *path;
        bool required;
        int format;
};

static const struct field env_file_fields[] = {
        {.name = "path",
         .kind = &kind_string,
         .offset = offsetof(struct env_file_spec, path),
         .check = check_not_empty,
         .required = true,
         .doc = "file with KEY=VALUE lines"},
        {.name = "required",
         .kind = &kind_bool,
         .offset = offsetof(struct env_file_spec, required),
         .unset = true,
         .doc = "false: the file may be missing"},
        {.name = "format",
         .kind = &kind_choice,
         .offset = offsetof(struct env_file_spec, format),
         .arg = env_formats,
         .doc = "raw: values as they are, without quotes and variables"},
        {0},
};

static void read_env_file(struct reader *r, const struct field *field, const struct node *item,
                          struct service_draft *draft)
{
        struct env_file_spec spec = {NULL, true, 0};
        struct env_file *file;

        if (item->kind == NODE_MAP)
                fields_read(r, env_file_fields, item, &spec);
        else if (reader_string(r, field, item))
                spec.path = xstrdup(item->text);
        if (spec.path && spec.path[0]) {
                file = arena_push(r->arena, (void **)&draft->env_files, &draft->env_files_len,
                                  sizeof(*file));
                file->path = reader_resolve_path(r, &item->mark, spec.path);
                file->env = reader_env(r, &item->mark);
                file->required = spec.required;
                file->raw = spec.format == 1;
                file->mark = item->mark;
                file->where = path_text(&r->path, r->arena);
        }
        free(spec.path);
}

static void read_list(struct reader *r, const struct field *field, const struct node *node,
                      struct service_draft *draft,
                      void (*read)(struct reader *r, const struct field *field,
                                   const struct node *item, struct service_draft *draft))
{
        if (!r->env) {
                reader_fault(r, DIAG_UNSUPPORTED_KEY, &node->mark,
                             "files are read by the command line, not from JSON");
                return;
        }
        if (node->kind != NODE_SEQ) {
                read(r, field, node, draft);
                return;
        }
        for (size_t i = 0; i < node->len; i++) {
                path_push_index(&r->path, i);
                read(r, field, node->items[i], draft);
                path_pop(&r->path);
        }
}

static void env_file_read(struct reader *r, const struct field *field, const struct node *node,
                          void *value)
{
        read_list(r, field, node, value, read_env_file);
}

const struct kind kind_env_file = {
        .schema = "{'anyOf':[{'type':['string','null']},{'$ref':'#long'},{'type':'array','items':{'"
                  "anyOf':[{'type':'string'},{'$ref':'#long'}]}}]}",
        .form = "a string or a list of files",
        .merge = MERGE_SET,
        .long_form = env_file_fields,
        .read = env_file_read};

static void read_label_file(struct reader *r, const struct field *field, const struct node *item,
                            struct service_draft *draft)
{
        const char *text = reader_string(r, field, item);
        struct env_file *file;

        if (!text)
                return;
        file = arena_push(r->arena, (void **)&draft->label_files, &draft->label_files_len,
                          sizeof(*file));
        *file = (struct env_file){.path = reader_resolve_path(r, &item->mark, text),
                                  .env = reader_env(r, &item->mark),
                                  .required = true,
                                  .mark = item->mark,
                                  .where = path_text(&r->path, r->arena)};
}

static void label_file_read(struct reader *r, const struct field *field, const struct node *node,
                            void *value)
{
        read_list(r, field, node, value, read_label_file);
}

const struct kind kind_label_file = {
        .schema = "{'type':['string','array','null'],'items':{'type':'string'}}",
        .form = "a string or a list of strings",
        .merge = MERGE_SET,
        .read = label_file_read};
