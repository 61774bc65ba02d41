/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/field.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "schema/unknown.h"

/* Hostile input may have a million problems: the paths of those that are shown are enough. */
static const char *shown_path(const struct reader *r)
{
        return diags_full(r->diags) ? "" : path_text(&r->path, r->arena);
}

void reader_error(struct reader *r, const struct mark *mark, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        diags_addv(r->diags, DIAG_BAD_VALUE, mark, shown_path(r), fmt, ap);
        va_end(ap);
}

void reader_fault(struct reader *r, enum diag_code code, const struct mark *mark, const char *fmt,
                  ...)
{
        va_list ap;

        if (code >= DIAG_INCOMPLETE && !r->env)
                return; /* as below */
        if (r->off && (code >= DIAG_INCOMPLETE || code == DIAG_UNSUPPORTED_KEY ||
                       code == DIAG_UNSUPPORTED_VALUE))
                return; /* well written, and not run: what VMs cannot do does not matter */
        va_start(ap, fmt);
        diags_addv(r->diags, code, mark, shown_path(r), fmt, ap);
        va_end(ap);
}

void reader_warn(struct reader *r, const struct mark *mark, const char *fmt, ...)
{
        va_list ap;

        if (!r->env || r->off) /* JSON comes from a program: there is nobody to warn */
                return;
        va_start(ap, fmt);
        diags_addv(r->diags, DIAG_SUSPICIOUS, mark, shown_path(r), fmt, ap);
        va_end(ap);
}

void reader_refuse_kind(struct reader *r, const struct field *field, const struct node *node)
{
        bool scalar = node->kind == NODE_INT || node->kind == NODE_FLOAT || node->kind == NODE_BOOL;
        bool list = has_prefix(field->kind->form, "a list");

        if (list && (scalar || node->kind == NODE_STRING) && strlen(node->text) <= 60)
                reader_fault(r, DIAG_BAD_TYPE, &node->mark,
                             "must be %s, not %s; put it in brackets: [\"%s\"]", field->kind->form,
                             node_kind_name(node), node->text);
        else if (scalar && has_prefix(field->kind->form, "a string"))
                reader_fault(r, DIAG_BAD_TYPE, &node->mark,
                             "must be %s, not %s; write \"%.40s\" in quotes", field->kind->form,
                             node_kind_name(node), node->text);
        else
                reader_fault(r, DIAG_BAD_TYPE, &node->mark, "must be %s, not %s", field->kind->form,
                             node_kind_name(node));
}

const struct env *reader_env(const struct reader *r, const struct mark *mark)
{
        for (size_t i = 0; i < r->origins_len; i++)
                if (r->origins[i].file == mark->file)
                        return r->origins[i].env;
        return r->env;
}

void reader_add_ref(struct reader *r, enum ref_kind kind, const char *name, const struct mark *mark,
                    bool optional)
{
        struct ref *ref = arena_push(r->arena, (void **)&r->refs, &r->refs_len, sizeof(*ref));

        *ref = (struct ref){.kind = kind,
                            .name = arena_strdup(r->arena, name),
                            .path = path_text(&r->path, r->arena),
                            .mark = *mark,
                            .service = r->service,
                            .optional = optional};
}

void reader_note(struct reader *r, const struct node *service, const char *list, const char *name,
                 size_t index, const struct node *node)
{
        struct note *note;

        if (!r->env) /* JSON has no places */
                return;
        note = arena_push(r->arena, (void **)&r->notes, &r->notes_len, sizeof(*note));
        *note = (struct note){.service = service,
                              .list = list,
                              .name = name ? arena_strdup(r->arena, name) : NULL,
                              .index = index,
                              .node = node,
                              .order = r->notes_len};
}

const struct field *field_find(const struct field *table, const char *name)
{
        for (; table->name; table++)
                if (strcmp(table->name, name) == 0)
                        return table;
        return NULL;
}

