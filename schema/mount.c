/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/mount.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"
#include "schema/entries.h"
#include "schema/kinds.h"
#include "schema/shapes.h"
#include "schema/target.h"

static const char *const mount_types[] = {"volume", "bind", "tmpfs", NULL};

/* Folders of the host that no VM may see, and its programs' sockets. */
static const struct {
        const char *path, *why;
} forbidden[] = {
        {"/", "it holds the whole host; name the folder that the service needs"},
        {"/proc", "the VM has its own; leave the entry out"},
        {"/sys", "the VM has its own; leave the entry out"},
        {"/dev",
         "the VM has its own; leave the entry out, or write /dev/net/tun or /dev/fuse under "
         "'devices'"},
        {"/lib/modules", "the VM has its own kernel; leave the entry out"},
        {"/var/run/docker.sock",
         "there is no Docker here: leave the entry out, and the service if it is for containers"},
        {"/run/docker.sock",
         "there is no Docker here: leave the entry out, and the service if it is for containers"},
};

static const char *dir_of(const struct reader *r, const struct mark *mark)
{
        for (size_t i = 0; i < r->origins_len; i++)
                if (r->origins[i].file == mark->file)
                        return r->origins[i].dir;
        return r->base_dir;
}

const char *reader_resolve_path(struct reader *r, const struct mark *mark, const char *path)
{
        const char *home;

        if (path[0] == '/')
                return target_clean(r->arena, path);
        if (!r->env) {
                reader_fault(r, DIAG_BAD_PATH, mark, "'%.80s' is not an absolute path", path);
                return path;
        }
        if (path[0] == '~' && (path[1] == '/' || !path[1])) {
                home = env_get(r->env, "HOME");
                if (home && home[0] == '/')
                        return target_clean(r->arena,
                                            arena_printf(r->arena, "%s%s", home, path + 1));
                reader_fault(r, DIAG_BAD_PATH, mark, "HOME is not set, so '~' has no meaning");
        }
        return target_clean(r->arena, arena_printf(r->arena, "%s/%s", dir_of(r, mark), path));
}

void mount_check_bind(struct reader *r, const struct mark *mark, const char *path)
{
        for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
                if (streq(path, forbidden[i].path) ||
                    (i > 0 && has_prefix(path, forbidden[i].path) &&
                     path[strlen(forbidden[i].path)] == '/'))
                        reader_fault(r, DIAG_UNSUPPORTED_VALUE, mark,
                                     "%.80s of the host cannot be mounted: %s", path,
                                     forbidden[i].why);
}

static struct mount *add_mount(struct reader *r, const struct node *node, struct service *service)
{
        struct mount *mount;

        if (service->volumes_len >= MOUNTS_MAX) {
                reader_fault(r, DIAG_LIMIT, &node->mark, "more than %d mounts", MOUNTS_MAX);
                return NULL;
        }
        reader_note(r, r->service_node, "volumes", NULL, service->volumes_len, node);
        mount = array_push(&service->volumes, &service->volumes_len);
        mount->create_host_path = true;
        mount->size_bytes = -1;
        mount->mode = -1;
        return mount;
}

static void set_target(struct reader *r, const struct node *node, struct mount *mount,
                       const struct service *service)
{
        const char *clean;

        if (!mount->target || mount->target[0] != '/') {
                reader_fault(r, DIAG_BAD_PATH, &node->mark,
                             "'%.80s' is not an absolute path in the guest; write SOURCE:/TARGET",
                             mount->target ? mount->target : "");
                return;
        }
        clean = target_clean(r->arena, mount->target);
        free(mount->target);
        mount->target = xstrdup(clean);
        if (streq(clean, "/"))
                reader_fault(r, DIAG_BAD_PATH, &node->mark,
                             "nothing can be mounted over /; name a folder in it");
        for (const struct mount *m = service->volumes; m < mount; m++)
                if (streq(m->target, mount->target))
                        reader_fault(r, DIAG_CONFLICT, &node->mark,
                                     "%.80s is a mount of this service already", mount->target);
}

