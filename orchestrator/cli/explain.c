/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/explain.h"

#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "schema/draft.h"
#include "schema/examples.h"
#include "schema/field.h"
#include "schema/suggest.h"

/* Deepest key that is looked at: the tables are less than half as deep. */
#define DEPTH_MAX 12
#define PATH_MAX_ 512

static bool is_named(const struct field *field)
{
        return field->kind && field->kind->merge == MERGE_NAMED;
}

static void write_list(const struct field *table, struct strbuf *out)
{
        for (; table->name; table++)
                if (table->use != FIELD_REFUSED)
                        strbuf_addf(out, "    %-22s %s%s%s\n", table->name,
                                    table->use == FIELD_IGNORED ? "ignored: " : "",
                                    table->doc ? table->doc : "",
                                    table->required ? "; required" : "");
}

static void write_example(const char *path, struct strbuf *out)
{
        const char *text = example_of(path);

        if (text)
                strbuf_adds(out, "  for example:\n");
        while (text && *text) {
                size_t n = strcspn(text, "\n");

                strbuf_addf(out, "    %.*s\n", (int)n, text);
                text += n + (text[n] == '\n');
        }
}

static void write_bounds(const struct field *field, struct strbuf *out)
{
        if (field->max && is_named(field))
                strbuf_addf(out, "  at most %lld of them\n", (long long)field->max);
        else if (field->max)
                strbuf_addf(out, "  from %lld to %lld\n", (long long)field->min,
                            (long long)field->max);
}

static void write_field(const char *path, const struct field *field, struct strbuf *out)
{
        const struct field *children = field_children(field);
        const char *doc = field->doc ? field->doc : "";

        strbuf_addf(out, "%s\n", path);
        switch (field->use) {
        case FIELD_USED:
                strbuf_addf(out, "  %s%s%s%s\n", doc, *doc ? "; " : "",
                            field->kind ? field->kind->form : "",
                            field->required ? "; required" : "");
                break;
        case FIELD_QUIET:
                strbuf_addf(out, "  accepted; nothing to do in a VM%s%s\n", *doc ? ": " : "", doc);
                break;
        case FIELD_IGNORED:
                strbuf_addf(out, "  ignored with a warning%s%s\n", *doc ? ": " : "", doc);
                break;
        case FIELD_REFUSED:
                strbuf_addf(out, "  refused%s%s\n", *doc ? ": " : "", doc);
                return; /* what is below is refused with it */
        }
        write_bounds(field, out);
        write_example(path, out);
        if (children) {
                strbuf_addf(out, "  keys%s:\n", is_named(field) ? " of each" : "");
                write_list(children, out);
        }
}

static const struct field *find(const struct field *table, const char *name, size_t len)
{
        AUTO_FREE char *copy = xstrndup(name, len);

        return table ? field_find(table, copy) : NULL;
}

/* A longer word that is nearly a key is a misspelled one rather than the name of a service. */
#define WORD_MIN 5

static bool is_misspelled(const struct field *table, const char *name, size_t len)
{
        AUTO_FREE char *word = xstrndup(name, len);
        struct suggestion near = SUGGESTION_INIT(word);

        for (; table->name && len >= WORD_MIN; table++)
                suggest_offer(&near, table->name);
        return near.best;
}

/* Follow a path from the top; a name in the place of a service's is passed over. */
static const struct field *follow(const char *key, struct strbuf *path)
{
        const struct field *table = stack_fields, *field = NULL;
        bool skipped = true; /* the top level has no names */

        while (*key) {
                size_t len = strcspn(key, ".");
                const struct field *next = find(table, key, len);

                if (!next && (skipped || !field || !is_named(field) ||
                              (!key[len] && is_misspelled(table, key, len))))
                        return NULL;
                if (next) {
                        strbuf_addf(path, "%s%s%s", path->len ? "." : "",
                                    field && is_named(field) ? "*." : "", next->name);
                        field = next;
                        table = field_children(field);
                        skipped = false;
                } else {
                        skipped = true;
                }
                key += len + (key[len] == '.');
        }
        return field;
}

/* The longest beginning of a path that is a key, to be looked at instead; empty: none. */
static char *known_part(const char *key)
{
        AUTO_FREE char *part = xstrdup(key);

        for (char *point = strrchr(part, '.'); point; point = strrchr(part, '.')) {
                AUTO_STRBUF struct strbuf unused = STRBUF_INIT(PATH_MAX_);

                *point = '\0';
                if (follow(part, &unused))
                        return xstrdup(part);
        }
        return xstrdup("");
}

struct search {
        const char *name;
        struct strbuf *out;
        struct suggestion near;
        size_t found;
};

/* Depth is bounded by the tables themselves, and here once more.
 * NOLINTNEXTLINE(misc-no-recursion) */
static void search_table(struct search *s, const struct field *table, const char *prefix,
                         unsigned depth)
{
        for (; table->name && depth < DEPTH_MAX; table++) {
                AUTO_FREE char *path = xasprintf("%s%s", prefix, table->name);
                const struct field *children = field_children(table);

                suggest_offer(&s->near, table->name);
                if (streq(table->name, s->name)) {
                        if (s->found++)
                                strbuf_addc(s->out, '\n');
                        write_field(path, table, s->out);
                }
                if (children) {
                        AUTO_FREE char *below =
                                xasprintf("%s.%s", path, is_named(table) ? "*." : "");

                        search_table(s, children, below, depth + 1);
                }
        }
}

int explain(const char *key, struct strbuf *out, struct err *err)
{
        AUTO_STRBUF struct strbuf path = STRBUF_INIT(PATH_MAX_), unused = STRBUF_INIT(64 << 10);
        const char *point = key ? strrchr(key, '.') : NULL;
        const char *last = point ? point + 1 : key;
        struct search search = {
                .name = last, .out = point ? &unused : out, .near = SUGGESTION_INIT(last)};
        AUTO_FREE char *known = NULL;
        const struct field *field;

        if (!key) {
                strbuf_adds(out, "The top level of a manifest:\n");
                write_list(stack_fields, out);
                return 0;
        }
        field = follow(key, &path);
        if (field) {
                write_field(strbuf_str(&path), field, out);
                return 0;
        }
        search_table(&search, stack_fields, "", 0); /* of a path: for what is near its end */
        if (search.found && !point)
                return 0;
        if (search.near.best)
                return err_set(err, ENOENT, "there is no key '%.100s'; did you mean '%s'?", key,
                               search.near.best);
        known = known_part(key);
        return err_set(err, ENOENT, "there is no key '%.100s'; 'berth explain%s%.100s' lists %s",
                       key, *known ? " " : "", known, *known ? "what there is" : "the top level");
}
