/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the top level, and of networks, volumes, configs and secrets. */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "schema/assemble.h"
#include "schema/draft.h"
#include "schema/entries.h"
#include "schema/kinds.h"
#include "schema/profiles.h"
#include "schema/service_kinds.h"
#include "schema/shapes.h"
#include "schema/source.h"
#include "schema/unused_fields.h"

#define SIZE_MIN  (INT64_C(1) << 20)
#define SIZE_MAX_ (INT64_C(1) << 50)

/* `external` on a network: each stack has its own, so the file works but for what it shares. */
static void external_network_read(struct reader *r, const struct field *field,
                                  const struct node *node, void *value)
{
        bool external = node->kind == NODE_MAP; /* the old `external: {name: x}` */

        (void)value;
        if (node->kind == NODE_MAP || (reader_bool(r, field, node, &external) && external))
                reader_fault(r, DIAG_IGNORED_KEY, &node->mark,
                             "ignored: a network belongs to one stack; services of other stacks "
                             "reach this one's by published ports");
}

static const struct kind kind_external_network = {
        .schema = "{'type':['boolean','string','object','null']}",
        .form = "true or false",
        .read = external_network_read};

/* `external` on configs and secrets: nothing outside of the stack can be used. */
static void refuse_external(struct reader *r, const struct field *field, const struct node *node,
                            void *value)
{
        struct file_source *source = value;
        bool external = node->kind == NODE_MAP;

        if (node->kind != NODE_MAP && (!reader_bool(r, field, node, &external) || !external))
                return;
        reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark, "%s", (const char *)field->arg);
        if (!source->content)
                source->content = xstrdup(""); /* that it has none is the same mistake */
}

static const struct kind kind_no_external = {.schema = "{'type':['boolean','string','null']}",
                                             .form = "true or false",
                                             .read = refuse_external};

static const char *const network_drivers[] = {"bridge", "default", NULL};
static const char *const ipam_drivers[] = {"default", "default", NULL};
static const char *const volume_drivers[] = {"local", "default", NULL};

/* A driver that is the only one there is. */
static void driver_read(struct reader *r, const struct field *field, const struct node *node,
                        void *value)
{
        const char *const *names = field->arg;
        const char *text = reader_string(r, field, node);

        (void)value;
        if (!text || streq(text, names[0]) || streq(text, names[1]))
                return;
        if (streq(text, "overlay"))
                reader_warn(r, &node->mark, "overlay is taken as bridge: there is one host");
        else
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                             "driver '%.40s' does not exist; leave it out (%s)", text, names[0]);
}

static const struct kind kind_driver = {
        .schema = SHAPE_STRING, .form = "a string", .read = driver_read};

static void subnet_check(struct reader *r, const struct node *node, const char *text)
{
        struct err err = ERR_INIT;
        uint32_t ip = 0;
        unsigned bits = 0;

        if (value_cidr4(text, &ip, &bits, &err) < 0)
                reader_fault(r, DIAG_BAD_ADDRESS, &node->mark, "%s", err.msg);
        else if (bits < 16 || bits > 29)
                reader_fault(r, DIAG_BAD_ADDRESS, &node->mark, "%.40s: a subnet is from /16 to /29",
                             text);
}

static void gateway_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        const char *text = reader_string(r, field, node);

        (void)value; /* read_ipam_config() compares it with the subnet */
        if (text)
                check_ip4(r, node, text);
}

static const struct kind kind_gateway = {
        .schema = SHAPE_STRING, .form = "a string", .read = gateway_read};

static const struct field ipam_config_fields[] = {
        {.name = "subnet",
         .kind = &kind_string,
         .offset = offsetof(struct network, subnet),
         .check = subnet_check,
         .doc = "addresses of the network, such as 10.1.2.0/24; chosen when left out"},
        {.name = "gateway",
         .kind = &kind_gateway,
         .in_only = true,
         .doc = "the subnet's first address; another one is ignored with a warning"},
        {.name = "ip_range", .use = FIELD_IGNORED, .doc = "addresses come from all of the subnet"},
        {.name = "aux_addresses", .use = FIELD_IGNORED, .doc = "use ipv4_address of a service"},
        {0},
};

static void check_gateway(struct reader *r, const struct node *item, const struct network *network)
{
        const struct node *gateway = node_get(item, "gateway");
        uint32_t ip = 0, net = 0;
        unsigned bits = 0;
        char first[VALUE_IP4_MAX];

        if (!gateway || gateway->kind != NODE_STRING || value_ip4(gateway->text, &ip, NULL) < 0)
                return;
        if (network->subnet && value_cidr4(network->subnet, &net, &bits, NULL) < 0)
                return;
        value_ip4_text(net + 1, first);
        if (!network->subnet)
                reader_fault(r, DIAG_IGNORED_KEY, &gateway->mark,
                             "gateway %s: ignored: there is no subnet beside it", gateway->text);
        else if (ip != net + 1)
                reader_fault(r, DIAG_IGNORED_KEY, &gateway->mark,
                             "gateway %s: ignored: the gateway is the subnet's first address, %s",
                             gateway->text, first);
}

