/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/jsonschema.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "schema/draft.h"

static json_t *table_schema(const struct field *table);

static void set(json_t *object, const char *key, json_t *value)
{
        if (json_object_set_new(object, key, value) < 0)
                bug("json_object_set_new");
}

static void append(json_t *array, json_t *value)
{
        if (json_array_append_new(array, value) < 0)
                bug("json_array_append_new");
}

/* Shapes are written with single quotes: they stand in C. */
static json_t *shape(const char *text)
{
        AUTO_FREE char *copy = xstrdup(text);
        json_t *json;

        for (char *p = copy; *p; p++)
                if (*p == '\'')
                        *p = '"';
        json = json_loads(copy, 0, NULL);
        if (!json)
                bug("a kind's schema is not JSON");
        return json;
}

/* Puts the schema of the long form in all its places below node. */
static void expand_long(json_t *node, const struct field *table)
{
        json_t *value;
        const char *key;
        void *next;
        size_t i;

        json_array_foreach(node, i, value)
                expand_long(value, table);
        json_object_foreach_safe(node, next, key, value)
        {
                if (streq(key, "$ref") && streq(json_string_value(value), "#long")) {
                        AUTO_JSON json_t *rows = table_schema(table);

                        (void)json_object_clear(node); /* it was one */
                        if (json_object_update(node, rows) < 0)
                                bug("json_object_update");
                        return;
                }
                expand_long(value, table);
        }
}

static json_t *or_null(json_t *schema)
{
        json_t *both = json_object(), *list = json_array();

        append(list, json_pack("{ss}", "type", "null"));
        append(list, schema);
        set(both, "anyOf", list);
        return both;
}

/* One of the words, or text with a variable. */
static json_t *choice_schema(const char *const *words)
{
        json_t *list = json_array(), *names = json_array(), *both = json_object();

        for (; *words; words++)
                if (**words)
                        append(names, json_string(*words));
        append(list, json_pack("{so}", "enum", names));
        append(list, json_pack("{ssss}", "type", "string", "pattern", "\\$"));
        set(both, "anyOf", list);
        return or_null(both);
}

static json_t *named_schema(const struct named *named)
{
        json_t *one = table_schema(named->table);
        json_t *all = json_pack("{ss}", "type", "object");

        set(all, "additionalProperties", named->null_ok ? or_null(one) : one);
        set(all, "patternProperties", json_pack("{s{}}", "^x-"));
        return or_null(all);
}

static json_t *value_schema(const struct field *field)
{
        json_t *schema;

        switch (field->kind->merge) {
        case MERGE_OBJECT:
                return or_null(table_schema(field->arg));
        case MERGE_NAMED:
                return named_schema(field->arg);
        case MERGE_REPLACE:
        case MERGE_PAIRS:
        case MERGE_NAMES:
        case MERGE_SET:
        case MERGE_PORTS:
        case MERGE_TARGET:
                break;
        }
        if (!field->kind->schema)
                return choice_schema(field->arg);
        schema = shape(field->kind->schema);
        if (field->kind->long_form)
                expand_long(schema, field->kind->long_form);
        if (field->max && streq(field->kind->form, "a whole number")) {
                set(schema, "minimum", json_integer(field->min));
                set(schema, "maximum", json_integer(field->max));
        }
        return schema;
}

static json_t *field_schema(const struct field *field)
{
        json_t *schema = NULL;

        switch (field->use) {
        case FIELD_USED:
                schema = value_schema(field);
                set(schema, "description", json_string(field->doc));
                break;
        case FIELD_QUIET:
                schema = json_object();
                set(schema, "description", json_sprintf("No effect: %s", field->doc));
                break;
        case FIELD_IGNORED:
                schema = json_object();
                set(schema, "description", json_sprintf("Ignored: %s", field->doc));
                break;
        case FIELD_REFUSED:
                schema = json_pack("{s[n[]{}]}", "enum"); /* what asks for nothing */
                set(schema, "description", json_sprintf("Refused: %s", field->doc));
                break;
        }
        return schema;
}

static json_t *table_schema(const struct field *table)
{
        json_t *schema = json_pack("{sssbs{s{}}}", "type", "object", "additionalProperties", 0,
                                   "patternProperties", "^x-");
        json_t *properties = json_object(), *required = json_array();

        for (; table->name; table++) {
                set(properties, table->name, field_schema(table));
                if (table->required)
                        append(required, json_string(table->name));
        }
        set(schema, "properties", properties);
        if (json_array_size(required))
                set(schema, "required", required);
        else
                json_decref(required);
        return schema;
}

json_t *manifest_schema(void)
{
        json_t *schema = table_schema(stack_fields);

        set(schema, "$schema", json_string("http://json-schema.org/draft-07/schema#"));
        set(schema, "title", json_string("a berth stack (Compose Specification)"));
        return schema;
}
