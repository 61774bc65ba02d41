/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/changes.h"

#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/table.h"

/* Columns of a value that are shown; the rest is "...". Configs are long; -o json has it all. */
#define VALUE_COLUMNS 100
/* Column where the explanation of a change begins. */
#define NAME_COLUMNS 24

static const struct kind {
        const char *name, *symbol, *style;
        const char *text;    /* behind the name */
        const char *summary; /* "N to ..." */
} kinds[] = {
        {"create", "  +", STYLE_GREEN, "create", "create"},
        {"update", "  ~", STYLE_YELLOW, "update in place, VM keeps running", "update in place"},
        {"replace", "-/+", STYLE_YELLOW, "recreate: a new VM, named volumes stay", "recreate"},
        {"remove", "  -", STYLE_RED, "remove (not in manifest)", "remove"},
};

static const struct kind *kind_of(const json_t *change)
{
        const char *name = json_str(change, "kind", "");

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (streq(kinds[i].name, name))
                        return &kinds[i];
        return NULL;
}

bool changes_any(const json_t *changes)
{
        return json_array_size(changes) > 0;
}

/* A volume that the manifest does not name any more: it stays, with its data. */
static bool is_kept(const json_t *change)
{
        return streq(json_str(change, "what", ""), "volume") &&
               streq(json_str(change, "kind", ""), "remove");
}

static size_t count_kind(const json_t *changes, const struct kind *kind)
{
        const json_t *change;
        size_t i, n = 0;

        json_array_foreach(changes, i, change)
                n += kind_of(change) == kind && !is_kept(change);
        return n;
}

char *changes_summary(const json_t *changes)
{
        struct strbuf out = STRBUF_INIT(CHANGES_TEXT_MAX);

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                size_t n = count_kind(changes, &kinds[i]);

                if (n)
                        strbuf_addf(&out, "%s%zu to %s", out.len ? ", " : "", n, kinds[i].summary);
        }
        if (!out.len)
                strbuf_adds(&out, "nothing to do");
        return strbuf_take(&out);
}

static void locate(json_t *object, const struct places *places, const json_t *change,
                   const char *path)
{
        struct mark mark;

        if (!places_find(places, json_str(change, "what", ""), json_str(change, "name", ""), path,
                         &mark) ||
            !mark.file)
                return;
        json_set_str(object, "file", mark.file);
        json_set_int(object, "line", mark.line);
        json_set_int(object, "column", mark.column);
}

void changes_locate(json_t *changes, const struct places *places)
{
        json_t *change, *field;
        size_t i, j;

        json_array_foreach(changes, i, change) {
                locate(change, places, change, "");
                json_array_foreach(json_object_get(change, "fields"), j, field)
                        if (json_object_get(field, "after"))
                                locate(field, places, change, json_str(field, "path", ""));
        }
}

/* Whether a string can be shown without quotes and cannot be misread then. */
static bool is_plain(const char *s)
{
        for (const char *p = s; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '"' || *p == '\\')
                        return false;
        return *s && s[0] != ' ' && s[strlen(s) - 1] != ' ';
}

/* A plain string is shown without its quotes where that cannot be misread. */
static char *value_text(const char *json)
{
        AUTO_JSON json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
        const char *s = json_string_value(value);
        AUTO_FREE char *safe = NULL;
        size_t fit;

        if (!s || !is_plain(s))
                s = json;
        safe = text_safe(s);
        fit = text_fit(safe, VALUE_COLUMNS);
        return safe[fit] ? xasprintf("%.*s...", (int)fit, safe) : STEAL(safe);
}

/* The end of a line: "   # forces recreate, shop.yaml:3:12". */
static void note_text(const struct changes_head *head, const char *note, const json_t *object,
                      struct strbuf *out)
{
        AUTO_FREE char *file = text_safe(json_str(object, "file", ""));

        if (*note || *file)
                strbuf_addf(out, "   %s# %s", cli_style(head->colour, STYLE_DIM), note);
        if (*file)
                strbuf_addf(out, "%s%s:%lld:%lld", *note ? ", " : "", file,
                            (long long)json_int(object, "line", 0),
                            (long long)json_int(object, "column", 0));
        if (*note || *file)
                strbuf_adds(out, cli_style(head->colour, STYLE_OFF));
        strbuf_addc(out, '\n');
}

