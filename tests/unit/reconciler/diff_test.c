/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "reconciler/diff.h"
#include "schema/draft.h"
#include "tests/scenario/world.h"
#include "tests/tap.h"

/* A stack from lines separated by `|`: "web env=A:1|network front internal|secret key:one". */
static struct stack *make(struct world *world, const char *text)
{
        struct stack *stack = world_stack(world, "shop");
        AUTO_FREE char *copy = xstrdup(text);
        char *save_line = NULL;

        for (char *line = strtok_r(copy, "|", &save_line); line;
             line = strtok_r(NULL, "|", &save_line)) {
                char *words[16], *save = NULL;
                size_t n = 0;

                for (char *w = strtok_r(line, " ", &save); w && n < 16;
                     w = strtok_r(NULL, " ", &save))
                        words[n++] = w;
                if (streq(words[0], "network"))
                        world_network(stack, words + 1, n - 1);
                else if (streq(words[0], "secret") || streq(words[0], "config"))
                        world_source(stack, streq(words[0], "secret"), words[1]);
                else
                        (void)world_service(stack, words, n);
        }
        return stack;
}

/* One line a field, or one a change without fields. */
static char *text_of(const struct changes *changes)
{
        AUTO_STRBUF struct strbuf sb = STRBUF_INIT(10000);

        for (size_t i = 0; i < changes->len; i++) {
                const struct change *c = &changes->items[i];

                strbuf_addf(&sb, "%s %s %s\n", change_kind_name(c->kind), c->what, c->name);
                for (size_t j = 0; j < c->fields_len; j++)
                        strbuf_addf(&sb, "  %s: %s -> %s %s\n", c->fields[j].path,
                                    c->fields[j].before ? c->fields[j].before : "",
                                    c->fields[j].after ? c->fields[j].after : "",
                                    change_effect_name(c->fields[j].effect));
        }
        return strbuf_take(&sb);
}

static void differ(const char *before, const char *after, const char *expected, const char *name)
{
        struct world a, b;
        struct changes changes;
        AUTO_FREE char *text = NULL;

        world_init(&a);
        world_init(&b);
        stack_diff(before ? make(&a, before) : NULL, after ? make(&b, after) : NULL, &changes);
        text = text_of(&changes);
        is_str(text, expected, "%s", name);
        changes_release(&changes);
        world_release(&a);
        world_release(&b);
}

static void test_kinds(void)
{
        differ("web env=A:1", "web env=A:1", "", "equal stacks do not differ");
        differ(NULL, NULL, "", "nor do two missing ones");
        differ(NULL, "web net=front", "create network front\ncreate service web\n", "all new");
        differ("web net=front", NULL, "remove network front\nremove service web\n", "all gone");
        differ("a|c", "b|c", "remove service a\ncreate service b\n", "one gone, one new");
        differ("web env=A:1 env=B:2", "web env=A:1 env=B:3",
               "replace service web\n  environment.B: \"2\" -> \"3\" replace\n", "one variable");
        differ("web", "web env=A:1", "replace service web\n  environment.A:  -> \"1\" replace\n",
               "the first variable is named, not the whole map");
        differ("web restart=always", "web replicas=2",
               "update service web\n  restart: \"always\" ->  update\n  scale:  -> 2 update\n",
               "in place");
        differ("web label=A:1", "web label=A:2",
               "update service web\n  labels.A: \"1\" -> \"2\" none\n", "labels: no effect");
        differ("web image=web:1 replicas=2", "web image=web:2 replicas=3",
               "replace service web\n  image: \"web:1\" -> \"web:2\" replace\n"
               "  scale: 2 -> 3 update\n",
               "the strongest effect decides");
        differ("network front|web net=front", "network front internal|web net=front",
               "replace network front\n  internal:  -> true replace\n", "a network is made anew");
}

static void test_secrets(void)
{
        differ("secret key:one|web secret=key", "secret key:two|web secret=key",
               "replace service web\n  secrets.key.content: (sensitive) -> (sensitive) replace\n",
               "the content of a secret is never shown");
        differ("config page:one|web config=page", "config page:two|web config=page",
               "replace service web\n  configs.page.content: \"one\" -> \"two\" replace\n",
               "that of a config is");
        differ("web env=DB_PASSWORD:one", "web env=DB_PASSWORD:two",
               "replace service web\n"
               "  environment.DB_PASSWORD: (sensitive) -> (sensitive) replace\n",
               "nor are variables that are called so");
}

static void test_restart(void)
{
        differ("db|app depends=db!|web depends=app!|other depends=db",
               "db env=A:1|app depends=db!|web depends=app!|other depends=db",
               "replace service app\n  depends_on.db: \"present\" -> \"replaced\" replace\n"
               "replace service db\n  environment.A:  -> \"1\" replace\n"
               "replace service web\n  depends_on.app: \"present\" -> \"replaced\" replace\n",
               "restart: true goes from service to service");
}

static void test_json(void)
{
        struct world a, b;
        struct changes changes;
        AUTO_JSON json_t *json = NULL;
        AUTO_FREE char *text = NULL;

        world_init(&a);
        world_init(&b);
        stack_diff(make(&a, "web env=A:1"), make(&b, "web env=A:2"), &changes);
        json = changes_to_json(&changes);
        text = json_text(json);
        is_str(text,
               "[{\"fields\":[{\"after\":\"\\\"2\\\"\",\"before\":\"\\\"1\\\"\","
               "\"effect\":\"replace\",\"path\":\"environment.A\"}],"
               "\"kind\":\"replace\",\"name\":\"web\",\"what\":\"service\"}]",
               "as JSON");
        changes_release(&changes);
        world_release(&a);
        world_release(&b);
}

