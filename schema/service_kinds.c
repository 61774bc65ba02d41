/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/service_kinds.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "schema/draft.h"
#include "schema/kinds.h"
#include "schema/shapes.h"
#include "schema/unused_fields.h"

/* "no", "always", "on-failure[:N]", "unless-stopped"; always:N is what deploy.restart_policy can
 * say.
 */
static const char *const restart_names[] = {"no", "always", "on-failure", "unless-stopped", NULL};

static void restart_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        struct service *service = value;
        const char *text = node->kind == NODE_BOOL ? NULL : reader_string(r, field, node);
        size_t n = text ? strcspn(text, ":") : 0;
        int64_t attempts = 0;

        if (node->kind == NODE_BOOL)
                reader_fault(r, DIAG_BAD_TYPE, &node->mark,
                             "must be no, always, on-failure, on-failure:N or unless-stopped, not "
                             "a boolean");
        if (!text)
                return;
        for (int i = 0; restart_names[i]; i++) {
                bool counts = i == RESTART_ON_FAILURE || i == RESTART_ALWAYS;

                if (strlen(restart_names[i]) != n || strncmp(text, restart_names[i], n) != 0 ||
                    (text[n] && (!counts || value_int(text + n + 1, 0, 1000000, &attempts, NULL))))
                        continue;
                service->restart = (enum restart_policy)i;
                service->restart_max_attempts = (unsigned)attempts;
                return;
        }
        reader_fault(r, DIAG_BAD_CHOICE, &node->mark,
                     "'%.40s' is not one of no, always, on-failure, on-failure:N, unless-stopped",
                     text);
}

static json_t *restart_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        (void)field;
        if (service->restart == RESTART_NO)
                return NULL;
        if (service->restart_max_attempts)
                return json_sprintf("%s:%u", restart_names[service->restart],
                                    service->restart_max_attempts);
        return json_string(restart_names[service->restart]);
}

const struct kind kind_restart = {.schema = "{'type':['string','null'],'examples':['no','always','"
                                            "unless-stopped','on-failure','on-failure:5']}",
                                  .form = "a string",
                                  .read = restart_read,
                                  .write = restart_write};

static const char *const pull_names[] = {"missing", "always", "never", NULL};

static const struct {
        const char *name;
        int64_t ms;
} pull_times[] = {{"daily", INT64_C(86400000)}, {"weekly", INT64_C(604800000)}};

/* "daily", "weekly", "every_12h"; false: none of them. */
static bool read_pull_time(const char *text, int64_t *ret_ms)
{
        struct err ignored;

        for (size_t i = 0; i < ARRAY_SIZE(pull_times); i++)
                if (streq(pull_times[i].name, text)) {
                        *ret_ms = pull_times[i].ms;
                        return true;
                }
        return has_prefix(text, "every_") &&
               value_duration_ms(text + strlen("every_"), ret_ms, &ignored) == 0 && *ret_ms > 0;
}

static void pull_read(struct reader *r, const struct field *field, const struct node *node,
                      void *value)
{
        struct service *service = value;
        const char *text = reader_string(r, field, node);

        if (!text)
                return;
        for (int i = 0; pull_names[i]; i++)
                if (streq(pull_names[i], text)) {
                        service->pull_policy = (enum pull_policy)i;
                        return;
                }
        if (streq(text, "if_not_present")) {
                service->pull_policy = PULL_MISSING;
        } else if (streq(text, "refresh")) {
                service->pull_policy = PULL_MISSING;
                reader_warn(r, &node->mark,
                            "'refresh' alone names no time and is taken as missing, as docker "
                            "compose does; write daily, weekly or every_DURATION");
        } else if (read_pull_time(text, &service->pull_every_ms)) {
                service->pull_policy = PULL_EVERY;
        } else if (streq(text, "build")) {
                service->pull_policy = PULL_NEVER;
                reader_warn(r, &node->mark,
                            "'build' is taken as never: images are not built here, load it with "
                            "`docker save IMAGE | berth image load`");
        } else {
                reader_fault(r, DIAG_BAD_CHOICE, &node->mark,
                             "'%.40s' is not one of missing, always, never, daily, weekly, "
                             "every_DURATION (every_12h)",
                             text);
        }
}

