/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/attach.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "schema/draft.h"
#include "schema/entries.h"
#include "schema/kinds.h"
#include "schema/shapes.h"
#include "schema/target.h"

static const char *const conditions[] = {"service_started", "service_healthy",
                                         "service_completed_successfully", NULL};

struct network_ref *service_add_network(struct service *service, const char *name)
{
        struct network_ref *ref;

        for (size_t i = 0; i < service->networks_len; i++)
                if (streq(service->networks[i].network, name))
                        return &service->networks[i];
        ref = array_push(&service->networks, &service->networks_len);
        ref->network = xstrdup(name);
        return ref;
}

struct depends *service_add_depends(struct service *service, const char *name)
{
        struct depends *d;

        for (size_t i = 0; i < service->depends_on_len; i++)
                if (streq(service->depends_on[i].service, name))
                        return &service->depends_on[i];
        d = array_push(&service->depends_on, &service->depends_on_len);
        d->service = xstrdup(name);
        d->required = true;
        return d;
}

static const struct field network_ref_fields[] = {
        {.name = "aliases",
         .kind = &kind_strings,
         .offset = offsetof(struct network_ref, aliases),
         .check = check_hostname,
         .doc = "more names of the service on this network"},
        {.name = "ipv4_address",
         .kind = &kind_string,
         .offset = offsetof(struct network_ref, ipv4_address),
         .check = check_ip4,
         .doc = "a fixed address within the network's subnet; chosen when left out"},
        {.name = "ipv6_address",
         .use = FIELD_IGNORED,
         .doc = "networks are IPv4 only; a fixed address is ipv4_address"},
        {.name = "mac_address",
         .kind = &kind_mac,
         .offset = offsetof(struct network_ref, mac_address),
         .doc = "MAC address of the VM on this network; chosen when left out"},
        {.name = "interface_name",
         .use = FIELD_IGNORED,
         .doc = "interfaces are named eth0, eth1..."},
        {.name = "priority",
         .kind = &kind_int32,
         .offset = offsetof(struct network_ref, priority),
         .in_only = true,
         .doc = "the network with the highest one gets the service's mac_address"},
        {.name = "gw_priority",
         .kind = &kind_int32,
         .offset = offsetof(struct network_ref, gw_priority),
         .doc = "of the networks that are not internal, the one with the highest has the default "
                "route, else the first by name"},
        {.name = "driver_opts",
         .use = FIELD_IGNORED,
         .doc = "there is one driver, without options"},
        {.name = "link_local_ips",
         .kind = &kind_strings,
         .offset = offsetof(struct network_ref, link_local_ips),
         .check = check_link_local,
         .doc = "more addresses of the VM on this network, of 169.254.0.0/16"},
        {0},
};

static void read_network(struct reader *r, const char *name, const struct mark *mark,
                         const struct node *options, void *value)
{
        struct network_ref *ref = service_add_network(value, name);

        reader_add_ref(r, REF_NETWORK, name, mark, false);
        if (!options || options->kind == NODE_NULL)
                return;
        if (options->kind == NODE_MAP)
                fields_read(r, network_ref_fields, options, ref);
        else
                reader_fault(r, DIAG_BAD_TYPE, &options->mark, "must be a map, not %s",
                             node_kind_name(options));
}

static void networks_read(struct reader *r, const struct field *field, const struct node *node,
                          void *value)
{
        if (node->len > SERVICE_NETWORKS_MAX)
                reader_fault(r, DIAG_LIMIT, &node->mark,
                             "%zu networks; a VM has room for %d: put services that talk to each "
                             "other on one",
                             node->len, SERVICE_NETWORKS_MAX);
        else
                names_read(r, field, node, read_network, value);
}

static json_t *networks_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        (void)field;
        return names_write(network_ref_fields, service->networks, service->networks_len,
                           sizeof(*service->networks));
}

const struct kind kind_networks = {.schema = SHAPE_NAMES,
                                   .form = "a list or a map of networks",
                                   .merge = MERGE_NAMES,
                                   .long_form = network_ref_fields,
                                   .read = networks_read,
                                   .write = networks_write};

static const struct field depends_fields[] = {
        {.name = "condition",
         .kind = &kind_choice,
         .offset = offsetof(struct depends, condition),
         .unset = -1,
         .arg = conditions,
         .doc = "what to wait for: service_started, service_healthy or "
                "service_completed_successfully"},
        {.name = "restart",
         .kind = &kind_bool,
         .offset = offsetof(struct depends, restart),
         .doc = "replace this service together with the one it depends on"},
        {.name = "required",
         .kind = &kind_bool,
         .offset = offsetof(struct depends, required),
         .unset = true,
         .doc = "false: go on when that service does not exist"},
        {0},
};

static void read_depends(struct reader *r, const char *name, const struct mark *mark,
                         const struct node *options, void *value)
{
        struct depends *d = service_add_depends(value, name);

        if (options && options->kind == NODE_MAP) {
                fields_read(r, depends_fields, options, d);
                if ((int)d->condition < 0)
                        d->condition = DEPENDS_STARTED;
        } else if (options && options->kind != NODE_NULL) {
                reader_fault(r, DIAG_BAD_TYPE, &options->mark,
                             "must be a map such as {condition: service_healthy}, not %s",
                             node_kind_name(options));
        }
        reader_add_ref(r, REF_SERVICE, name, mark, !d->required);
}

