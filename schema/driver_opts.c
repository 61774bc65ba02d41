/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `driver_opts` of a volume: what Docker's local driver gives to mount(8). The idioms of real files
 * are a folder of the host (o: bind) and memory (type: tmpfs); normalise() turns the mounts of such
 * volumes into binds and tmpfs.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"
#include "schema/kinds.h"
#include "schema/mount.h"
#include "schema/service_kinds.h"

static const char *text_of(const struct node *map, const char *key)
{
        const struct node *node = node_get(map, key);

        return node && node->text && node->kind != NODE_NULL ? node->text : "";
}

/* The option of that name in a list between commas; what stands behind the name, or NULL. */
static const char *option(const char *list, const char *name)
{
        size_t n = strlen(name);

        for (const char *p = list; *p; p += *p == ',') {
                size_t len = strcspn(p, ",");

                if (len >= n && strncmp(p, name, n) == 0)
                        return p + n;
                p += len;
        }
        return NULL;
}

static void read_tmpfs(struct reader *r, const struct node *node, const char *options,
                       struct volume *volume)
{
        const char *size = option(options, "size=");
        AUTO_FREE char *text = size ? xstrndup(size, strcspn(size, ",")) : NULL;
        struct err err = ERR_INIT;

        volume->in_memory = true;
        if (text && value_bytes(text, &volume->size_bytes, &err) < 0)
                reader_fault(r, DIAG_BAD_SIZE, &node->mark, "%s", err.msg);
}

static void read_unknown(struct reader *r, const struct node *node)
{
        for (size_t i = 0; i < node->len; i++) {
                const char *key = node->entries[i].key;

                if (!streq(key, "type") && !streq(key, "o") && !streq(key, "device"))
                        reader_fault(r, DIAG_IGNORED_KEY, &node->entries[i].mark,
                                     "ignored: '%.40s' is no option of local volumes", key);
        }
}

static void driver_opts_read(struct reader *r, const struct field *field, const struct node *node,
                             void *value)
{
        const char *type = text_of(node, "type"), *device = text_of(node, "device");
        const char *options = text_of(node, "o");
        const struct node *at = node_get(node, "device");
        struct volume *volume = value;

        if (node->kind != NODE_MAP) {
                reader_refuse_kind(r, field, node);
                return;
        }
        read_unknown(r, node);
        if (device[0] && (option(options, "bind") || option(options, "rbind"))) {
                free(volume->device);
                volume->device = xstrdup(reader_resolve_path(r, &at->mark, device));
                mount_check_bind(r, &at->mark, volume->device);
        } else if (streq(type, "tmpfs")) {
                read_tmpfs(r, node, options, volume);
        } else if (type[0] || device[0]) {
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                             "a %.20s file system cannot be a volume; mount it on the host, and "
                             "write that folder as /folder:/path",
                             type[0] ? type : "foreign");
        }
}

const struct kind kind_driver_opts = {
        .schema = "{'type':['object','null'],'additionalProperties':{'type':['string','number']}}",
        .form = "a map",
        .merge = MERGE_PAIRS,
        .read = driver_opts_read};
