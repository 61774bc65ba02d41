/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/assemble.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "schema/draft.h"
#include "schema/merge.h"
#include "schema/variables.h"

void assemble_read_text(struct assembly *a, const char *file, const char *text, size_t len,
                        struct node ***docs, size_t *docs_len)
{
        struct reader *r = a->r;
        struct yaml_docs read = {0};

        (void)yaml_read(r->arena, file, text, len, r->diags, &read); /* findings */
        for (size_t i = 0; i < read.len; i++) {
                struct node **slot;

                if (read.items[i]->kind != NODE_MAP) {
                        diags_add(r->diags, DIAG_BAD_TYPE, &read.items[i]->mark, "",
                                  "must be a map with the key 'services', not %s",
                                  node_kind_name(read.items[i]));
                        continue;
                }
                slot = arena_push(r->arena, (void **)docs, docs_len, sizeof(*slot));
                *slot = read.items[i];
        }
}

const char *assemble_shown(struct arena *arena, const char *path)
{
        AUTO_FREE char *cwd = getcwd(NULL, 0);
        size_t n = cwd ? strlen(cwd) : 0;

        if (n > 1 && strncmp(path, cwd, n) == 0 && path[n] == '/')
                path += n + 1;
        return arena_strdup(arena, path);
}

bool assemble_is_remote(struct reader *r, const struct mark *mark, const char *path)
{
        if (!strstr(path, "://") && !has_prefix(path, "git@"))
                return false;
        reader_fault(r, DIAG_UNSUPPORTED_VALUE, mark,
                     "'%.80s' is not fetched; get a copy and name the file in it", path);
        r->partial = true;
        return true;
}

void assemble_read_file(struct assembly *a, const struct origin *from, const struct mark *mark,
                        struct node ***docs, size_t *docs_len)
{
        struct reader *r = a->r;
        const char *file = assemble_shown(r->arena, from->file);
        AUTO_FREE char *text = NULL;
        struct err err = ERR_INIT;
        size_t len = 0, errors = r->diags->errors;
        struct origin *origin;

        if (++a->files > ASSEMBLE_FILES_MAX) {
                reader_fault(r, DIAG_LIMIT, mark, "more than %d files are read for one stack",
                             ASSEMBLE_FILES_MAX);
                return;
        }
        if (file_read(from->file, YAML_SIZE_MAX, &text, &len, &err) < 0) {
                reader_fault(r, DIAG_BAD_FILE, mark, "%s", err.msg);
                r->partial = true;
                return;
        }
        origin = arena_push(r->arena, (void **)&r->origins, &r->origins_len, sizeof(*origin));
        *origin = (struct origin){file, from->dir, from->env};
        assemble_read_text(a, file, text, len, docs, docs_len);
        r->partial = r->partial || r->diags->errors > errors;
}

struct node *assemble_docs(struct assembly *a, const struct env *env, struct node **docs,
                           size_t docs_len)
{
        struct reader *r = a->r;
        struct node *root = NULL;

        for (size_t i = 0; i < docs_len; i++) {
                variables_replace(r->arena, env, r->diags, docs[i]);
                include_resolve(a, env, docs[i]);
                extends_resolve(a, env, docs[i], root);
                if (root)
                        merge_maps(r, stack_fields, root, docs[i]);
                else
                        root = docs[i];
        }
        return root;
}
