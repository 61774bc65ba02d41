/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the top level, and of volumes, configs and secrets. */
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
#include "schema/network_fields.h"
#include "schema/profiles.h"
#include "schema/service_kinds.h"
#include "schema/shapes.h"
#include "schema/source.h"
#include "schema/unused_fields.h"

#define SIZE_MIN  (INT64_C(1) << 20)
#define SIZE_MAX_ (INT64_C(1) << 50)

/* `external` on configs and secrets: as docker-compose, for only a swarm has a store of them. What
 * is missing is then told once. */
static void refuse_external(struct reader *r, const struct field *field, const struct node *node,
                            void *value)
{
        struct file_source *source = value;
        bool external = node->kind == NODE_MAP;

        if (!external && (!reader_bool(r, field, node, &external) || !external))
                return;
        reader_fault(
                r, DIAG_UNSUPPORTED_VALUE, &node->mark,
                "there is no store of %s to take it from, nor has Docker one without a swarm; in "
                "place of it write file: ./%.60s, or environment: VARIABLE",
                (const char *)field->arg, source->name);
        if (!source->content)
                source->content = xstrdup("");
}

static const struct kind kind_no_external = {
        .schema = "{'type':['boolean','string','object','null']}",
        .form = "true or false",
        .read = refuse_external};

static const char *const volume_drivers[] = {"local", "default", NULL};

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

static void external_volume_read(struct reader *r, const struct field *field,
                                 const struct node *node, void *value)
{
        struct volume *volume = value;

        external_read(r, node, field, &volume->external, &volume->real_name);
}

static json_t *external_volume_write(const struct field *field, const void *value)
{
        const struct volume *volume = value;

        (void)field;
        return volume->external ? json_true() : NULL;
}

static const struct kind kind_external_volume = {.schema = SHAPE_EXTERNAL,
                                                 .form = "true or false",
                                                 .read = external_volume_read,
                                                 .write = external_volume_write};
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
         .kind = &kind_external_volume,
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
                 .arg = what "s",                                                                  \
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
        .end = network_end,
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
