/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/instructions.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"

#define LIST_TEXT_MAX 65536

/* value: after the word and blanks, not empty. */
struct instruction {
        const char *word, *key;
        int (*apply)(json_t *config, const char *key, const char *value, struct err *err);
};

static void put(json_t *object, const char *key, json_t *value)
{
        if (!value || json_object_set_new(object, key, value) < 0)
                bug("out of memory, or a text that is not UTF-8");
}

static json_t *member(json_t *config, const char *key, json_t *(*make)(void))
{
        if (!json_object_get(config, key))
                put(config, key, make());
        return json_object_get(config, key);
}

static int apply_text(json_t *config, const char *key, const char *value, struct err *err)
{
        (void)err;
        put(config, key, json_string(value));
        return 0;
}

/* ["a", "b"]: *ret is new. */
static int parse_list(const char *value, json_t **ret, struct err *err)
{
        AUTO_JSON json_t *list = NULL;
        const json_t *item;
        size_t i;
        int r = json_parse(value, strlen(value), LIST_TEXT_MAX, "list", &list, err);

        if (r < 0)
                return r;
        json_array_foreach(list, i, item) {
                if (!json_is_string(item))
                        return err_set(err, EINVAL, "the list must be one of strings");
        }
        *ret = STEAL(list);
        return 0;
}

/* A list is run as it is, anything else by a shell. */
static int apply_command(json_t *config, const char *key, const char *value, struct err *err)
{
        json_t *list = NULL;

        if (*value == '[') {
                int r = parse_list(value, &list, err);

                if (r < 0)
                        return r;
        } else {
                list = json_pack("[s, s, s]", "/bin/sh", "-c", value);
        }
        put(config, key, list);
        return 0;
}

static int apply_env(json_t *config, const char *key, const char *value, struct err *err)
{
        json_t *list = member(config, key, json_array);
        const char *eq = strchr(value, '=');
        size_t i;
        const json_t *item;

        if (!eq || eq == value)
                return err_set(err, EINVAL, "KEY=VALUE is needed");
        json_array_foreach(list, i, item) {
                if (strncmp(json_string_value(item), value, (size_t)(eq - value) + 1) == 0)
                        return json_array_set_new(list, i, json_string(value));
        }
        if (json_array_append_new(list, json_string(value)) < 0)
                bug("out of memory, or a text that is not UTF-8");
        return 0;
}

static int apply_label(json_t *config, const char *key, const char *value, struct err *err)
{
        const char *eq = strchr(value, '=');
        AUTO_FREE char *name = NULL;

        if (!eq || eq == value)
                return err_set(err, EINVAL, "KEY=VALUE is needed");
        name = xstrndup(value, (size_t)(eq - value));
        put(member(config, key, json_object), name, json_string(eq + 1));
        return 0;
}

static int apply_port(json_t *config, const char *key, const char *value, struct err *err)
{
        char text[64];

        if (strlen(value) > 32)
                return err_set(err, EINVAL, "a port, or PORT/udp, is needed");
        (void)snprintf(text, sizeof(text), "%s%s", value, strchr(value, '/') ? "" : "/tcp");
        put(member(config, key, json_object), text, json_object());
        return 0;
}

static int apply_volumes(json_t *config, const char *key, const char *value, struct err *err)
{
        AUTO_JSON json_t *list = NULL;
        json_t *volumes = member(config, key, json_object);
        const json_t *item;
        size_t i;
        int r;

        if (*value != '[') {
                put(volumes, value, json_object());
                return 0;
        }
        r = parse_list(value, &list, err);
        if (r < 0)
                return r;
        json_array_foreach(list, i, item)
                put(volumes, json_string_value(item), json_object());
        return 0;
}

static const struct instruction known[] = {
        {"CMD", "Cmd", apply_command},
        {"ENTRYPOINT", "Entrypoint", apply_command},
        {"ENV", "Env", apply_env},
        {"EXPOSE", "ExposedPorts", apply_port},
        {"LABEL", "Labels", apply_label},
        {"STOPSIGNAL", "StopSignal", apply_text},
        {"USER", "User", apply_text},
        {"VOLUME", "Volumes", apply_volumes},
        {"WORKDIR", "WorkingDir", apply_text},
};

static int apply(json_t *config, const char *text, struct err *err)
{
        size_t n = strcspn(text, " \t=");
        const char *value = text + n + strspn(text + n, " \t=");

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (strlen(known[i].word) == n && strncasecmp(known[i].word, text, n) == 0)
                        return *value ? known[i].apply(config, known[i].key, value, err)
                                      : err_set(err, EINVAL, "a value is needed");
        return err_set(err, EINVAL,
                       "not one of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, "
                       "VOLUME, WORKDIR");
}

int instructions_config(const char *const *instructions, json_t **ret, struct err *err)
{
        AUTO_JSON json_t *config = *instructions ? json_object() : NULL;

        for (const char *const *text = instructions; *text; text++) {
                int r = apply(config, *text, err);

                if (r < 0)
                        return err_wrap(err, "-c '%.60s'", *text);
        }
        *ret = STEAL(config);
        return 0;
}