static bool is_ip6(const struct node *subnet)
{
        return subnet && subnet->kind == NODE_STRING && strchr(subnet->text, ':');
}

static void read_ipam_config(struct reader *r, const struct field *field, const struct node *item,
                             void *value)
{
        const struct network *network = value;

        (void)field;
        if (item->kind != NODE_MAP)
                reader_fault(r, DIAG_BAD_TYPE, &item->mark,
                             "must be a map such as {subnet: 10.1.2.0/24}");
        else if (is_ip6(node_get(item, "subnet")))
                reader_fault(r, DIAG_IGNORED_KEY, &item->mark, "ignored: networks are IPv4 only");
        else if (network->subnet)
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, &item->mark,
                             "a network has one subnet; remove this one");
        else {
                fields_read(r, ipam_config_fields, item, value);
                check_gateway(r, item, network);
        }
}

static void ipam_configs_read(struct reader *r, const struct field *field, const struct node *node,
                              void *value)
{
        entries_read(r, field, node, read_ipam_config, value);
}

static json_t *ipam_configs_write(const struct field *field, const void *value)
{
        json_t *one = fields_write(ipam_config_fields, value);
        json_t *array;

        (void)field;
        if (json_object_size(one) == 0) {
                json_decref(one);
                return NULL;
        }
        array = json_array();
        if (json_array_append_new(array, one) < 0)
                bug("json_array_append_new");
        return array;
}

static const struct kind kind_ipam_configs = {
        .schema = "{'type':['array','null'],'items':{'$ref':'#long'}}",
        .form = "a list of maps",
        .long_form = ipam_config_fields,
        .read = ipam_configs_read,
        .write = ipam_configs_write};

static const struct field ipam_fields[] = {
        {.name = "config", .kind = &kind_ipam_configs, .doc = "the subnet"},
        {.name = "driver",
         .kind = &kind_driver,
         .arg = ipam_drivers,
         .in_only = true,
         .doc = "default"},
        {.name = "options", .use = FIELD_IGNORED, .doc = "there are no options"},
        {0},
};

/* Read, checked, and then of no use. */
static void name_read(struct reader *r, const struct field *field, const struct node *node,
                      void *value)
{
        const char *text = reader_string(r, field, node);

        (void)value;
        if (text)
                check_object_name(r, node, text);
}

static const struct kind kind_name_only = {
        .schema = SHAPE_STRING, .form = "a string", .read = name_read};

/* An address family that is there, or is not: no other choice is. */
static void family_read(struct reader *r, const struct field *field, const struct node *node,
                        void *value)
{
        bool wanted = field->unset;

        (void)value;
        if (reader_bool(r, field, node, &wanted) && wanted != (field->unset != 0))
                reader_fault(r, DIAG_IGNORED_KEY, &node->mark, "ignored: networks are IPv4 only");
}

static const struct kind kind_family = {
        .schema = SHAPE_BOOL, .form = "true or false", .read = family_read};

static const struct field network_berth_fields[] = {
        {.name = "egress",
         .kind = &kind_not,
         .offset = offsetof(struct network, no_egress),
         .doc = "false: no way out of this network, as `internal: true`"},
        {0},
};

const struct field network_fields[] = {
        {.name = "name",
         .kind = &kind_name_only,
         .in_only = true,
         .doc = "accepted: a network belongs to its stack alone"},
        {.name = "driver",
         .kind = &kind_driver,
         .arg = network_drivers,
         .in_only = true,
         .doc = "bridge"},
        {.name = "internal",
         .kind = &kind_bool,
         .offset = offsetof(struct network, internal),
         .doc = "no way out of this network"},
        {.name = "ipam", .kind = &kind_object, .arg = ipam_fields, .doc = "addresses"},
        {.name = "labels",
         .kind = &kind_pairs,
         .offset = offsetof(struct network, labels),
         .doc = "notes for people"},
        {.name = "external",
         .kind = &kind_external_network,
         .in_only = true,
         .doc = "true is ignored with a warning: a network belongs to its stack"},
        {.name = "x-berth",
         .kind = &kind_object,
         .arg = network_berth_fields,
         .doc = "what only berth's networks have"},
        {.name = "attachable", .use = FIELD_QUIET, .doc = "always"},
        {.name = "driver_opts", .use = FIELD_IGNORED, .doc = "the driver has no options"},
        {.name = "enable_ipv4",
         .kind = &kind_family,
         .unset = true,
         .in_only = true,
         .doc = "always; false is ignored with a warning"},
        {.name = "enable_ipv6",
         .kind = &kind_family,
         .in_only = true,
         .doc = "true is ignored with a warning: networks are IPv4 only"},
        {0},
};

