/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/port.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "schema/entries.h"
#include "schema/kinds.h"
#include "schema/shapes.h"

static const char *const protocols[] = {"tcp", "udp", NULL};

/* A range of port numbers; first 0: none given. */
struct range {
        unsigned first, last;
};

/* What one entry says, before ranges are written out. */
struct spec {
        char *host_ip, *published; /* heap */
        struct range host, guest;
        enum port_protocol protocol;
};

static void spec_release(struct spec *spec)
{
        free(spec->host_ip);
        free(spec->published);
}

static bool parse_range(struct reader *r, const struct mark *mark, const char *text,
                        struct range *ret)
{
        const char *dash = strchr(text, '-');
        AUTO_FREE char *first = xstrndup(text, dash ? (size_t)(dash - text) : strlen(text));
        struct err err = ERR_INIT;
        int64_t a = 0, b = 0;

        if (value_int(first, 1, 65535, &a, &err) < 0 ||
            (dash && value_int(dash + 1, 1, 65535, &b, &err) < 0)) {
                if (err.code == ERANGE)
                        reader_fault(r, DIAG_BAD_PORT, mark,
                                     "%.40s is not a port; ports are 1..65535", text);
                else
                        reader_fault(r, DIAG_BAD_PORT, mark,
                                     "'%.40s' is not a port; write HOST:CONTAINER, such as "
                                     "\"8080:80\"",
                                     text);
                return false;
        }
        *ret = (struct range){(unsigned)a, dash ? (unsigned)b : (unsigned)a};
        if (ret->last >= ret->first)
                return true;
        reader_fault(r, DIAG_BAD_PORT, mark, "the range %.40s ends before it begins", text);
        return false;
}

static bool parse_protocol(struct reader *r, const struct mark *mark, const char *text,
                           enum port_protocol *ret)
{
        for (int i = 0; protocols[i]; i++)
                if (strcasecmp(protocols[i], text) == 0) {
                        *ret = (enum port_protocol)i;
                        return true;
                }
        reader_fault(r, DIAG_BAD_PORT, mark, "protocol '%.20s' cannot be published; use tcp or udp",
                     text);
        return false;
}

static void check_host_ip(struct reader *r, const struct mark *mark, const char *text)
{
        uint8_t six[VALUE_IP6_BYTES];
        uint32_t ip = 0;

        if (text[0] && value_ip4(text, &ip, NULL) < 0 && value_ip6(text, six, NULL) < 0)
                reader_fault(r, DIAG_BAD_ADDRESS, mark, "'%.60s' is not an address of this host",
                             text);
}

/* One text for each IPv6 address, without brackets. */
static void clean_host_ip(char **text)
{
        size_t n = *text ? strlen(*text) : 0;
        uint8_t six[VALUE_IP6_BYTES];
        char clean[VALUE_IP6_MAX];

        if (n > 2 && (*text)[0] == '[' && (*text)[n - 1] == ']') {
                memmove(*text, *text + 1, n - 2);
                (*text)[n - 2] = '\0';
        }
        if (*text && n == 0) {
                free(*text);
                *text = NULL;
        }
        if (n == 0 || value_ip6(*text, six, NULL) < 0)
                return;
        value_ip6_text(six, clean);
        free(*text);
        *text = xstrdup(clean);
}

/* Longer lists keep equal ports: looking for them costs the square of the length. */
#define UNIQUE_MAX 1000

/* As Compose: what is written twice is one port. */
static bool has_port(const struct service *service, const struct port *port)
{
        for (size_t i = 0; i < service->ports_len && service->ports_len < UNIQUE_MAX; i++) {
                const struct port *p = &service->ports[i];

                if (p->target == port->target && p->published == port->published &&
                    p->published_last == port->published_last && p->protocol == port->protocol &&
                    streq(p->host_ip, port->host_ip))
                        return true;
        }
        return false;
}

static void add_ports(struct reader *r, const struct node *node, const struct spec *spec,
                      struct service *service)
{
        const struct mark *mark = &node->mark;
        unsigned guests = spec->guest.last - spec->guest.first;
        unsigned hosts = spec->host.last - spec->host.first;

