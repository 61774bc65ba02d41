/* SPDX-License-Identifier: Apache-2.0 */
/* `extends`: a service that begins as a copy of another one, of this file or of another. */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/assemble.h"
#include "schema/draft.h"
#include "schema/kinds.h"
#include "schema/merge.h"
#include "schema/mount.h"
#include "schema/suggest.h"
#include "schema/variables.h"

/* The services of one file. */
struct book {
        const char *path; /* absolute; NULL: the document that is being completed */
        struct node *services;
        struct book *next;
};

/* A service that is being completed because the one before extends it. */
struct chain {
        const struct chain *outer;
        const struct book *book;
        const char *name;
};

struct extender {
        struct assembly *a;
        const struct env *env;
        struct node *earlier; /* services of documents before this one, or NULL */
        struct book *books;   /* files that were read */
};

struct extends_spec {
        char *service, *file;
};

static const struct field extends_fields[] = {
        {.name = "service",
         .kind = &kind_string,
         .offset = offsetof(struct extends_spec, service),
         .required = true,
         .doc = "the service to begin with"},
        {.name = "file",
         .kind = &kind_string,
         .offset = offsetof(struct extends_spec, file),
         .doc = "the file it is in; this one when left out"},
        {0},
};

const struct kind kind_extends = {.schema =
                                          "{'anyOf':[{'type':['string','null']},{'$ref':'#long'}]}",
                                  .form = "a service's name or a map",
                                  .long_form = extends_fields,
                                  .read = assemble_refuse};

static void complete(struct extender *x, struct book *book, struct entry *entry,
                     const struct chain *outer);

static bool read_spec(struct reader *r, const struct node *node, struct extends_spec *spec)
{
        size_t errors = r->diags->errors;

        if (node->kind == NODE_MAP)
                fields_read(r, extends_fields, node, spec);
        else if (node->kind == NODE_STRING && node->text[0])
                spec->service = xstrdup(node->text);
        else
                reader_fault(r, DIAG_BAD_TYPE, &node->mark,
                             "must be a service's name or a map such as {service: NAME, file: "
                             "FILE}, not %s",
                             node_kind_name(node));
        return r->diags->errors == errors && spec->service;
}

/* The services of another file; read once. */
static struct book *open_book(struct extender *x, const char *path, const struct mark *mark)
{
        struct reader *r = x->a->r;
        struct node **docs = NULL;
        struct path at = r->path;
        size_t docs_len = 0;
        struct origin from;
        struct book *book;

        for (book = x->books; book; book = book->next)
                if (streq(book->path, path))
                        return book;
        book = arena_alloc(r->arena, sizeof(*book));
        *book = (struct book){.path = path, .next = x->books};
        x->books = book;
        from = (struct origin){path, dirname(arena_strdup(r->arena, path)), x->env};
        assemble_read_file(x->a, &from, mark, &docs, &docs_len);
        r->path.len = 0;
        for (size_t i = 0; i < docs_len; i++) {
                variables_replace(r->arena, x->env, r->diags, docs[i]);
                if (i > 0)
                        merge_maps(r, stack_fields, docs[0], docs[i]);
        }
        r->path = at;
        if (docs_len > 0 && node_get(docs[0], "services"))
                book->services = node_find(docs[0], "services")->value;
        return book;
}

static void refuse_missing(struct reader *r, const struct node *at, const struct book *book,
                           const char *name)
{
        struct suggestion s = SUGGESTION_INIT(name);

        for (size_t i = 0; book->services && i < book->services->len; i++)
                suggest_offer(&s, book->services->entries[i].key);
        reader_fault(r, DIAG_UNDEFINED, &at->mark, "service '%.60s' does not exist in %s%s%s%s",
                     name, book->path ? assemble_shown(r->arena, book->path) : "this file",
                     s.best ? "; did you mean '" : "", s.best ? s.best : "", s.best ? "'?" : "");
}