static json_t *pull_write(const struct field *field, const void *value)
{
        const struct service *service = value;
        char duration[VALUE_DURATION_MAX];

        (void)field;
        if (service->pull_policy == PULL_MISSING)
                return NULL;
        if (service->pull_policy != PULL_EVERY)
                return json_string(pull_names[service->pull_policy]);
        for (size_t i = 0; i < ARRAY_SIZE(pull_times); i++)
                if (pull_times[i].ms == service->pull_every_ms)
                        return json_string(pull_times[i].name);
        value_duration_text(service->pull_every_ms, duration);
        return json_sprintf("every_%s", duration);
}

const struct kind kind_pull_policy = {
        .schema = "{'type':['string','null'],'examples':['missing','always','never','daily',"
                  "'every_12h']}",
        .form = "a string",
        .read = pull_read,
        .write = pull_write};

static void test_read(struct reader *r, const struct field *field, const struct node *node,
                      void *value)
{
        struct str_list *list = value;
        const char *first;

        if (node->kind == NODE_STRING) {
                str_list_add(list, "CMD-SHELL");
                str_list_add(list, node->text);
                return;
        }
        kind_argv.read(r, field, node, value);
        first = list->len ? list->items[0] : "";
        if (node->kind != NODE_SEQ)
                return;
        if (!streq(first, "CMD") && !streq(first, "CMD-SHELL") && !streq(first, "NONE"))
                reader_error(r, &node->mark,
                             "a list must begin with CMD, CMD-SHELL or NONE, not '%.40s'; write "
                             "[\"CMD\", \"%.40s\"...]",
                             first, first[0] ? first : "PROGRAM");
        else if (!streq(first, "NONE") && list->len < 2)
                reader_error(r, &node->mark, "%s needs a command behind it", first);
}

static json_t *test_write(const struct field *field, const void *value)
{
        (void)field;
        return str_list_write(value);
}

const struct kind kind_test = {.schema = SHAPE_WORDS,
                               .form = "a string or a list of strings",
                               .read = test_read,
                               .write = test_write};

static void healthcheck_init(const struct field *field, void *value)
{
        fields_init(field->arg, value);
}

static void healthcheck_read(struct reader *r, const struct field *field, const struct node *node,
                             void *value)
{
        struct service *service = value;

        kind_object.read(r, field, node, value);
        service->has_healthcheck = true;
}

static json_t *healthcheck_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        return service->has_healthcheck ? fields_write(field->arg, value) : NULL;
}

const struct kind kind_healthcheck = {.form = "a map",
                                      .merge = MERGE_OBJECT,
                                      .init = healthcheck_init,
                                      .read = healthcheck_read,
                                      .write = healthcheck_write};

static void network_mode_read(struct reader *r, const struct field *field, const struct node *node,
                              void *value)
{
        const char *text = reader_string(r, field, node);
        struct service *service = value;

        if (!text || streq(text, "bridge") || streq(text, "default"))
                return;
        if (streq(text, "none"))
                service->network_none = true;
        else if (streq(text, "host"))
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                             "a VM cannot share the host's network; publish the ports it serves "
                             "with 'ports', and reach the host as host.docker.internal");
        else if (has_prefix(text, "service:") || has_prefix(text, "container:"))
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                             "a VM cannot share another one's network; put both on one network and "
                             "use the name '%.60s'",
                             strchr(text, ':') + 1);
        else
                reader_fault(r, DIAG_BAD_CHOICE, &node->mark,
                             "'%.40s' is not one of none, bridge; use 'networks'", text);
}

static json_t *network_mode_write(const struct field *field, const void *value)
{
        const struct service *service = value;

        (void)field;
        return service->network_none ? json_string("none") : NULL;
}

