/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/device.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/entries.h"
#include "schema/kinds.h"
#include "schema/shapes.h"
#include "schema/target.h"

#define ALL_PERMISSIONS "rwm"

const char *const device_sources[] = {"/dev/net/tun", "/dev/fuse", NULL};

/* Devices of the host that people ask for, and what they can do instead. */
static const struct {
        const char *prefix, *way_out;
} wanted[] = {
        {"/dev/tty", "serve the port on the host, with ser2net or the like, and reach it as "
                     "host.docker.internal"},
        {"/dev/serial/", "serve the port on the host, with ser2net or the like, and reach it as "
                         "host.docker.internal"},
        {"/dev/kvm", "guests have no virtualisation; leave the entry out where the service can "
                     "emulate"},
        {"/dev/dri", "leave the entry out where the service can do without a graphics card"},
        {"/dev/nvidia", "leave the entry out where the service can do without a graphics card"},
};

/* What /dev of each service has anyway. */
static const char *const present[] = {"",         "/null", "/zero", "/full",  "/random",
                                      "/urandom", "/tty",  "/fd",   "/stdin", "/stdout",
                                      "/stderr",  "/ptmx", "/pts",  "/shm",   "/mqueue"};

static bool is_present(const char *path)
{
        for (size_t i = 0; i < ARRAY_SIZE(present); i++)
                if (has_prefix(path, "/dev") && streq(path + strlen("/dev"), present[i]))
                        return true;
        return false;
}

static void check_source(struct reader *r, const struct node *node, const char *text)
{
        const char *path = text[0] == '/' ? target_clean(r->arena, text) : text;

        for (size_t i = 0; device_sources[i]; i++)
                if (streq(path, device_sources[i]))
                        return;
        if (is_present(path)) {
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                             "%.80s is in each VM already; leave the entry out", path);
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                if (has_prefix(path, wanted[i].prefix)) {
                        reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                                     "'%.80s' of the host cannot be passed: a VM has no devices of "
                                     "the host; %s",
                                     path, wanted[i].way_out);
                        return;
                }
        reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                     "'%.80s' of the host cannot be passed: a VM has no devices of the host; "
                     "/dev/net/tun and /dev/fuse, of the guest's own kernel, are all there is",
                     path);
}

static void check_target(struct reader *r, const struct node *node, const char *text)
{
        const char *path = target_clean(r->arena, text);

        if (text[0] != '/' || streq(path, "/"))
                reader_fault(r, DIAG_BAD_PATH, &node->mark,
                             "'%.80s' is not the path of a device in the guest; write "
                             "SOURCE:/TARGET:rwm",
                             text);
        else if (is_present(path))
                reader_fault(r, DIAG_CONFLICT, &node->mark,
                             "%.80s is another device of each VM; choose another path", path);
}

/* A guest has no device cgroup that could forbid a way to open what is there. Whether more nodes
 * may be made, the m, is the capability MKNOD's to say. */
static void check_permissions(struct reader *r, const struct node *node, const char *text)
{
        size_t n = strspn(text, ALL_PERMISSIONS);

        if (!text[0] || text[n] || n > strlen(ALL_PERMISSIONS))
                reader_fault(r, DIAG_BAD_CHOICE, &node->mark,
                             "permissions '%.40s' are not of the letters r, w and m; write "
                             "rwm",
                             text);
        else if (!strchr(text, 'r') || !strchr(text, 'w'))
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                             "permissions '%.40s': a device of a VM can be opened for reading and "
                             "writing; write rwm, or leave the permissions out",
                             text);
}

static const struct field device_fields[] = {
        {.name = "source",
         .kind = &kind_string,
         .offset = offsetof(struct device, source),
         .required = true,
         .check = check_source,
         .doc = "/dev/net/tun or /dev/fuse; a VM has no devices of the host"},
        {.name = "target",
         .kind = &kind_string,
         .offset = offsetof(struct device, target),
         .check = check_target,
         .doc = "path in the guest; the same when left out"},
        {.name = "permissions",
         .kind = &kind_string,
         .offset = offsetof(struct device, permissions),
         .check = check_permissions,
         .doc = "rwm, or rw; others cannot be had"},
        {0},
};

