/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/unknown.h"

#include <string.h>

#include "base/mem.h"
#include "schema/draft.h"
#include "schema/suggest.h"

/* The key of this table under which there is one of that name; NULL: none. */
static const struct field *find_below(const struct field *table, const char *name)
{
        for (; table->name; table++) {
                bool object = !table->kind || table->kind->merge == MERGE_REPLACE ||
                              table->kind->merge == MERGE_OBJECT;
                const struct field *children = object ? field_children(table) : NULL;

                if (children && field_find(children, name))
                        return table;
        }
        return NULL;
}

static const char *closest(const struct reader *r, const struct field *table, const char *key)
{
        struct suggestion s = SUGGESTION_INIT(key);

        for (; table->name && !diags_full(r->diags); table++)
                suggest_offer(&s, table->name);
        return s.best;
}

/* Where the key belongs, as the end of a sentence. A key of a service that is indented too deep is
 * seldom anything else; services that stand at the top, and keys of build, are the other way round.
 */
static const char *whereabouts(struct reader *r, const struct field *table,
                               const struct entry *entry)
{
        const struct field *below = find_below(table, entry->key);

        if (table == stack_fields &&
            (node_find(entry->value, "image") || node_find(entry->value, "build")))
                return "; is it a service? indent it below 'services'";
        if (below)
                return arena_printf(r->arena, "; it belongs below '%s'", below->name);
        if (table != service_fields && table != stack_fields && r->path.len > 3 &&
            field_find(service_fields, entry->key))
                return "; it is a key of the service: indent it less";
        return "; keys of your own must begin with x-";
}

void unknown_key_refuse(struct reader *r, const struct field *table, const struct entry *entry)
{
        const char *best = closest(r, table, entry->key);

        if (best)
                reader_fault(r, DIAG_UNKNOWN_KEY, &entry->mark, "unknown key; did you mean '%s'?",
                             best);
        else
                reader_fault(r, DIAG_UNKNOWN_KEY, &entry->mark, "unknown key%s",
                             diags_full(r->diags) ? "" : whereabouts(r, table, entry));
}
