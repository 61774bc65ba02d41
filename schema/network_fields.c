/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/network_fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "schema/draft.h"
#include "schema/entries.h"
#include "schema/kinds.h"
#include "schema/shapes.h"

static const char *const network_drivers[] = {"bridge", "default", NULL};
static const char *const ipam_drivers[] = {"default", "default", NULL};

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

const struct kind kind_driver = {.schema = SHAPE_STRING, .form = "a string", .read = driver_read};

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

void external_read(struct reader *r, const struct node *node, const struct field *field, bool *ret,
                   char **ret_name)
{
        const struct node *name = node_get(node, "name");

        if (node->kind != NODE_MAP) {
                (void)reader_bool(r, field, node, ret); /* an error is a finding */
                return;
        }
        *ret = true;
        if (name && name->kind == NODE_STRING) {
                reader_warn(r, &name->mark, "write 'name' beside 'external: true'");
                free(*ret_name);
                *ret_name = xstrdup(name->text);
                check_object_name(r, name, name->text);
        }
}

static void external_network_read(struct reader *r, const struct field *field,
                                  const struct node *node, void *value)
{
        struct network *network = value;

        external_read(r, node, field, &network->external, &network->real_name);
}

static json_t *external_network_write(const struct field *field, const void *value)
{
        const struct network *network = value;

        (void)field;
        return network->external ? json_true() : NULL;
}

static const struct kind kind_external_network = {.schema = SHAPE_EXTERNAL,
                                                  .form = "true or false",
                                                  .read = external_network_read,
                                                  .write = external_network_write};

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
         .kind = &kind_string,
         .offset = offsetof(struct network, real_name),
         .check = check_object_name,
         .doc = "name that other stacks share the network under; the stack's alone when left out"},
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
         .doc = "the network exists: `berth network create` or another stack made it"},
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

void network_end(struct reader *r, void *element, const struct node *node)
{
        struct network *network = element;

        if (!network->external)
                return;
        for (size_t i = 0; i < node->len; i++) {
                const char *key = node->entries[i].key;

                if (!streq(key, "name") && !streq(key, "external") && strncmp(key, "x-", 2) != 0)
                        diags_add(r->diags, DIAG_IGNORED_KEY, &node->entries[i].mark,
                                  arena_printf(r->arena, "networks.%s.%s", network->name, key),
                                  "ignored: the network is external, and as it was made");
        }
        network->internal = network->no_egress = false;
        free(STEAL(network->subnet));
        kv_list_release(&network->labels);
}
