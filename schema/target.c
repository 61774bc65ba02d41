/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/target.h"

#include <string.h>

#include "base/mem.h"
#include "schema/mount.h"

char *target_clean(struct arena *arena, const char *path)
{
        char *out = arena_alloc(arena, strlen(path) + 2); /* a relative one gains a slash */
        size_t n = 0;

        for (const char *p = path; *p;) {
                size_t len = strcspn(p, "/");

                if (len == 2 && p[0] == '.' && p[1] == '.') {
                        while (n > 0 && out[--n] != '/')
                                ;
                } else if (len > 0 && !(len == 1 && p[0] == '.')) {
                        out[n++] = '/';
                        memmove(out + n, p, len);
                        n += len;
                }
                p += len;
                p += *p == '/';
        }
        if (n == 0)
                out[n++] = '/';
        out[n] = '\0';
        return out;
}

/* A file is at its target, or under its own name; both may start from the folder. */
static const char *file_key(struct arena *arena, const struct node *item, const char *folder)
{
        const struct node *target = node_get(item, "target");
        const struct node *source = node_get(item, "source");
        const struct node *at = item->kind != NODE_MAP ? item : target ? target : source;
        const char *name = at && at->kind == NODE_STRING ? at->text : "";

        if (!name[0])
                return "";
        return target_clean(arena,
                            name[0] == '/' ? name : arena_printf(arena, "%s/%s", folder, name));
}

/* The part between the first colon and the second one; what is malformed has none. */
static const char *short_target(struct arena *arena, const char *text)
{
        const char *first = strchr(text, ':');
        const char *second = first ? strchr(first + 1, ':') : NULL;

        if (!first)
                return text;
        if (first == text || (second && strchr(second + 1, ':')))
                return "";
        return second ? arena_strndup(arena, first + 1, (size_t)(second - first - 1)) : first + 1;
}

const char *target_key(struct arena *arena, const struct node *item, const char *folder)
{
        const struct node *target = node_get(item, "target");
        const char *path;

        if (!target)
                target = node_get(item, "source"); /* of devices, whose target may be left out */

        if (folder)
                return file_key(arena, item, folder);
        if (item->kind == NODE_STRING)
                path = short_target(arena, item->text);
        else
                path = target && target->kind == NODE_STRING ? target->text : "";
        return path[0] == '/' && path[1] ? target_clean(arena, path) : "";
}

/* Whether a later entry has the same key. */
static size_t replaced_by(const char *const *keys, size_t n, size_t at)
{
        for (size_t i = n; i-- > at + 1 && keys[at][0];)
                if (streq(keys[i], keys[at]))
                        return i;
        return at;
}

void targets_read(struct reader *r, const struct field *field, const struct node *node,
                  entry_fn *read, void *value)
{
        const char *keys[MOUNTS_MAX];
        bool look = node->kind == NODE_SEQ && node->len <= MOUNTS_MAX;

        for (size_t i = 0; look && i < node->len; i++)
                keys[i] = target_key(r->arena, node->items[i], field->kind->folder);
        if (!look)
                entries_read(r, field, node, read, value);
        for (size_t i = 0; look && i < node->len; i++) {
                size_t by = replaced_by(keys, node->len, i);

                path_push_index(&r->path, i);
                if (by == i)
                        read(r, field, node->items[i], value);
                else
                        reader_warn(r, &node->items[i]->mark,
                                    "ignored: a later entry, [%zu], has %.80s too; remove one", by,
                                    keys[i]);
                path_pop(&r->path);
        }
}
