/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/map.h"
#include "schema/suggest.h"

struct anchor {
        const char *name;
        const struct node *node;
};

struct composer {
        yaml_parser_t parser;
        struct arena *arena;
        const char *file;
        struct diags *diags;
        struct anchor *anchors;
        size_t anchors_len;
        size_t nodes;  /* written out */
        size_t copies; /* made for aliases */
        unsigned depth;
};

static int compose_node(struct composer *c, const yaml_event_t *event, struct node **ret);

static struct mark mark_of(const struct composer *c, const yaml_mark_t *mark)
{
        return (struct mark){c->file, (unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

#define refuse(c, mark, ...) \
        (diags_add((c)->diags, DIAG_YAML_SYNTAX, (mark), "", __VA_ARGS__), -EINVAL)

/* libyaml's words, with a way out where they are hard to understand. */
static int refuse_syntax(struct composer *c)
{
        const char *problem = c->parser.problem ? c->parser.problem : "not YAML";
        struct mark mark = mark_of(c, &c->parser.problem_mark);
        const char *hint = "";

        if (c->parser.error == YAML_READER_ERROR) {
                mark.line = mark.column = 1;
                return refuse(c, &mark, "%s (byte %zu); save the file as UTF-8", problem,
                              c->parser.problem_offset);
        }
        if (strstr(problem, "cannot start any token"))
                hint = "; indent with spaces, not tabs, and quote text that begins with @ ` or %";
        else if (strstr(problem, "mapping values are not allowed"))
                hint = "; check the indentation, and quote text that holds ': '";
        else if (strstr(problem, "did not find expected key"))
                hint = "; check the indentation of this line and the lines above, and that quotes "
                       "are "
                       "closed";
        else if (strstr(problem, "did not find expected '-' indicator"))
                hint = "; this line is in the column of the list above it: indent it as the key "
                       "that the list belongs to";
        else if (strstr(problem, "could not find expected ':'"))
                hint = "; write KEY: VALUE, with a space behind the colon";
        return refuse(c, &mark, "%s%s%s%s", c->parser.context ? c->parser.context : "",
                      c->parser.context ? ": " : "", problem, hint);
}

static int next_event(struct composer *c, yaml_event_t *event)
{
        if (!yaml_parser_parse(&c->parser, event))
                return refuse_syntax(c);
        return 0;
}

static enum node_tag tag_of(const char *tag)
{
        if (streq(tag, "!reset"))
                return TAG_RESET;
        return streq(tag, "!override") ? TAG_OVERRIDE : TAG_NONE;
}

static int check_tag(struct composer *c, const char *tag, const struct mark *mark)
{
        if (!tag || tag_of(tag) != TAG_NONE || streq(tag, "!") ||
            has_prefix(tag, "tag:yaml.org,2002:"))
                return 0;
        return refuse(c, mark, "unknown tag %.60s; only !reset and !override have a meaning", tag);
}

static int compose_scalar(struct composer *c, const yaml_event_t *event, struct node *node)
{
        const char *value = (const char *)event->data.scalar.value;
        size_t len = event->data.scalar.length;
        const char *tag = (const char *)event->data.scalar.tag;

        if (memchr(value, '\0', len))
                return refuse(c, &node->mark, "text holds a NUL character; it cannot be used");
        node->kind = NODE_STRING;
        node->text = arena_strndup(c->arena, value, len);
        node->tag = tag_of(tag);
        if (event->data.scalar.plain_implicit || node->tag != TAG_NONE ||
            (tag && !streq(tag, YAML_STR_TAG) && !streq(tag, "!")))
                node_resolve(node);
        return check_tag(c, tag, &node->mark);
}

static int compose_sequence(struct composer *c, struct node *node)
{
        for (;;) {
                struct node *item = NULL;
                yaml_event_t event;
                int r = next_event(c, &event);

                if (r < 0)
                        return r;
                if (event.type == YAML_SEQUENCE_END_EVENT) {
                        yaml_event_delete(&event);
                        return 0;
                }
                r = compose_node(c, &event, &item);
                yaml_event_delete(&event);
                if (r < 0)
                        return r;
                node_add_item(c->arena, node, item);
        }
}

static int compose_key(struct composer *c, const yaml_event_t *event, const char **ret)
{
        struct mark mark = mark_of(c, &event->start_mark);
        const char *text = (const char *)event->data.scalar.value;

        if (event->type == YAML_ALIAS_EVENT)
                return refuse(c, &mark, "an alias cannot be a key; write the key out");
        if (event->type != YAML_SCALAR_EVENT)
                return refuse(c, &mark, "a key must be text; quote it if it begins with [ or {");
        if (memchr(text, '\0', event->data.scalar.length))
                return refuse(c, &mark, "a key holds a NUL character");
        *ret = arena_strndup(c->arena, text, event->data.scalar.length);
        return 0;
}

/* One key and its value; 1 at the end of the map. */
static int compose_entry(struct composer *c, struct node *map)
{
        struct node *value = NULL;
        const char *key = NULL;
        yaml_event_t event;
        struct mark mark;
        int r = next_event(c, &event);

        if (r < 0)
                return r;
        mark = mark_of(c, &event.start_mark);
        r = event.type == YAML_MAPPING_END_EVENT ? 1 : compose_key(c, &event, &key);
        yaml_event_delete(&event);
        if (r != 0)
                return r;
        r = next_event(c, &event);
        if (r < 0)
                return r;
        r = compose_node(c, &event, &value);
        yaml_event_delete(&event);
        if (r < 0)
                return r;
        node_add_entry(c->arena, map, key, &mark, value);
        return 0;
}

static int compose_mapping(struct composer *c, struct node *node)
{
        int r;

        do {
                r = compose_entry(c, node);
        } while (r == 0);
        if (r < 0)
                return r;
        return map_finish(c->arena, c->diags, node);
}

static int refuse_alias(struct composer *c, const struct mark *mark, const char *name)
{
        struct suggestion s = SUGGESTION_INIT(name);

        for (size_t i = 0; i < c->anchors_len && i < 1000; i++)
                suggest_offer(&s, c->anchors[i].name);
        if (s.best)
                return refuse(c, mark, "alias *%.60s has no anchor &%.60s; did you mean *%s?", name,
                              name, s.best);
        return refuse(c, mark,
                      "alias *%.60s has no anchor &%.60s above it; quote text that begins with *",
                      name, name);
}

static int compose_alias(struct composer *c, const yaml_event_t *event, struct node **ret)
{
        const char *name = (const char *)event->data.alias.anchor;
        struct mark mark = mark_of(c, &event->start_mark);
        size_t limit = c->nodes * YAML_COPIES_RATIO;

        if (limit < YAML_COPIES_MIN)
                limit = YAML_COPIES_MIN;
        if (limit > YAML_NODES_MAX)
                limit = YAML_NODES_MAX;
        for (size_t i = c->anchors_len; i > 0; i--) {
                const struct node *node = c->anchors[i - 1].node;

                if (!streq(c->anchors[i - 1].name, name))
                        continue;
                c->copies += node_count(node, limit);
                if (c->copies > limit)
                        return refuse(c, &mark,
                                      "alias *%.60s: the aliases of this file expand to more than "
                                      "%zu values; write the values out, or nest fewer aliases",
                                      name, limit);
                if (c->depth + node_depth(node) > YAML_DEPTH_MAX)
                        return refuse(c, &mark, "alias *%.60s nests deeper than %d levels", name,
                                      YAML_DEPTH_MAX);
                *ret = node_copy(c->arena, node);
                return 0;
        }
        return refuse_alias(c, &mark, name);
}

static int add_anchor(struct composer *c, const char *name, const struct node *node)
{
        struct anchor *anchor;

        if (!name)
                return 0;
        if (c->anchors_len >= YAML_ANCHORS_MAX)
                return refuse(c, &node->mark, "more than %d anchors in one file", YAML_ANCHORS_MAX);
        anchor = array_push(&c->anchors, &c->anchors_len);
        *anchor = (struct anchor){arena_strdup(c->arena, name), node};
        return 0;
}

static int compose_collection(struct composer *c, const yaml_event_t *event, struct node *node)
{
        bool map = event->type == YAML_MAPPING_START_EVENT;
        const char *tag = (const char *)(map ? event->data.mapping_start.tag
                                             : event->data.sequence_start.tag);
        int r = check_tag(c, tag, &node->mark);

        node->kind = map ? NODE_MAP : NODE_SEQ;
        node->tag = tag_of(tag);
        if (r < 0)
                return r;
        if (++c->depth > YAML_DEPTH_MAX)
                return refuse(c, &node->mark, "nested deeper than %d levels", YAML_DEPTH_MAX);
        r = map ? compose_mapping(c, node) : compose_sequence(c, node);
        c->depth--;
        return r;
}

static int compose_node(struct composer *c, const yaml_event_t *event, struct node **ret)
{
        struct mark mark = mark_of(c, &event->start_mark);
        const yaml_char_t *anchor = NULL;
        struct node *node;
        int r;

        if (event->type == YAML_ALIAS_EVENT)
                return compose_alias(c, event, ret);
        if (++c->nodes > YAML_NODES_MAX)
                return refuse(c, &mark, "more than %d values in one file", YAML_NODES_MAX);
        node = node_new(c->arena, NODE_NULL, &mark);
        if (event->type == YAML_SCALAR_EVENT) {
                anchor = event->data.scalar.anchor;
                r = compose_scalar(c, event, node);
        } else {
                anchor = event->type == YAML_MAPPING_START_EVENT
                                 ? event->data.mapping_start.anchor
                                 : event->data.sequence_start.anchor;
                r = compose_collection(c, event, node);
        }
        if (r < 0)
                return r;
        *ret = node;
        return add_anchor(c, (const char *)anchor, node);
}

/* The next document; 1 at the end of the text. NULL: an empty one. */
static int compose_document(struct composer *c, struct node **ret)
{
        struct node *node = NULL;
        bool root = false;
        yaml_event_t event;
        int r;

        *ret = NULL;
        for (;;) {
                r = next_event(c, &event);
                if (r < 0)
                        return r;
                root = event.type == YAML_SCALAR_EVENT || event.type == YAML_ALIAS_EVENT ||
                       event.type == YAML_SEQUENCE_START_EVENT ||
                       event.type == YAML_MAPPING_START_EVENT;
                if (root)
                        r = compose_node(c, &event, &node);
                else if (event.type == YAML_STREAM_END_EVENT)
                        r = 1;
                yaml_event_delete(&event);
                if (r != 0 || root)
                        break;
        }
        if (r == 0 && node->kind != NODE_NULL)
                *ret = node;
        c->anchors_len = 0; /* anchors end with their document; the array's size follows its len */
        free(STEAL(c->anchors));
        return r;
}

int yaml_read(struct arena *arena, const char *file, const char *text, size_t len,
              struct diags *diags, struct yaml_docs *ret)
{
        struct composer c = {.arena = arena, .file = file, .diags = diags};
        struct node *doc = NULL;
        int r;

        *ret = (struct yaml_docs){0};
        if (!yaml_parser_initialize(&c.parser))
                bug("yaml_parser_initialize");
        yaml_parser_set_input_string(&c.parser, (const unsigned char *)text, len);
        while ((r = compose_document(&c, &doc)) == 0) {
                struct node **slot;

                if (!doc)
                        continue;
                slot = arena_push(arena, (void **)&ret->items, &ret->len, sizeof(*slot));
                *slot = doc;
        }
        yaml_parser_delete(&c.parser);
        free(c.anchors);
        return r < 0 ? r : 0;
}

struct writer {
        yaml_emitter_t emitter;
        struct strbuf out;
};

static int on_write(void *arg, unsigned char *data, size_t n)
{
        struct writer *w = arg;

        strbuf_add(&w->out, data, n);
        return !strbuf_failed(&w->out);
}

static void emit(struct writer *w, yaml_event_t *event, int made)
{
        if (!made || !yaml_emitter_emit(&w->emitter, event))
                bug("yaml emitter");
}

/* Words that YAML 1.1 readers take for something else. */
static bool looks_typed(const char *text)
{
        static const char *const words[] = {"yes", "no", "on", "off", "y", "n", "=", "<<"};
        struct node probe = {.text = text};

        node_resolve(&probe);
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcasecmp(words[i], text) == 0)
                        return true;
        return probe.kind != NODE_STRING || strspn(text, "0123456789:-.") == strlen(text);
}

static void emit_scalar(struct writer *w, const char *text, bool string)
{
        AUTO_STRBUF struct strbuf escaped = STRBUF_INIT(2 * YAML_SIZE_MAX);
        yaml_scalar_style_t style = YAML_ANY_SCALAR_STYLE;
        yaml_event_t event;

        for (const char *p = text; *p; p++) {
                if (*p == '$')
                        strbuf_addc(&escaped, '$'); /* $ begins a variable when it is read back */
                strbuf_addc(&escaped, *p);
        }
        if (string && looks_typed(text))
                style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
        else if (string && strchr(text, '\n'))
                style = YAML_LITERAL_SCALAR_STYLE;
        emit(w, &event,
             yaml_scalar_event_initialize(&event, NULL, NULL,
                                          (const unsigned char *)strbuf_str(&escaped),
                                          (int)escaped.len, 1, 1, style));
}

static void emit_key(struct writer *w, const char *key)
{
        yaml_event_t event;

        emit(w, &event,
             yaml_scalar_event_initialize(
                     &event, NULL, NULL, (const unsigned char *)key, (int)strlen(key), 1, 1,
                     looks_typed(key) ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE));
}

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void emit_value(struct writer *w, const json_t *json);

static void emit_object(struct writer *w, const json_t *json)
{
        size_t n = json_object_size(json), i = 0;
        AUTO_FREE const char **keys = xcalloc(n, sizeof(*keys));
        yaml_event_t event;
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)(uintptr_t)json, key, value)
                keys[i++] = key;
        qsort(keys, n, sizeof(*keys), compare_keys);
        emit(w, &event,
             yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                 n ? YAML_BLOCK_MAPPING_STYLE
                                                   : YAML_FLOW_MAPPING_STYLE));
        for (i = 0; i < n; i++) {
                emit_key(w, keys[i]);
                emit_value(w, json_object_get(json, keys[i]));
        }
        emit(w, &event, yaml_mapping_end_event_initialize(&event));
}

