/* SPDX-License-Identifier: Apache-2.0 */
#include "network/proto.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"

json_t *proto_request(const char *op, int64_t id)
{
        json_t *j = proto_reply(id);

        json_set_str(j, "op", op);
        return j;
}

json_t *proto_reply(int64_t id)
{
        json_t *j = json_object();

        if (!j)
                bug("out of memory");
        json_set_int(j, "id", id);
        return j;
}

json_t *proto_error(int64_t id, const struct err *err)
{
        json_t *j = proto_reply(id);

        json_set_int(j, "code", err->code);
        json_set_str(j, "error", err->msg);
        return j;
}

/* jansson fails here only when memory is out. */
static json_t *new_array(json_t *object, const char *key)
{
        json_t *array = json_array();

        if (!array || json_object_set_new(object, key, array) < 0)
                bug("out of memory");
        return array;
}

static json_t *new_element(json_t *array)
{
        json_t *object = json_object();

        if (!object || json_array_append_new(array, object) < 0)
                bug("out of memory");
        return object;
}

static void put_strings(json_t *object, const char *key, const char *const *strings, size_t n)
{
        json_t *array = new_array(object, key);

        for (size_t i = 0; i < n; i++)
                if (json_array_append_new(array, json_string(strings[i])) < 0)
                        bug("a name that is not UTF-8");
}

static void put_ip(json_t *object, const char *key, uint32_t ip)
{
        char text[VALUE_IP4_MAX];

        value_ip4_text(ip, text);
        json_set_str(object, key, text);
}

static void put_servers(json_t *object, const struct zone_client *c)
{
        json_t *array = c->servers_len ? new_array(object, "servers") : NULL;

        for (size_t i = 0; i < c->servers_len; i++) {
                char text[VALUE_IP4_MAX];

                value_ip4_text(c->servers[i], text);
                if (json_array_append_new(array, json_string(text)) < 0)
                        bug("json_array_append_new");
        }
}

void proto_put_zone(json_t *request, const struct zone *zone)
{
        json_t *records = new_array(request, "records"), *clients = new_array(request, "clients");

        for (size_t i = 0; i < zone->records_len; i++) {
                const struct zone_record *r = &zone->records[i];
                json_t *j = new_element(records);

                put_strings(j, "names", r->names, r->names_len);
                put_ip(j, "ip", r->ip);
                json_set_str(j, "network", r->network);
                json_set_bool(j, "ready", r->ready);
                json_set_str(j, "stack", r->stack);
                if (r->shared)
                        json_set_bool(j, "shared", true);
        }
        for (size_t i = 0; i < zone->clients_len; i++) {
                const struct zone_client *c = &zone->clients[i];
                json_t *j = new_element(clients);

                put_ip(j, "ip", c->ip);
                put_strings(j, "networks", c->networks, c->networks_len);
                json_set_bool(j, "egress", c->egress);
                put_servers(j, c);
        }
}

static int get_ip(const json_t *object, const char *key, const char *what, uint32_t *ret,
                  struct err *err)
{
        const char *text;
        int r = json_need_str(object, key, what, &text, err);

        if (r < 0)
                return r;
        r = value_ip4(text, ret, err);
        return r < 0 ? err_wrap(err, "%s: %s", what, key) : 0;
}

/* An array member of at most max elements. */
static int get_array(const json_t *object, const char *key, size_t max, const json_t **ret,
                     struct err *err)
{
        const json_t *array = json_object_get(object, key);

        if (!json_is_array(array))
                return err_set(err, EINVAL, "%s: must be an array", key);
        if (json_array_size(array) > max)
                return err_set(err, E2BIG, "%s: %zu of them; the limit is %zu", key,
                               json_array_size(array), max);
        *ret = array;
        return 0;
}

/* Names that are all good. *ret: new array, borrowed strings. */
static int get_names(const json_t *object, const char *key, size_t max, bool (*valid)(const char *),
                     const char *const **ret, size_t *ret_len, struct err *err)
{
        AUTO_FREE const char **names = NULL;
        const json_t *array = NULL;
        size_t n;
        int r = get_array(object, key, max, &array, err);

        if (r < 0)
                return r;
        n = json_array_size(array);
        names = xcalloc(n + 1, sizeof(*names));
        for (size_t i = 0; i < n; i++) {
                names[i] = json_string_value(json_array_get(array, i));
                if (!names[i] || !valid(names[i]))
                        return err_set(err, EINVAL, "%s[%zu]: not a name", key, i);
        }
        *ret = STEAL(names);
        *ret_len = n;
        return 0;
}