        if (spec->host.first && hosts != guests && guests) {
                reader_fault(r, DIAG_BAD_PORT, mark,
                             "the ranges of host and container differ in length");
                return;
        }
        if (spec->protocol == PORT_UDP && spec->host_ip && strchr(spec->host_ip, ':')) {
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, mark,
                             "udp is published on IPv4 addresses only; use 127.0.0.1 or 0.0.0.0");
                return;
        }
        if (service->ports_len + guests >= PORTS_MAX) {
                reader_fault(r, DIAG_LIMIT, mark, "more than %d ports", PORTS_MAX);
                return;
        }
        for (unsigned i = 0; i <= guests; i++) {
                struct port one = {.host_ip = (char *)(uintptr_t)spec->host_ip,
                                   .target = (uint16_t)(spec->guest.first + i),
                                   .protocol = spec->protocol};
                struct port *port;
                struct claim *claim;

                if (spec->host.first)
                        one.published = (uint16_t)(spec->host.first + i);
                if (hosts != guests)
                        one.published_last = (uint16_t)spec->host.last;
                if (has_port(service, &one))
                        continue;
                reader_note(r, r->service_node, "ports", NULL, service->ports_len, node);
                port = array_push(&service->ports, &service->ports_len);
                *port = one;
                port->host_ip = xstrdup(spec->host_ip);
                if (!port->published || port->published_last)
                        continue; /* any free one */
                claim = arena_push(r->arena, (void **)&r->claims, &r->claims_len, sizeof(*claim));
                *claim = (struct claim){arena_strdup(r->arena, spec->host_ip),
                                        path_text(&r->path, r->arena),
                                        port->published,
                                        port->protocol,
                                        *mark,
                                        r->service};
        }
}

/* [[IP:]HOST:]CONTAINER[/PROTOCOL]; the last two fields are the ports, so an IPv6 address works. */
static void split_short(const char *text, char **ret_ip, char **ret_host, char **ret_guest,
                        const char **ret_protocol)
{
        const char *slash = strrchr(text, '/');
        AUTO_FREE char *rest = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
        char *colon = strrchr(rest, ':');

        *ret_protocol = slash ? slash + 1 : "tcp";
        *ret_guest = xstrdup(colon ? colon + 1 : rest);
        if (!colon)
                return;
        *colon = '\0';
        colon = strrchr(rest, ':');
        *ret_host = xstrdup(colon ? colon + 1 : rest);
        if (!colon)
                return;
        *colon = '\0';
        if (rest[0])
                *ret_ip = xstrdup(rest);
}

static void read_short(struct reader *r, const struct node *node, const char *text,
                       struct service *service)
{
        struct spec spec = {0};
        AUTO_FREE char *guest = NULL;
        const char *protocol = NULL;
        bool good;

        split_short(text, &spec.host_ip, &spec.published, &guest, &protocol);
        good = parse_range(r, &node->mark, guest, &spec.guest) &&
               parse_protocol(r, &node->mark, protocol, &spec.protocol);
        if (good && spec.published && spec.published[0] && !streq(spec.published, "0"))
                good = parse_range(r, &node->mark, spec.published, &spec.host);
        clean_host_ip(&spec.host_ip);
        if (spec.host_ip)
                check_host_ip(r, &node->mark, spec.host_ip);
        if (good)
                add_ports(r, node, &spec, service);
        spec_release(&spec);
}

static void guest_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        const char *text = reader_scalar(r, field, node);

        if (text)
                (void)parse_range(r, &node->mark, text, value); /* an error is a finding */
}

static const struct kind kind_guest = {.schema = "{'type':['integer','string','null']}",
                                       .form = "a port number",
                                       .read = guest_read};

static void host_read(struct reader *r, const struct field *field, const struct node *node,
                      void *value)
{
        const char *text = reader_scalar(r, field, node);

        if (text && text[0] && !streq(text, "0"))
                (void)parse_range(r, &node->mark, text, value); /* an error is a finding */
}

static const struct kind kind_host = {
        .schema = "{'type':['integer','string','null']}", .form = "a string", .read = host_read};

static void protocol_read(struct reader *r, const struct field *field, const struct node *node,
                          void *value)
{
        const char *text = reader_string(r, field, node);

        if (text)
                (void)parse_protocol(r, &node->mark, text, value); /* an error is a finding */
}

static const struct kind kind_protocol = {
        .schema = SHAPE_STRING, .form = "a string", .read = protocol_read};

static void ip_check(struct reader *r, const struct node *node, const char *text)
{
        check_host_ip(r, &node->mark, text);
}