/* `external: true`, and the old `external: {name: x}`. */
static void external_read(struct reader *r, const struct field *field, const struct node *node,
                          void *value)
{
        struct volume *volume = value;
        const struct node *name = node_get(node, "name");

        if (node->kind != NODE_MAP) {
                (void)reader_bool(r, field, node, &volume->external); /* an error is a finding */
                return;
        }
        volume->external = true;
        if (name && name->kind == NODE_STRING) {
                reader_warn(r, &name->mark, "write 'name' beside 'external: true'");
                free(volume->real_name);
                volume->real_name = xstrdup(name->text);
                check_object_name(r, name, name->text);
        }
}

static json_t *external_write(const struct field *field, const void *value)
{
        const struct volume *volume = value;

        (void)field;
        return volume->external ? json_true() : NULL;
}

static const struct kind kind_volume_external = {
        .schema = "{'type':['boolean','string','object','null']}",
        .form = "true or false",
        .read = external_read,
        .write = external_write};

static const char *const class_names[] = {"", "disk", "shared", NULL};

static const struct field volume_berth_fields[] = {
        {.name = "class",
         .kind = &kind_choice,
         .offset = offsetof(struct volume, volume_class),
         .arg = class_names,
         .doc = "disk: of one VM, fast; shared: a folder of the host that several VMs write to; "
                "follows from who mounts the volume when left out"},
        {.name = "size",
         .kind = &kind_bytes,
         .offset = offsetof(struct volume, size_bytes),
         .min = SIZE_MIN,
         .max = SIZE_MAX_,
         .unset = -1,
         .doc = "how far the volume may grow, at least 1m"},
        {0},
};

const struct field volume_fields[] = {
        {.name = "name",
         .kind = &kind_string,
         .offset = offsetof(struct volume, real_name),
         .check = check_object_name,
         .doc = "name of the volume; STACK_KEY when left out"},
        {.name = "external",
         .kind = &kind_volume_external,
         .doc = "the volume exists; it is never made or removed"},
        {.name = "driver",
         .kind = &kind_driver,
         .arg = volume_drivers,
         .in_only = true,
         .doc = "local"},
        {.name = "labels",
         .kind = &kind_pairs,
         .offset = offsetof(struct volume, labels),
         .doc = "notes for people"},
        {.name = "x-berth",
         .kind = &kind_object,
         .arg = volume_berth_fields,
         .doc = "what only berth's volumes have"},
        {.name = "driver_opts",
         .kind = &kind_driver_opts,
         .in_only = true,
         .doc = "{type: none, o: bind, device: /path}: a folder of the host; {type: tmpfs}: "
                "memory"},
        {0},
};

static const struct field source_berth_fields[] = {
        {.name = "content_base64", .kind = &kind_source_base64, .doc = "content that is not text"},
        {0},
};

#define SOURCE_FIELDS(what)                                                                        \
        {.name = "file",                                                                           \
         .kind = &kind_source_file,                                                                \
         .in_only = true,                                                                          \
         .doc = "file with the content, beside the manifest"},                                     \
                {.name = "environment",                                                            \
                 .kind = &kind_source_environment,                                                 \
                 .in_only = true,                                                                  \
                 .doc = "variable with the content"},                                              \
                {.name = "content", .kind = &kind_source_content, .doc = "the content itself"},    \
                {.name = "name",                                                                   \
                 .kind = &kind_name_only,                                                          \
                 .in_only = true,                                                                  \
                 .doc = "accepted: a " what " belongs to its stack alone"},                        \
                {.name = "labels", .use = FIELD_QUIET, .doc = "notes for people"},                 \
                {.name = "external",                                                               \
                 .kind = &kind_no_external,                                                        \
                 .in_only = true,                                                                  \
                 .arg = "there is no store of " what "s; use 'file', 'environment' or 'content'",  \
                 .doc = "only false: give the content"},                                           \
                {.name = "template_driver",                                                        \
                 .use = FIELD_REFUSED,                                                             \
                 .doc = "templates are not expanded"},                                             \
                {.name = "driver", .use = FIELD_REFUSED, .doc = "there is no store of " what "s"}, \
                {.name = "driver_opts",                                                            \
                 .use = FIELD_REFUSED,                                                             \
                 .doc = "there is no store of " what "s"},                                         \
                {.name = "x-berth",                                                                \
                 .kind = &kind_object,                                                             \
                 .arg = source_berth_fields,                                                       \
                 .doc = "for content that is not text"},                                           \
                {0},