/* NAME, STACK/NAME or /NAME. */
static bool network_valid(const char *text)
{
        const char *slash = strchr(text, '/');
        AUTO_FREE char *stack = slash ? xstrndup(text, (size_t)(slash - text)) : NULL;

        if (slash && slash > text && !value_stack_name_valid(stack))
                return false;
        return value_name_valid(slash ? slash + 1 : text);
}

static int get_record(const json_t *j, struct zone_record *ret, struct err *err)
{
        int r = get_names(j, "names", PROTO_NAMES_MAX, value_host_name_valid, &ret->names,
                          &ret->names_len, err);

        if (r < 0)
                return r;
        ret->ready = json_bool(j, "ready", false);
        ret->shared = json_bool(j, "shared", false);
        ret->stack = json_str(j, "stack", NULL);
        if (ret->stack && !value_stack_name_valid(ret->stack))
                return err_set(err, EINVAL, "record: stack: not a name");
        r = get_ip(j, "ip", "record", &ret->ip, err);
        if (r < 0)
                return r;
        return json_need_str(j, "network", "record", &ret->network, err);
}

/* They may be missing: then there are none. */
static int get_servers(const json_t *j, struct zone_client *ret, struct err *err)
{
        const json_t *array = NULL;
        int r;

        if (!json_object_get(j, "servers"))
                return 0;
        r = get_array(j, "servers", ZONE_SERVERS_MAX, &array, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_array_size(array); i++) {
                const char *text = json_string_value(json_array_get(array, i));

                if (!text || value_ip4(text, &ret->servers[i], NULL) < 0)
                        return err_set(err, EINVAL, "servers[%zu]: not an address", i);
        }
        ret->servers_len = json_array_size(array);
        return 0;
}

static int get_client(const json_t *j, struct zone_client *ret, struct err *err)
{
        int r = get_ip(j, "ip", "client", &ret->ip, err);

        if (r < 0)
                return r;
        ret->egress = json_bool(j, "egress", false);
        r = get_servers(j, ret, err);
        if (r < 0)
                return r;
        return get_names(j, "networks", PROTO_NETWORKS_MAX, network_valid, &ret->networks,
                         &ret->networks_len, err);
}

static int fill_zone(const json_t *request, struct zone *zone, struct err *err)
{
        const json_t *records, *clients;
        struct zone_record *record;
        struct zone_client *client;
        int r = get_array(request, "records", PROTO_RECORDS_MAX, &records, err);

        if (r < 0)
                return r;
        r = get_array(request, "clients", PROTO_CLIENTS_MAX, &clients, err);
        if (r < 0)
                return r;
        zone->records_len = json_array_size(records);
        zone->records = record = xcalloc(zone->records_len + 1, sizeof(*record));
        zone->clients_len = json_array_size(clients);
        zone->clients = client = xcalloc(zone->clients_len + 1, sizeof(*client));
        for (size_t i = 0; i < zone->records_len; i++) {
                r = get_record(json_array_get(records, i), &record[i], err);
                if (r < 0)
                        return err_wrap(err, "records[%zu]", i);
        }
        for (size_t i = 0; i < zone->clients_len; i++) {
                r = get_client(json_array_get(clients, i), &client[i], err);
                if (r < 0)
                        return err_wrap(err, "clients[%zu]", i);
        }
        return 0;
}

int proto_get_zone(const json_t *request, struct zone *ret, struct err *err)
{
        struct zone zone = {NULL, 0, NULL, 0};
        int r = fill_zone(request, &zone, err);

        if (r < 0) {
                proto_zone_release(&zone);
                return r;
        }
        *ret = zone;
        return 0;
}

void proto_zone_release(struct zone *zone)
{
        for (size_t i = 0; i < zone->records_len; i++)
                free((void *)(uintptr_t)zone->records[i].names);
        for (size_t i = 0; i < zone->clients_len; i++)
                free((void *)(uintptr_t)zone->clients[i].networks);
        free((void *)(uintptr_t)zone->records);
        free((void *)(uintptr_t)zone->clients);
        *zone = (struct zone){NULL, 0, NULL, 0};
}