static void set_source(struct reader *r, const struct node *node, const char *source,
                       struct mount *mount)
{
        free(mount->source);
        mount->source = NULL;
        if (mount->type == MOUNT_BIND) {
                mount->source = xstrdup(reader_resolve_path(r, &node->mark, source));
                mount_check_bind(r, &node->mark, mount->source);
        } else if (mount->type == MOUNT_VOLUME) {
                mount->source = xstrdup(source);
                reader_add_ref(r, REF_VOLUME, source, &node->mark, false);
        } else {
                reader_fault(r, DIAG_CONFLICT, &node->mark, "a tmpfs has no source; leave it out");
        }
}

static void read_options(struct reader *r, const struct node *node, const char *options,
                         struct mount *mount)
{
        static const char *const quiet[] = {"rw",        "z",          "Z",       "cached",
                                            "delegated", "consistent", "shared",  "rshared",
                                            "slave",     "rslave",     "private", "rprivate",
                                            ""};

        while (options) {
                const char *comma = strchr(options, ',');
                AUTO_FREE char *one =
                        xstrndup(options, comma ? (size_t)(comma - options) : strlen(options));
                bool known = false;

                for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
                        known = known || streq(one, quiet[i]);
                if (streq(one, "ro"))
                        mount->read_only = true;
                else if (streq(one, "nocopy"))
                        mount->nocopy = true;
                else if (!known)
                        reader_warn(r, &node->mark, "mount option '%.40s' is unknown and ignored",
                                    one);
                options = comma ? comma + 1 : NULL;
        }
}

static bool is_host_path(const char *source)
{
        return source[0] == '/' || source[0] == '.' || source[0] == '~';
}

/* TARGET or SOURCE:TARGET[:OPTIONS] */
static void read_short(struct reader *r, const struct node *node, struct service *service)
{
        const char *first = strchr(node->text, ':');
        const char *second = first ? strchr(first + 1, ':') : NULL;
        AUTO_FREE char *source = first ? xstrndup(node->text, (size_t)(first - node->text)) : NULL;
        struct mount *mount = add_mount(r, node, service);

        if (!mount)
                return;
        if (first && (!source[0] || !first[1] || first + 1 == second)) {
                reader_fault(r, DIAG_BAD_PATH, &node->mark,
                             "'%.80s' has an empty part; write SOURCE:/TARGET", node->text);
                return;
        }
        if (second && strchr(second + 1, ':')) {
                reader_fault(r, DIAG_BAD_PATH, &node->mark,
                             "'%.80s' has too many colons; use the long form (source:, target:)",
                             node->text);
                return;
        }
        if (!first)
                mount->target = xstrdup(node->text);
        else if (second)
                mount->target = xstrndup(first + 1, (size_t)(second - first - 1));
        else
                mount->target = xstrdup(first + 1);
        mount->type = source && is_host_path(source) ? MOUNT_BIND : MOUNT_VOLUME;
        if (source)
                set_source(r, node, source, mount);
        if (second)
                read_options(r, node, second + 1, mount);
        set_target(r, node, mount, service);
}

static const struct field bind_fields[] = {
        {.name = "create_host_path",
         .kind = &kind_bool,
         .offset = offsetof(struct mount, create_host_path),
         .unset = true,
         .doc = "make the host folder when it is missing"},
        {.name = "propagation", .use = FIELD_IGNORED, .doc = "mounts do not propagate into a VM"},
        {.name = "selinux", .use = FIELD_QUIET, .doc = "the host's labels do not matter in a VM"},
        {.name = "recursive", .use = FIELD_IGNORED, .doc = "a shared folder is always whole"},
        {0},
};