/* Of a value that is not told, that it is another one. */
static void values_text(const char *before, const char *after, struct strbuf *out)
{
        AUTO_FREE char *old = before ? value_text(before) : NULL;
        AUTO_FREE char *new = after ? value_text(after) : NULL;

        if (before && streq(before, after))
                strbuf_addf(out, "%s changed", old);
        else
                strbuf_addf(out, "%s%s%s", before ? old : "", before && after ? " -> " : "",
                            after ? new : "");
}

static void field_text(const struct changes_head *head, const json_t *field, struct strbuf *out)
{
        const char *before = json_string_value(json_object_get(field, "before"));
        const char *after = json_string_value(json_object_get(field, "after"));
        const char *style = !before ? STYLE_GREEN : !after ? STYLE_RED : STYLE_YELLOW;
        AUTO_FREE char *path = text_safe(json_str(field, "path", "?"));

        strbuf_addf(out, "      %s%c%s %s: ", cli_style(head->colour, style),
                    !before  ? '+'
                    : !after ? '-'
                             : '~',
                    cli_style(head->colour, STYLE_OFF), path);
        values_text(before, after, out);
        note_text(head, streq(json_str(field, "effect", ""), "replace") ? "forces recreate" : "",
                  field, out);
}

static const char *kind_text(const struct kind *kind, const char *what)
{
        if (streq(what, "volume") && streq(kind->name, "remove"))
                return "not in the manifest any more; its data stays";
        if (streq(what, "network") && streq(kind->name, "replace"))
                return "made anew: its VMs stop, and start again on it";
        if (!streq(what, "service") && streq(kind->name, "update"))
                return "update in place";
        return kind->text;
}

static void change_text(const struct changes_head *head, const json_t *change, struct strbuf *out)
{
        const struct kind *kind = kind_of(change);
        const json_t *fields = json_object_get(change, "fields"), *field;
        const char *what = json_str(change, "what", "service");
        AUTO_FREE char *name = xasprintf("%s %s", what, json_str(change, "name", "?"));
        AUTO_FREE char *safe = text_safe(name);
        size_t i, width = text_width(safe);

        if (!kind)
                return; /* a newer daemon's: -o json shows it */
        strbuf_addf(out, "%s%s%s %s%*s %s", cli_style(head->colour, kind->style), kind->symbol,
                    cli_style(head->colour, STYLE_OFF), safe,
                    width < NAME_COLUMNS ? (int)(NAME_COLUMNS - width) : 0, "",
                    kind_text(kind, what));
        note_text(head, "", change, out);
        if (streq(kind->name, "create") || streq(kind->name, "remove"))
                return; /* the name says it all */
        json_array_foreach(fields, i, field)
                field_text(head, field, out);
}

static size_t changed(const json_t *changes, const char *what)
{
        const json_t *change;
        size_t i, n = 0;

        json_array_foreach(changes, i, change)
                n += streq(json_str(change, "what", ""), what) &&
                     !streq(json_str(change, "kind", ""), "remove");
        return n;
}

static void untouched_text(const struct changes_head *head, const json_t *changes,
                           struct strbuf *out)
{
        size_t services = changed(changes, "service"), volumes = changed(changes, "volume");

        services = head->services > services ? head->services - services : 0;
        volumes = head->volumes > volumes ? head->volumes - volumes : 0;
        if (services || volumes)
                strbuf_addf(out, "    %zu service%s unchanged, %zu volume%s untouched\n", services,
                            services == 1 ? "" : "s", volumes, volumes == 1 ? "" : "s");
}

void changes_text(const struct changes_head *head, const json_t *changes, struct strbuf *out)
{
        AUTO_FREE char *summary = changes_summary(changes);
        const json_t *change;
        size_t i;

        if (!changes_any(changes)) {
                strbuf_addf(out, "No changes. Stack %s matches the manifest.\n", head->stack);
                return;
        }
        if (head->revision)
                strbuf_addf(out, "stack %s  rev %lld -> %lld", head->stack,
                            (long long)head->revision, (long long)head->revision + 1);
        else
                strbuf_addf(out, "stack %s  new", head->stack);
        if (head->source)
                strbuf_addf(out, "  (source %s)", head->source);
        strbuf_addc(out, '\n');
        json_array_foreach(changes, i, change)
                change_text(head, change, out);
        untouched_text(head, changes, out);
        strbuf_addf(out, "Plan: %s.\n", summary);
}