/* 0.3 rather than 0.29999999999999999, as long as it is the same number. */
static char *number_text(const json_t *json)
{
        AUTO_FREE char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

        double real = json_real_value(json), read = strtod(text, NULL);

        if (json_is_real(json) && (read < real || read > real))
                return json_dumps(json, JSON_ENCODE_ANY);
        return STEAL(text);
}

static void emit_value(struct writer *w, const json_t *json)
{
        AUTO_FREE char *text = NULL;
        yaml_event_t event;
        json_t *item;
        size_t i;

        if (json_is_object(json)) {
                emit_object(w, json);
        } else if (json_is_array(json)) {
                bool block = json_array_size(json) > 0;

                emit(w, &event,
                     yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                          block ? YAML_BLOCK_SEQUENCE_STYLE
                                                                : YAML_FLOW_SEQUENCE_STYLE));
                json_array_foreach(json, i, item)
                        emit_value(w, item);
                emit(w, &event, yaml_sequence_end_event_initialize(&event));
        } else if (json_is_string(json)) {
                emit_scalar(w, json_string_value(json), true);
        } else {
                text = number_text(json);
                emit_scalar(w, text ? text : "null", false);
        }
}

char *manifest_yaml(const json_t *json)
{
        struct writer w = {.out = STRBUF_INIT(4 * YAML_SIZE_MAX)};
        yaml_event_t event;

        if (!yaml_emitter_initialize(&w.emitter))
                bug("yaml_emitter_initialize");
        yaml_emitter_set_output(&w.emitter, on_write, &w);
        yaml_emitter_set_unicode(&w.emitter, 1);
        yaml_emitter_set_width(&w.emitter, -1);
        emit(&w, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
        emit(&w, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
        emit_value(&w, json);
        emit(&w, &event, yaml_document_end_event_initialize(&event, 1));
        emit(&w, &event, yaml_stream_end_event_initialize(&event));
        yaml_emitter_delete(&w.emitter);
        return strbuf_take(&w.out);
}