static const struct field volume_option_fields[] = {
        {.name = "nocopy",
         .kind = &kind_bool,
         .offset = offsetof(struct mount, nocopy),
         .doc = "do not fill a new volume with what the image has at that path"},
        {.name = "subpath",
         .kind = &kind_string,
         .offset = offsetof(struct mount, subpath),
         .doc = "mount this folder of the volume instead of all of it"},
        {.name = "labels", .use = FIELD_QUIET, .doc = "notes for people"},
        {0},
};

static const struct field tmpfs_berth_fields[] = {
        {.name = "uid",
         .kind = &kind_unsigned,
         .offset = offsetof(struct mount, uid),
         .max = UINT32_MAX,
         .doc = "owner of the folder; 0 when left out"},
        {.name = "gid",
         .kind = &kind_unsigned,
         .offset = offsetof(struct mount, gid),
         .max = UINT32_MAX,
         .doc = "group of the folder; 0 when left out"},
        {0},
};

static const struct field tmpfs_option_fields[] = {
        {.name = "size",
         .kind = &kind_bytes,
         .offset = offsetof(struct mount, size_bytes),
         .unset = -1,
         .doc = "largest size; half of the VM's memory when left out"},
        {.name = "mode",
         .kind = &kind_mode,
         .offset = offsetof(struct mount, mode),
         .unset = -1,
         .doc = "mode of the folder; 01777 when left out"},
        {.name = "x-berth",
         .kind = &kind_object,
         .arg = tmpfs_berth_fields,
         .doc = "what the short form in 'tmpfs' has as uid=N and gid=N"},
        {0},
};

static const struct field image_option_fields[] = {
        {.name = "subpath", .use = FIELD_REFUSED, .doc = "folder of the image"},
        {0},
};

static const struct field mount_fields[] = {
        {.name = "type",
         .kind = &kind_choice,
         .offset = offsetof(struct mount, type),
         .unset = -1,
         .arg = mount_types,
         .required = true,
         .doc = "volume, bind or tmpfs"},
        {.name = "source",
         .kind = &kind_string,
         .offset = offsetof(struct mount, source),
         .doc = "name of a volume, or path on the host; none: an anonymous volume"},
        {.name = "target",
         .kind = &kind_string,
         .offset = offsetof(struct mount, target),
         .required = true,
         .doc = "path in the guest"},
        {.name = "read_only",
         .kind = &kind_bool,
         .offset = offsetof(struct mount, read_only),
         .doc = "refuse writes"},
        {.name = "bind", .kind = &kind_object, .arg = bind_fields, .doc = "options of a bind"},
        {.name = "volume",
         .kind = &kind_object,
         .arg = volume_option_fields,
         .doc = "options of a volume"},
        {.name = "tmpfs",
         .kind = &kind_object,
         .arg = tmpfs_option_fields,
         .doc = "options of a tmpfs"},
        {.name = "consistency", .use = FIELD_QUIET, .doc = "always consistent"},
        {.name = "image",
         .use = FIELD_REFUSED,
         .arg = image_option_fields,
         .doc = "images cannot be mounted; use a volume"},
        {0},
};

static void read_long(struct reader *r, const struct node *node, struct service *service)
{
        struct mount *mount = add_mount(r, node, service);
        const struct node *source = node_get(node, "source");
        const struct node *target = node_get(node, "target");
        AUTO_FREE char *text = NULL;

        if (!mount)
                return;
        fields_init(mount_fields, mount);
        fields_read(r, mount_fields, node, mount);
        text = STEAL(mount->source);
        if ((int)mount->type < 0)
                mount->type = MOUNT_TMPFS; /* an error was reported */
        else if (text)
                set_source(r, source, text, mount);
        else if (mount->type == MOUNT_BIND)
                reader_fault(r, DIAG_MISSING_KEY, &node->mark,
                             "a bind needs 'source', a path on the host");
        if (mount->subpath && (mount->subpath[0] == '/' || strstr(mount->subpath, "..")))
                reader_fault(r, DIAG_BAD_PATH, &node->mark,
                             "subpath '%.80s' leaves the volume; write a folder in "
                             "it, without ..",
                             mount->subpath);
        if (mount->target)
                set_target(r, target, mount, service);
}