const struct field config_fields[] = {SOURCE_FIELDS("config")};
const struct field secret_fields[] = {SOURCE_FIELDS("secret")};

static void begin_service(struct reader *r, void *element, size_t index, const struct node *node)
{
        struct service_draft *draft = element;

        draft->node = node;
        draft->mark = (struct mark){draft->service.place.file
                                            ? arena_strdup(r->arena, draft->service.place.file)
                                            : NULL,
                                    draft->service.place.line, draft->service.place.column};
        draft->disabled = profiles_off(r->profiles, node);
        r->service = index;
        r->off = draft->disabled;
        r->service_node = node;
}

/* One that is no map has its finding: that it has no content is the same mistake. */
static void begin_config(struct reader *r, void *element, size_t index, const struct node *node)
{
        struct file_source *source = element;

        (void)r;
        (void)index;
        if (node->kind != NODE_MAP)
                source->content = xstrdup("");
}

static void begin_secret(struct reader *r, void *element, size_t index, const struct node *node)
{
        struct file_source *source = element;

        begin_config(r, element, index, node);
        source->secret = true;
}

#define NAMED_OUT(type, array)                      \
        .out_items = offsetof(struct stack, array), \
        .out_len = offsetof(struct stack, array##_len), .out_size = sizeof(type)
#define NAMED_IN(type, array)                                                               \
        .items = offsetof(struct stack, array), .len = offsetof(struct stack, array##_len), \
        .size = sizeof(type)

static const struct named named_services = {
        .table = service_fields,
        .items = offsetof(struct stack_draft, drafts),
        .len = offsetof(struct stack_draft, drafts_len),
        .size = sizeof(struct service_draft),
        NAMED_OUT(struct service, services),
        .place = offsetof(struct service, place),
        .check_name = check_name,
        .begin = begin_service,
};
static const struct named named_networks = {
        .table = network_fields,
        NAMED_IN(struct network, networks),
        NAMED_OUT(struct network, networks),
        .place = offsetof(struct network, place),
        .check_name = check_object_name,
        .null_ok = true,
};
static const struct named named_volumes = {
        .table = volume_fields,
        NAMED_IN(struct volume, volumes),
        NAMED_OUT(struct volume, volumes),
        .place = offsetof(struct volume, place),
        .check_name = check_object_name,
        .null_ok = true,
};
static const struct named named_configs = {
        .table = config_fields,
        NAMED_IN(struct file_source, configs),
        NAMED_OUT(struct file_source, configs),
        .place = offsetof(struct file_source, place),
        .check_name = check_object_name,
        .begin = begin_config,
};
static const struct named named_secrets = {
        .table = secret_fields,
        NAMED_IN(struct file_source, secrets),
        NAMED_OUT(struct file_source, secrets),
        .place = offsetof(struct file_source, place),
        .check_name = check_object_name,
        .begin = begin_secret,
};

/* Far above real files; each object costs a daemon some memory. */
#define OBJECTS_MAX 10000

/* In files it is made a valid one, as Compose does; canonical JSON has that done. */
static void check_final_name(struct reader *r, const struct node *node, const char *text)
{
        if (!r->env)
                check_stack_name(r, node, text);
}

const struct field stack_fields[] = {
        {.name = "name",
         .kind = &kind_string,
         .offset = offsetof(struct stack, name),
         .check = check_final_name,
         .doc = "name of the stack; the folder of the first file when left out"},
        {.name = "services",
         .kind = &kind_named,
         .arg = &named_services,
         .max = STACK_SERVICES_MAX,
         .doc = "the services, by name; each replica runs in a VM of its own"},
        {.name = "networks",
         .kind = &kind_named,
         .arg = &named_networks,
         .max = OBJECTS_MAX,
         .doc = "the networks, by name; services that share none cannot reach each other"},
        {.name = "volumes",
         .kind = &kind_named,
         .arg = &named_volumes,
         .max = OBJECTS_MAX,
         .doc = "the named volumes; they outlive services and stacks"},
        {.name = "configs",
         .kind = &kind_named,
         .arg = &named_configs,
         .max = OBJECTS_MAX,
         .doc = "files that services can have"},
        {.name = "secrets",
         .kind = &kind_named,
         .arg = &named_secrets,
         .max = OBJECTS_MAX,
         .doc = "files that services can have, and nobody is shown"},
        {.name = "version", .use = FIELD_IGNORED, .doc = "the key is obsolete; remove it"},
        {.name = "include",
         .kind = &kind_include,
         .in_only = true,
         .doc = "files of other stacks to put below this one; what this file says goes above"},
        {.name = "models",
         .use = FIELD_REFUSED,
         .arg = model_fields,
         .doc = "AI models are not supported; run the model as a service"},
        {0},
};
