/* SPDX-License-Identifier: Apache-2.0 */
/* post_start and pre_stop: commands that run in the guest beside the service. */
#include "schema/hooks.h"

#include <stdlib.h>

#include "base/mem.h"
#include "schema/kinds.h"
#include "schema/service_kinds.h"
#include "schema/shapes.h"

static const struct field hook_fields[] = {
        {.name = "command",
         .kind = &kind_argv,
         .offset = offsetof(struct hook, command),
         .required = true,
         .doc = "command to run in the guest"},
        {.name = "user",
         .kind = &kind_string,
         .offset = offsetof(struct hook, user),
         .doc = "user it runs as; the service's when left out"},
        {.name = "privileged",
         .kind = &kind_bool,
         .offset = offsetof(struct hook, privileged),
         .doc = "with all capabilities"},
        {.name = "working_dir",
         .kind = &kind_string,
         .offset = offsetof(struct hook, working_dir),
         .doc = "folder it starts in; the service's when left out"},
        {.name = "environment",
         .kind = &kind_environ,
         .offset = offsetof(struct hook, environment),
         .doc = "more variables, over the service's"},
        {0},
};

/* `KEY` alone is that of the command line; what nothing gives a value is left out. */
static void resolve(struct reader *r, struct kv_list *list)
{
        size_t n = 0;

        for (size_t i = 0; i < list->len; i++) {
                struct kv *kv = &list->items[i];

                if (!kv->value && r->env)
                        kv->value = xstrdup(env_get(r->env, kv->key));
                if (kv->value)
                        list->items[n++] = *kv;
                else
                        free(kv->key);
        }
        list->len = n;
}

static void hooks_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        struct hooks *hooks = value;

        if (node->kind != NODE_SEQ) {
                reader_refuse_kind(r, field, node);
                return;
        }
        for (size_t i = 0; i < node->len; i++) {
                const struct node *item = node->items[i];

                path_push_index(&r->path, i);
                if (hooks->len >= SERVICE_HOOKS_MAX) {
                        reader_fault(r, DIAG_LIMIT, &item->mark, "a service has at most %d of them",
                                     SERVICE_HOOKS_MAX);
                } else if (item->kind == NODE_MAP) {
                        struct hook *hook = array_push(&hooks->items, &hooks->len);

                        fields_init(hook_fields, hook);
                        fields_read(r, hook_fields, item, hook);
                        resolve(r, &hook->environment);
                } else {
                        reader_fault(r, DIAG_BAD_TYPE, &item->mark,
                                     "must be a map such as {command: [CMD, ARG]}");
                }
                path_pop(&r->path);
        }
}

json_t *hooks_to_json(const struct hooks *hooks)
{
        json_t *array = hooks->len ? json_array() : NULL;

        for (size_t i = 0; i < hooks->len; i++)
                if (json_array_append_new(array, fields_write(hook_fields, &hooks->items[i])) < 0)
                        bug("json_array_append_new");
        return array;
}

static json_t *hooks_write(const struct field *field, const void *value)
{
        (void)field;
        return hooks_to_json(value);
}

const struct kind kind_hooks = {.schema = "{'type':['array','null'],'items':{'$ref':'#long'}}",
                                .form = "a list of maps",
                                .merge = MERGE_SET,
                                .long_form = hook_fields,
                                .read = hooks_read,
                                .write = hooks_write};