static void put_host(json_t *j, const struct forward *f)
{
        char text[VALUE_IP6_MAX];

        if (!f->ip6) {
                put_ip(j, "host_ip", f->host_ip);
                return;
        }
        value_ip6_text(f->host_ip6, text);
        json_set_str(j, "host_ip", text);
}

void proto_put_forwards(json_t *request, const struct forward *forwards, size_t n)
{
        json_t *array = new_array(request, "forwards");

        for (size_t i = 0; i < n; i++) {
                const struct forward *f = &forwards[i];
                json_t *j = new_element(array);

                json_set_str(j, "id", f->id);
                put_host(j, f);
                json_set_int(j, "host_port", f->host_port);
                if (f->host_port_last)
                        json_set_int(j, "host_port_last", f->host_port_last);
                put_ip(j, "target_ip", f->target_ip);
                json_set_int(j, "target_port", f->target_port);
                json_set_bool(j, "udp", f->udp);
        }
}

/* UDP flows are IPv4 on both sides. */
static int get_host(const json_t *j, struct forward *ret, struct err *err)
{
        const char *text = json_str(j, "host_ip", "");

        ret->ip6 = !ret->udp && strchr(text, ':');
        if (ret->ip6)
                return value_ip6(text, ret->host_ip6, err);
        return get_ip(j, "host_ip", "forward", &ret->host_ip, err);
}

static int get_forward(const json_t *j, struct forward *ret, struct err *err)
{
        int64_t port;
        int r = json_need_str(j, "id", "forward", &ret->id, err);

        if (r < 0)
                return r;
        if (strlen(ret->id) > PROTO_ID_MAX)
                return err_set(err, EINVAL, "id: longer than %d bytes", PROTO_ID_MAX);
        ret->udp = json_bool(j, "udp", false);
        r = get_host(j, ret, err);
        if (r < 0)
                return r;
        r = get_ip(j, "target_ip", "forward", &ret->target_ip, err);
        if (r < 0)
                return r;
        r = json_need_int(j, "host_port", 0, 65535, "forward", &port, err);
        if (r < 0)
                return r;
        ret->host_port = (uint16_t)port;
        port = json_int(j, "host_port_last", 0);
        if (port != 0 && (port < ret->host_port || port > 65535))
                return err_set(err, EINVAL, "host_port_last: not within host_port..65535");
        ret->host_port_last = (uint16_t)port;
        r = json_need_int(j, "target_port", 1, 65535, "forward", &port, err);
        if (r < 0)
                return r;
        ret->target_port = (uint16_t)port;
        return 0;
}

int proto_get_forwards(const json_t *request, struct forward **ret, size_t *ret_n, struct err *err)
{
        AUTO_FREE struct forward *forwards = NULL;
        const json_t *array;
        size_t n;
        int r = get_array(request, "forwards", PROTO_FORWARDS_MAX, &array, err);

        if (r < 0)
                return r;
        n = json_array_size(array);
        forwards = xcalloc(n + 1, sizeof(*forwards));
        for (size_t i = 0; i < n; i++) {
                r = get_forward(json_array_get(array, i), &forwards[i], err);
                if (r < 0)
                        return err_wrap(err, "forwards[%zu]", i);
                for (size_t k = 0; k < i; k++)
                        if (streq(forwards[k].id, forwards[i].id))
                                return err_set(err, EINVAL, "forwards[%zu]: id %s is there twice",
                                               i, forwards[i].id);
        }
        *ret = STEAL(forwards);
        *ret_n = n;
        return 0;
}

void proto_put_result(json_t *reply, const struct forward_result *result, int code)
{
        json_t *array = json_object_get(reply, "results"), *j;

        if (!array)
                array = new_array(reply, "results");
        j = new_element(array);
        json_set_str(j, "id", result->id);
        json_set_bool(j, "bound", result->bound);
        json_set_int(j, "host_port", result->host_port);
        json_set_str(j, "error", result->error);
        if (code)
                json_set_int(j, "code", code);
}