const struct kind kind_network_mode = {.schema = SHAPE_STRING,
                                       .form = "a string",
                                       .read = network_mode_read,
                                       .write = network_mode_write};

static const struct field ulimit_fields[] = {
        {.name = "soft",
         .kind = &kind_int,
         .offset = offsetof(struct ulimit, soft),
         .min = -1,
         .max = INT64_MAX,
         .unset = -2,
         .required = true,
         .doc = "the limit; -1: none"},
        {.name = "hard",
         .kind = &kind_int,
         .offset = offsetof(struct ulimit, hard),
         .min = -1,
         .max = INT64_MAX,
         .unset = -2,
         .required = true,
         .doc = "what the program may raise it to; -1: any"},
        {0},
};

static void check_ulimit_name(struct reader *r, const struct entry *entry)
{
        static const char *const names[] = {
                "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
                "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack",    "as"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (streq(names[i], entry->key))
                        return;
        reader_fault(r, DIAG_BAD_CHOICE, &entry->mark,
                     "no limit has this name; nofile, nproc and memlock are some");
}

static void ulimits_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        struct service *service = value;

        if (node->kind != NODE_MAP) {
                reader_refuse_kind(r, field, node);
                return;
        }
        for (size_t i = 0; i < node->len; i++) {
                const struct entry *entry = &node->entries[i];
                struct ulimit *ulimit = array_push(&service->ulimits, &service->ulimits_len);

                path_push_key(&r->path, entry->key);
                ulimit->name = xstrdup(entry->key);
                fields_init(ulimit_fields, ulimit);
                check_ulimit_name(r, entry);
                if (entry->value->kind == NODE_MAP)
                        fields_read(r, ulimit_fields, entry->value, ulimit);
                else if (reader_int(r, &ulimit_fields[0], entry->value, -1, INT64_MAX,
                                    &ulimit->soft))
                        ulimit->hard = ulimit->soft;
                if (ulimit->hard >= 0 && (ulimit->soft > ulimit->hard || ulimit->soft < 0))
                        reader_fault(r, DIAG_CONFLICT, &entry->value->mark, "soft is above hard");
                path_pop(&r->path);
        }
}

static json_t *ulimits_write(const struct field *field, const void *value)
{
        const struct service *service = value;
        json_t *object;

        (void)field;
        if (service->ulimits_len == 0)
                return NULL;
        object = json_object();
        for (size_t i = 0; i < service->ulimits_len; i++)
                if (json_object_set_new(object, service->ulimits[i].name,
                                        fields_write(ulimit_fields, &service->ulimits[i])) < 0)
                        bug("json_object_set_new");
        return object;
}

const struct kind kind_ulimits = {
        .schema = "{'type':['object','null'],'additionalProperties':{'anyOf':[{'type':['integer','"
                  "string']},{'$ref':'#long'}]}}",
        .form = "a map",
        .merge = MERGE_PAIRS,
        .long_form = ulimit_fields,
        .read = ulimits_read,
        .write = ulimits_write};

static void add_host(struct reader *r, const struct node *at, const char *name, const char *address,
                     struct str_list *list)
{
        AUTO_FREE char *text = NULL;
        struct node probe = *at;
        size_t n = strlen(address);

        if (address[0] == '[' && n > 1 && address[n - 1] == ']')
                address = arena_strndup(r->arena, address + 1, n - 2);
        if (!streq(address, "host-gateway") && !strchr(address, ':'))
                check_ip4(r, &probe, address);
        check_hostname(r, &probe, name);
        text = xasprintf("%s=%s", name, address);
        str_list_add(list, text);
}

/* "name=address" or "name:address" */
static void read_host_text(struct reader *r, const struct node *item, struct str_list *list)
{
        size_t n = strcspn(item->text, "=");
        AUTO_FREE char *name = NULL;

        if (!item->text[n])
                n = strcspn(item->text, ":");
        name = xstrndup(item->text, n);
        if (item->kind != NODE_STRING || n == 0 || !item->text[n])
                reader_error(r, &item->mark,
                             "must be NAME=ADDRESS, such as "
                             "\"host.docker.internal=host-gateway\"");
        else
                add_host(r, item, name, item->text + n + 1, list);
}