static void depends_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        if (node->len > STACK_SERVICES_MAX)
                reader_fault(r, DIAG_LIMIT, &node->mark, "more services than a stack can have");
        else
                names_read(r, field, node, read_depends, value);
}

static json_t *depends_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        (void)field;
        return names_write(depends_fields, service->depends_on, service->depends_on_len,
                           sizeof(*service->depends_on));
}

const struct kind kind_depends_on = {.schema = SHAPE_NAMES,
                                     .form = "a list or a map of services",
                                     .merge = MERGE_NAMES,
                                     .long_form = depends_fields,
                                     .read = depends_read,
                                     .write = depends_write};

/* SERVICE[:ALIAS] */
static void read_link(struct reader *r, const struct field *field, const struct node *item,
                      void *value)
{
        struct service_draft *draft = value;
        const char *text = entry_name(r, item);
        const char *colon = text ? strchr(text, ':') : NULL;
        struct link *link;

        (void)field;
        if (!text)
                return;
        link = arena_push(r->arena, (void **)&draft->links, &draft->links_len, sizeof(*link));
        link->service = arena_strndup(r->arena, text, strcspn(text, ":"));
        link->alias = colon ? colon + 1 : link->service;
        link->node = item;
        (void)service_add_depends(&draft->service, link->service);
        reader_add_ref(r, REF_SERVICE, link->service, &item->mark, false);
        check_hostname(r, item, link->alias);
}

static void links_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        entries_read(r, field, node, read_link, value);
}

const struct kind kind_links = {
        .schema = "{'type':['array','null'],'items':{'type':'string','minLength':1}}",
        .form = "a list of SERVICE or SERVICE:ALIAS",
        .merge = MERGE_SET,
        .read = links_read};

static void check_number_text(struct reader *r, const struct node *node, const char *text)
{
        if (!text[0] || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
                reader_fault(r, DIAG_BAD_NUMBER, &node->mark,
                             "'%.40s' is not a number; names of users are not known here", text);
}

static const struct field file_fields[] = {
        {.name = "source",
         .kind = &kind_string,
         .offset = offsetof(struct file_mount, source),
         .required = true,
         .doc = "name of a config or secret at the top level"},
        {.name = "target",
         .kind = &kind_string,
         .offset = offsetof(struct file_mount, target),
         .doc = "path in the guest; /NAME for configs, /run/secrets/NAME for secrets"},
        {.name = "uid",
         .kind = &kind_string,
         .offset = offsetof(struct file_mount, uid),
         .check = check_number_text,
         .doc = "owner of the file, a number; 0 when left out"},
        {.name = "gid",
         .kind = &kind_string,
         .offset = offsetof(struct file_mount, gid),
         .check = check_number_text,
         .doc = "group of the file, a number; 0 when left out"},
        {.name = "mode",
         .kind = &kind_mode,
         .offset = offsetof(struct file_mount, mode),
         .unset = -1,
         .doc = "mode of the file; 0444 when left out"},
        {0},
};

/* Defaults and relative targets: `target: app.conf` of a secret is /run/secrets/app.conf. */
static void finish_file(struct file_mount *file, const char *folder)
{
        AUTO_FREE char *given = STEAL(file->target);

        if (given && given[0] == '/')
                file->target = STEAL(given);
        else
                file->target = xasprintf("%s/%s", folder, given ? given : file->source);
}

static void read_file(struct reader *r, const struct node *item, enum ref_kind kind,
                      struct file_mount *file)
{
        const struct node *source = node_get(item, "source");

        fields_init(file_fields, file);
        if (item->kind == NODE_MAP)
                fields_read(r, file_fields, item, file);
        else
                file->source = xstrdup(entry_name(r, item));
        if (!file->source)
                return;
        reader_add_ref(r, kind, file->source, source ? &source->mark : &item->mark, false);
        finish_file(file, (kind == REF_SECRET ? &kind_secrets : &kind_configs)->folder);
}

static void read_config(struct reader *r, const struct field *field, const struct node *item,
                        void *value)
{
        struct service *s = value;

        (void)field;
        read_file(r, item, REF_CONFIG, array_push(&s->configs, &s->configs_len));
}

static void read_secret(struct reader *r, const struct field *field, const struct node *item,
                        void *value)
{
        struct service *s = value;

        (void)field;
        read_file(r, item, REF_SECRET, array_push(&s->secrets, &s->secrets_len));
}

static void configs_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        targets_read(r, field, node, read_config, value);
}

static json_t *configs_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        (void)field;
        return entries_write(file_fields, service->configs, service->configs_len,
                             sizeof(*service->configs));
}

static void secrets_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        targets_read(r, field, node, read_secret, value);
}

static json_t *secrets_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        (void)field;
        return entries_write(file_fields, service->secrets, service->secrets_len,
                             sizeof(*service->secrets));
}

const struct kind kind_configs = {.schema = SHAPE_ENTRIES("{'type':'string','minLength':1}"),
                                  .form = "a list of configs",
                                  .merge = MERGE_TARGET,
                                  .folder = "",
                                  .long_form = file_fields,
                                  .read = configs_read,
                                  .write = configs_write};
const struct kind kind_secrets = {.schema = SHAPE_ENTRIES("{'type':'string','minLength':1}"),
                                  .form = "a list of secrets",
                                  .merge = MERGE_TARGET,
                                  .folder = "/run/secrets",
                                  .long_form = file_fields,
                                  .read = secrets_read,
                                  .write = secrets_write};