/* The service to begin with, itself complete; NULL after a finding. */
static const struct node *find_base(struct extender *x, struct book *book, const struct node *at,
                                    const struct extends_spec *spec, const struct chain *chain)
{
        struct reader *r = x->a->r;
        struct entry *base;
        struct path path;

        if (spec->file) {
                size_t errors = r->diags->errors;

                if (assemble_is_remote(r, &at->mark, spec->file))
                        return NULL;
                book = open_book(x, reader_resolve_path(r, &at->mark, spec->file), &at->mark);
                if (!book->services && r->diags->errors > errors)
                        return NULL;
        }
        base = book->services && book->services->kind == NODE_MAP
                       ? node_find(book->services, spec->service)
                       : NULL;
        if (!base && !book->path && x->earlier)
                base = node_find(x->earlier, spec->service);
        if (!base) {
                refuse_missing(r, at, book, spec->service);
                return NULL;
        }
        path = r->path;
        r->path.len = 0;
        path_push_key(&r->path, "services");
        path_push_key(&r->path, base->key);
        complete(x, book, base, chain);
        r->path = path;
        return base->value->kind == NODE_MAP && !node_find(base->value, "extends") ? base->value
                                                                                   : NULL;
}

static bool in_cycle(struct reader *r, const struct chain *chain, const struct book *book,
                     const char *name, const struct mark *mark)
{
        const char *text = name;
        size_t depth = 0;

        for (const struct chain *c = chain; c; c = c->outer, depth++) {
                text = arena_printf(r->arena, "%s -> %s", c->name, text);
                if (c->book != book || !streq(c->name, name))
                        continue;
                reader_fault(r, DIAG_CYCLE, mark,
                             "the services extend each other: %.300s; remove one of these extends",
                             text);
                return true;
        }
        if (depth >= EXTENDS_DEPTH_MAX)
                reader_fault(r, DIAG_LIMIT, mark, "services extend each other deeper than %d",
                             EXTENDS_DEPTH_MAX);
        return depth >= EXTENDS_DEPTH_MAX;
}

/* An empty `extends` stays: what else the service lacks is not its own fault. */
static void give_up(struct reader *r, struct node *own)
{
        struct entry *entry = node_find(own, "extends");

        entry->value = node_new(r->arena, NODE_NULL, &entry->mark);
}

static void complete(struct extender *x, struct book *book, struct entry *entry,
                     const struct chain *outer)
{
        const struct chain chain = {outer, book, entry->key};
        struct reader *r = x->a->r;
        struct node *own = entry->value;
        const struct node *at = node_get(own, "extends"), *base = NULL;
        struct extends_spec spec = {0};

        if (!at || at->kind == NODE_NULL)
                return;
        path_push_key(&r->path, "extends");
        if (in_cycle(r, outer, book, entry->key, &at->mark))
                give_up(r, own);
        else if (at->tag != TAG_RESET && read_spec(r, at, &spec))
                base = find_base(x, book, at, &spec, &chain);
        path_pop(&r->path);
        if (!base) {
                give_up(r, own);
        } else {
                struct node *merged = node_copy(r->arena, base);

                node_remove(own, "extends");
                merged->mark = own->mark;
                merged->tag = own->tag;
                merge_maps(r, service_fields, merged, own);
                entry->value = merged;
        }
        free(spec.service);
        free(spec.file);
}

void extends_resolve(struct assembly *a, const struct env *env, struct node *doc,
                     struct node *earlier)
{
        struct entry *services = node_find(doc, "services");
        struct entry *before = node_find(earlier, "services");
        struct book book = {.services = services ? services->value : NULL};
        struct extender x = {.a = a, .env = env, .earlier = before ? before->value : NULL};

        if (!services || services->value->kind != NODE_MAP)
                return;
        path_push_key(&a->r->path, "services");
        for (size_t i = 0; i < book.services->len; i++) {
                path_push_key(&a->r->path, book.services->entries[i].key);
                complete(&x, &book, &book.services->entries[i], NULL);
                path_pop(&a->r->path);
        }
        path_pop(&a->r->path);
}