static void read_host_entry(struct reader *r, const struct entry *entry, struct str_list *list)
{
        const struct node *value = entry->value;
        bool many = value->kind == NODE_SEQ;

        for (size_t i = 0; i < (many ? value->len : 1); i++) {
                const struct node *one = many ? value->items[i] : value;

                if (one->kind == NODE_STRING)
                        add_host(r, one, entry->key, one->text, list);
                else
                        reader_fault(r, DIAG_BAD_TYPE, &one->mark, "must be an address, not %s",
                                     node_kind_name(one));
        }
}

static void extra_hosts_read(struct reader *r, const struct field *field, const struct node *node,
                             void *value)
{
        if (node->kind != NODE_SEQ && node->kind != NODE_MAP) {
                reader_refuse_kind(r, field, node);
                return;
        }
        for (size_t i = 0; i < node->len; i++) {
                if (node->kind == NODE_SEQ) {
                        path_push_index(&r->path, i);
                        read_host_text(r, node->items[i], value);
                } else {
                        path_push_key(&r->path, node->entries[i].key);
                        read_host_entry(r, &node->entries[i], value);
                }
                path_pop(&r->path);
        }
}

static json_t *extra_hosts_write(const struct field *field, const void *value)
{
        const struct str_list *list = value;

        (void)field;
        return list->len ? str_list_write(list) : NULL;
}

const struct kind kind_extra_hosts = {
        .schema = "{'type':['array','object','null'],'items':{'type':'string'},'"
                  "additionalProperties':{'type':['string','array']}}",
        .form = "a list of NAME=ADDRESS or a map",
        .merge = MERGE_SET,
        .read = extra_hosts_read,
        .write = extra_hosts_write};

/* What is known of it is its place: normalise() tells which image is run instead. */
static void build_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        struct service_draft *draft = value;

        if (node->kind == NODE_MAP)
                fields_read(r, build_fields, node, NULL); /* unknown keys */
        else if (node->kind != NODE_STRING)
                reader_refuse_kind(r, field, node);
        draft->build = node;
}

const struct kind kind_build = {.schema = "{'anyOf':[{'type':['string','null']},{'$ref':'#long'}]}",
                                .form = "a string or a map",
                                .long_form = build_fields,
                                .read = build_read};

static void isolation_read(struct reader *r, const struct field *field, const struct node *node,
                           void *value)
{
        const char *text = reader_string(r, field, node);

        if (text && streq(text, "required"))
                *(bool *)value = true;
        else if (text && !streq(text, "preferred"))
                reader_fault(r, DIAG_BAD_CHOICE, &node->mark,
                             "'%.40s' is not one of required (refuse software emulation), "
                             "preferred (default)",
                             text);
}

static json_t *isolation_write(const struct field *field, const void *value)
{
        (void)field;
        return *(const bool *)value ? json_string("required") : NULL;
}

const struct kind kind_isolation = {.schema = SHAPE_STRING,
                                    .form = "a string",
                                    .read = isolation_read,
                                    .write = isolation_write};

void check_platform(struct reader *r, const struct node *node, const char *text)
{
        if (!streq(text, "linux/amd64") && !streq(text, "linux") && !streq(text, "linux/x86_64"))
                reader_fault(r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                             "'%.40s' cannot run here; VMs are linux/amd64: use an image of that "
                             "platform",
                             text);
}

void check_capability(struct reader *r, const struct node *node, const char *text)
{
        const char *name = has_prefix(text, "CAP_") ? text + 4 : text;

        if (!name[0] || strlen(name) > 32 ||
            strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") != strlen(name))
                reader_fault(r, DIAG_BAD_CHOICE, &node->mark,
                             "'%.40s' is not a capability; write it like NET_ADMIN or ALL", text);
}