static void test_effects(void)
{
        is_int(field_effect("environment"), EFFECT_REPLACE, "environment replaces");
        is_int(field_effect("never_heard_of"), EFFECT_REPLACE, "so does what nobody knows");
        is_int(field_effect("labels"), EFFECT_NONE, "labels do nothing");
        is_int(field_effect("labels.a.b"), EFFECT_NONE, "nor what is below");
        is_int(field_effect("labels2"), EFFECT_REPLACE, "a longer key is another key");
        is_int(field_effect("healthcheck.interval"), EFFECT_UPDATE, "healthcheck in place");
        is_int(field_effect("scale"), EFFECT_UPDATE, "replicas in place");
        is_int(field_effect("mem_limit"), EFFECT_REPLACE, "limits replace");
        is_int(field_effect("restart"), EFFECT_UPDATE, "restart in place");
        is_int(field_effect("ports[1].published"), EFFECT_UPDATE, "ports in place");
        is_int(field_effect("networks.front"), EFFECT_REPLACE, "a network replaces");
        is_int(field_effect("networks.front.aliases"), EFFECT_UPDATE, "its names do not");
        is_int(field_effect("x-berth.memory"), EFFECT_REPLACE, "the VM's memory replaces");
        is_int(field_effect("x-berth.restart.delay"), EFFECT_UPDATE, "delays in place");
        ok(field_is_divided("networks") && field_is_divided("networks.front") &&
                   field_is_divided("x-berth"),
           "some have members with rows");
        ok(!field_is_divided("environment") && !field_is_divided("networks.front.aliases") &&
                   !field_is_divided("healthcheck.test"),
           "most have not");
}

static bool has_row(const char *path)
{
        size_t len;
        const struct effect_row *rows = effect_rows(&len);

        for (size_t i = 0; i < len; i++)
                if (streq(rows[i].path, path))
                        return true;
        return false;
}

/* A field that canonical JSON never holds has no effect of its own. */
static bool is_canonical(const struct field *f)
{
        return f->use == FIELD_USED && !f->in_only;
}

static void test_effects_are_complete(void)
{
        for (const struct field *f = service_fields; f->name; f++) {
                bool divided = streq(f->name, "deploy") || streq(f->name, "x-berth");

                if (!is_canonical(f))
                        continue;
                ok(has_row(f->name), "%s has an effect", f->name);
                for (const struct field *m = f->arg; divided && m->name; m++) {
                        AUTO_FREE char *path = xasprintf("%s.%s", f->name, m->name);

                        if (is_canonical(m))
                                ok(has_row(path), "%s has an effect", path);
                }
        }
}

static const struct field *find_field(const struct field *table, const char *name, size_t n)
{
        for (const struct field *f = table; f->name; f++)
                if (strlen(f->name) == n && strncmp(f->name, name, n) == 0)
                        return f;
        return NULL;
}

static void test_rows_are_keys(void)
{
        size_t len;
        const struct effect_row *rows = effect_rows(&len);

        for (size_t i = 0; i < len; i++) {
                size_t n = strcspn(rows[i].path, ".");
                const struct field *f = find_field(service_fields, rows[i].path, n);

                ok(f && is_canonical(f) && *rows[i].why, "%s is a key, and has a reason",
                   rows[i].path);
                ok(i == 0 || strcmp(rows[i - 1].path, rows[i].path) < 0, "in order");
        }
}

/* What is documented is the table; UPDATE=1 writes it. */
static void test_docs(void)
{
        static const char begin[] = "<!-- effects: UPDATE=1 diff_test writes them -->\n",
                          end[] = "<!-- end of effects -->\n", file[] = "docs/reconciler.md";
        AUTO_STRBUF struct strbuf table = STRBUF_INIT(1 << 16);
        AUTO_FREE char *docs = NULL, *updated = NULL;
        const struct effect_row *rows;
        const char *from, *to;
        size_t len;

        strbuf_adds(&table, "| change of | effect | how |\n|---|---|---|\n");
        rows = effect_rows(&len);
        for (size_t i = 0; i < len; i++)
                strbuf_addf(&table, "| `%s` | %s | %s |\n", rows[i].path,
                            rows[i].effect == EFFECT_REPLACE  ? "a new VM"
                            : rows[i].effect == EFFECT_UPDATE ? "in place"
                                                              : "none",
                            rows[i].why);
        if (file_read(file, 1 << 20, &docs, NULL, NULL) < 0) {
                printf("# %s is not below this folder\n", file);
                return;
        }
        from = strstr(docs, begin);
        to = strstr(docs, end);
        if (!ok(from && to, "%s has the marks", file))
                return;
        from += strlen(begin);
        updated = xasprintf("%.*s%s%s", (int)(from - docs), docs, strbuf_str(&table), to);
        if (getenv("UPDATE"))
                ok(file_write_atomic(file, updated, strlen(updated), 0644, NULL) == 0, "written");
        else
                ok(streq(updated, docs), "%s has the table", file);
}

int main(void)
{
        test_kinds();
        test_secrets();
        test_restart();
        test_json();
        test_effects();
        test_effects_are_complete();
        test_rows_are_keys();
        test_docs();
        return tap_done();
}