static struct device *add_device(struct reader *r, const struct node *node, struct service *service)
{
        if (service->devices_len >= DEVICES_MAX) {
                reader_fault(r, DIAG_LIMIT, &node->mark, "more than %d devices", DEVICES_MAX);
                return NULL;
        }
        reader_note(r, r->service_node, "devices", NULL, service->devices_len, node);
        return array_push(&service->devices, &service->devices_len);
}

static void replace_clean(struct reader *r, char **path)
{
        const char *clean = target_clean(r->arena, *path);

        free(*path);
        *path = xstrdup(clean);
}

/* Paths without detours, defaults for what was left out, no second one at a path. */
static void finish(struct reader *r, const struct node *node, struct device *device,
                   const struct service *service)
{
        if (!device->source)
                return; /* an error was reported */
        replace_clean(r, &device->source);
        if (!device->target)
                device->target = xstrdup(device->source);
        replace_clean(r, &device->target);
        if (!device->permissions)
                device->permissions = xstrdup(ALL_PERMISSIONS);
        for (const struct device *d = service->devices; d < device; d++)
                if (d->target && streq(d->target, device->target))
                        reader_fault(r, DIAG_CONFLICT, &node->mark,
                                     "%.80s is a device of this service already", d->target);
}

/* SOURCE[:TARGET[:PERMISSIONS]]; an empty part is as if left out. */
static void read_short(struct reader *r, const struct node *item, struct service *service)
{
        char *parts[3] = {NULL, NULL, NULL};
        struct device *device = add_device(r, item, service);
        const char *rest = item->text;
        size_t n = 0;

        if (!device)
                return;
        for (; rest && n < ARRAY_SIZE(parts); n++) {
                size_t len = strcspn(rest, ":");

                parts[n] = len || n == 0 ? xstrndup(rest, len) : NULL;
                rest = rest[len] ? rest + len + 1 : NULL;
        }
        device->source = parts[0];
        device->target = parts[1];
        device->permissions = parts[2];
        if (rest) {
                reader_fault(r, DIAG_BAD_VALUE, &item->mark,
                             "'%.80s' has more than SOURCE:TARGET:PERMISSIONS", item->text);
                return;
        }
        check_source(r, item, device->source);
        if (device->target)
                check_target(r, item, device->target);
        if (device->permissions)
                check_permissions(r, item, device->permissions);
        finish(r, item, device, service);
}

static void read_device(struct reader *r, const struct field *field, const struct node *item,
                        void *value)
{
        struct device *device;

        (void)field;
        if (entry_is_split(r, item))
                return;
        if (item->kind == NODE_STRING) {
                read_short(r, item, value);
        } else if (item->kind != NODE_MAP) {
                reader_fault(r, DIAG_BAD_TYPE, &item->mark,
                             "must be SOURCE:TARGET or a map, not %s", node_kind_name(item));
        } else if ((device = add_device(r, item, value))) {
                fields_init(device_fields, device);
                fields_read(r, device_fields, item, device);
                finish(r, item, device, value);
        }
}

static void devices_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        targets_read(r, field, node, read_device, value);
}

static json_t *devices_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        (void)field;
        return entries_write(device_fields, service->devices, service->devices_len,
                             sizeof(*service->devices));
}

const struct kind kind_devices = {.schema = SHAPE_ENTRIES("{'type':'string'}"),
                                  .form = "a list of devices such as \"/dev/net/tun\"",
                                  .merge = MERGE_TARGET,
                                  .long_form = device_fields,
                                  .read = devices_read,
                                  .write = devices_write};