static const struct field port_fields[] = {
        {.name = "target",
         .kind = &kind_guest,
         .offset = offsetof(struct spec, guest),
         .required = true,
         .doc = "port in the service's VM"},
        {.name = "published",
         .kind = &kind_host,
         .offset = offsetof(struct spec, host),
         .doc = "port on the host; any free one when left out, or of a range FIRST-LAST"},
        {.name = "host_ip",
         .kind = &kind_string,
         .offset = offsetof(struct spec, host_ip),
         .check = ip_check,
         .doc = "address on the host, IPv4 or (for tcp) IPv6; 127.0.0.1 when left out"},
        {.name = "protocol",
         .kind = &kind_protocol,
         .offset = offsetof(struct spec, protocol),
         .doc = "tcp (default) or udp"},
        {.name = "mode", .use = FIELD_QUIET, .doc = "host and ingress are the same on one host"},
        {.name = "name", .use = FIELD_QUIET, .doc = "a name for people"},
        {.name = "app_protocol", .use = FIELD_QUIET, .doc = "a note for people"},
        {0},
};

static void read_port(struct reader *r, const struct field *field, const struct node *item,
                      void *value)
{
        size_t errors = r->diags->errors;
        struct spec spec = {0};
        const char *text;

        if (entry_is_split(r, item))
                return;
        if (item->kind == NODE_SEQ) {
                reader_fault(r, DIAG_BAD_TYPE, &item->mark,
                             "must be a port such as \"8080:80\" or a map, not a list");
                return;
        }
        if (item->kind != NODE_MAP) {
                text = reader_scalar(r, field, item);
                if (text)
                        read_short(r, item, text, value);
                return;
        }
        fields_read(r, port_fields, item, &spec);
        clean_host_ip(&spec.host_ip);
        if (r->diags->errors == errors)
                add_ports(r, item, &spec, value);
        spec_release(&spec);
}

static void ports_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        entries_read(r, field, node, read_port, value);
}

static json_t *ports_write(const struct field *field, const void *value)
{
        const struct service *service = value;
        json_t *array;

        (void)field;
        if (service->ports_len == 0)
                return NULL;
        array = json_array();
        for (size_t i = 0; i < service->ports_len; i++) {
                const struct port *port = &service->ports[i];
                AUTO_FREE char *published =
                        port->published_last
                                ? xasprintf("%u-%u", port->published, port->published_last)
                                : xasprintf("%u", port->published);
                json_t *one = json_object();

                json_set_int(one, "target", port->target);
                json_set_str(one, "published", port->published ? published : NULL);
                json_set_str(one, "host_ip", port->host_ip);
                if (port->protocol != PORT_TCP)
                        json_set_str(one, "protocol", protocols[port->protocol]);
                if (json_array_append_new(array, one) < 0)
                        bug("json_array_append_new");
        }
        return array;
}

const struct kind kind_ports = {.schema = SHAPE_ENTRIES("{'type':['string','integer']}"),
                                .form = "a list of ports such as \"8080:80\"",
                                .merge = MERGE_PORTS,
                                .long_form = port_fields,
                                .read = ports_read,
                                .write = ports_write};

static void read_exposed(struct reader *r, const struct field *field, const struct node *item,
                         void *value)
{
        const char *text = reader_scalar(r, field, item);
        AUTO_FREE char *port = text ? xstrndup(text, strcspn(text, "/")) : NULL;
        struct range range = {0, 0};

        (void)value;
        if (port)
                (void)parse_range(r, &item->mark, port, &range); /* an error is a finding */
}

static void expose_read(struct reader *r, const struct field *field, const struct node *node,
                        void *value)
{
        entries_read(r, field, node, read_exposed, value);
}

const struct kind kind_expose = {
        .schema = "{'type':['array','null'],'items':{'type':['string','integer']}}",
        .form = "a list of ports",
        .merge = MERGE_SET,
        .read = expose_read};

static const char *scalar_text(const struct node *map, const char *key, const char *fallback)
{
        const struct node *node = node_get(map, key);

        return node && node->text[0] ? node->text : fallback;
}

const char *port_merge_key(struct arena *arena, const struct node *item)
{
        AUTO_FREE char *ip = NULL;
        AUTO_FREE char *host = NULL;
        AUTO_FREE char *guest = NULL;
        const char *protocol = NULL;

        if (item->kind == NODE_MAP)
                return arena_printf(arena, "%s:%s:%s/%s", scalar_text(item, "host_ip", ""),
                                    scalar_text(item, "published", ""),
                                    scalar_text(item, "target", ""),
                                    scalar_text(item, "protocol", "tcp"));
        split_short(item->text, &ip, &host, &guest, &protocol);
        return arena_printf(arena, "%s:%s:%s/%s", ip ? ip : "", host ? host : "", guest, protocol);
}