const struct field *field_children(const struct field *field)
{
        const struct named *named = field->arg;

        if (!field->kind || field->kind->merge == MERGE_OBJECT)
                return field->arg;
        if (field->kind->merge == MERGE_NAMED)
                return named->table;
        return field->kind->long_form;
}

void fields_init(const struct field *table, void *base)
{
        for (; table->name; table++)
                if (table->kind && table->kind->init)
                        table->kind->init(table, (char *)base + table->offset);
}

/* An empty value, or one that variables made empty, is as good as none. */
static bool is_absent(const struct node *node)
{
        return node->kind == NODE_NULL || node->tag == TAG_RESET ||
               (node->kind == NODE_STRING && node->interpolated && !node->text[0]);
}

/* What is ignored or refused does not matter when it asks for nothing. */
static bool asks_nothing(const struct field *field, const struct node *node)
{
        return is_absent(node) || (field->usual && streq(node->text, field->usual)) ||
               ((node->kind == NODE_SEQ || node->kind == NODE_MAP) && node->len == 0);
}

static void read_entry(struct reader *r, const struct field *table, const struct entry *entry,
                       void *base)
{
        const struct field *field = field_find(table, entry->key);

        if (!field) {
                if (!has_prefix(entry->key, "x-"))
                        unknown_key_refuse(r, table, entry);
                return;
        }
        switch (field->use) {
        case FIELD_USED:
                if (!is_absent(entry->value))
                        field->kind->read(r, field, entry->value, (char *)base + field->offset);
                break;
        case FIELD_QUIET:
                break;
        case FIELD_IGNORED:
                if (!asks_nothing(field, entry->value))
                        reader_fault(r, DIAG_IGNORED_KEY, &entry->mark, "ignored: %s", field->doc);
                break;
        case FIELD_REFUSED:
                if (!asks_nothing(field, entry->value))
                        reader_fault(r, DIAG_UNSUPPORTED_KEY, &entry->mark, "%s", field->doc);
                break;
        }
}

void fields_read(struct reader *r, const struct field *table, const struct node *map, void *base)
{
        for (size_t i = 0; i < map->len; i++) {
                path_push_key(&r->path, map->entries[i].key);
                read_entry(r, table, &map->entries[i], base);
                path_pop(&r->path);
        }
        for (; table->name; table++) {
                const struct node *node = table->required ? node_get(map, table->name) : NULL;

                if (table->required && (!node || is_absent(node)))
                        reader_fault(r, DIAG_MISSING_KEY, &map->mark, "'%s' is missing",
                                     table->name);
        }
}

static json_t *field_write(const struct field *field, const void *base)
{
        if (field->use != FIELD_USED || !field->kind->write || field->in_only)
                return NULL;
        return field->kind->write(field, (const char *)base + field->offset);
}

json_t *fields_write_any(const struct field *table, const void *base)
{
        json_t *object = NULL;

        for (; table->name; table++) {
                json_t *value = field_write(table, base);

                if (!value)
                        continue;
                if (!object)
                        object = json_object();
                if (json_object_set_new_nocheck(object, table->name, value) < 0)
                        bug("json_object_set_new");
        }
        return object;
}

json_t *fields_write(const struct field *table, const void *base)
{
        json_t *object = fields_write_any(table, base);

        return object ? object : json_object();
}

static void set_member(json_t **object, const char *name, json_t *value)
{
        if (!value)
                return;
        if (!*object)
                *object = json_object();
        if (json_object_set_nocheck(*object, name, value) < 0)
                bug("json_object_set");
}

void fields_differ(const struct field *table, const void *a, const void *b, json_t **ret_a,
                   json_t **ret_b)
{
        for (*ret_a = *ret_b = NULL; table->name; table++) {
                AUTO_JSON json_t *before = field_write(table, a);
                AUTO_JSON json_t *after = field_write(table, b);

                if ((!before && !after) || (before && after && json_equal(before, after)))
                        continue;
                set_member(ret_a, table->name, before);
                set_member(ret_b, table->name, after);
        }
}