static void read_mount(struct reader *r, const struct field *field, const struct node *item,
                       void *value)
{
        (void)field;
        if (entry_is_split(r, item))
                return;
        if (item->kind == NODE_MAP)
                read_long(r, item, value);
        else if (item->kind == NODE_STRING)
                read_short(r, item, value);
        else
                reader_fault(r, DIAG_BAD_TYPE, &item->mark,
                             "must be SOURCE:/TARGET or a map, not %s", node_kind_name(item));
}

static void mounts_read(struct reader *r, const struct field *field, const struct node *node,
                        void *value)
{
        targets_read(r, field, node, read_mount, value);
}

static json_t *mounts_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        (void)field;
        return entries_write(mount_fields, service->volumes, service->volumes_len,
                             sizeof(*service->volumes));
}

const struct kind kind_mounts = {.schema = SHAPE_ENTRIES("{'type':'string'}"),
                                 .form = "a list of mounts such as \"data:/var/lib/data\"",
                                 .merge = MERGE_TARGET,
                                 .long_form = mount_fields,
                                 .read = mounts_read,
                                 .write = mounts_write};

static void read_owner(struct reader *r, const struct node *node, const char *text, unsigned *ret)
{
        struct err err = ERR_INIT;
        int64_t id = 0;

        if (value_int(text, 0, UINT32_MAX, &id, &err) < 0)
                reader_fault(r, DIAG_BAD_NUMBER, &node->mark, "%s", err.msg);
        *ret = (unsigned)id;
}

static void read_tmpfs_option(struct reader *r, const struct node *node, const char *option,
                              struct mount *mount)
{
        static const char *const quiet[] = {"rw",  "noexec", "exec", "nosuid",  "suid", "nodev",
                                            "dev", "async",  "sync", "noatime", ""};
        struct node mode = *node;
        struct err err = ERR_INIT;

        for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
                if (streq(option, quiet[i]))
                        return;
        if (streq(option, "ro")) {
                mount->read_only = true;
        } else if (has_prefix(option, "size=")) {
                if (value_bytes(option + 5, &mount->size_bytes, &err) < 0)
                        reader_fault(r, DIAG_BAD_SIZE, &node->mark, "%s", err.msg);
        } else if (has_prefix(option, "mode=")) {
                mode.text = option + 5;
                kind_mode.read(r, NULL, &mode, &mount->mode);
        } else if (has_prefix(option, "uid=")) {
                read_owner(r, node, option + 4, &mount->uid);
        } else if (has_prefix(option, "gid=")) {
                read_owner(r, node, option + 4, &mount->gid);
        } else {
                reader_warn(r, &node->mark, "tmpfs option '%.40s' is ignored", option);
        }
}

/* PATH[:OPTION,OPTION...] */
static void read_tmpfs(struct reader *r, const struct node *node, struct service *service)
{
        size_t n = strcspn(node->text, ":");
        struct mount *mount = add_mount(r, node, service);
        AUTO_FREE char *options = node->text[n] ? xstrdup(node->text + n + 1) : NULL;
        char *rest = options;

        if (!mount)
                return;
        mount->type = MOUNT_TMPFS;
        mount->target = xstrndup(node->text, n);
        while (rest) {
                const char *one = strsep(&rest, ",");

                read_tmpfs_option(r, node, one, mount);
        }
        set_target(r, node, mount, service);
}

static void tmpfs_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        bool list = node->kind == NODE_SEQ;

        for (size_t i = 0; i < (list ? node->len : 1); i++) {
                const struct node *item = list ? node->items[i] : node;

                if (item->kind == NODE_STRING)
                        read_tmpfs(r, item, value);
                else
                        reader_refuse_kind(r, field, item);
        }
}

const struct kind kind_tmpfs = {.schema = SHAPE_WORDS,
                                .form = "a string or a list of paths",
                                .merge = MERGE_SET,
                                .read = tmpfs_read};
