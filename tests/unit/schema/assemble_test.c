/* SPDX-License-Identifier: Apache-2.0 */
/* include and extends: what comes out, whose folder and variables count, cycles, missing things. */
#include "tests/unit/schema/fixture.h"

/* The canonical services of a text, or the findings. */
static char *loaded(const char *yaml)
{
        AUTO(stack) struct stack *stack = NULL;
        AUTO_FREE char *printed = NULL;
        AUTO_FREE char *cwd = getcwd(NULL, 0);
        AUTO_JSON json_t *json = NULL;
        char *text, *at;

        if (fixture_load(yaml, &stack, &printed) < 0)
                return STEAL(printed);
        json = stack_to_json(stack);
        (void)json_object_del(json, "name");
        text = json_text(json);
        while ((at = strstr(text, cwd))) { /* the folder's name is another one each time */
                memmove(at + 1, at + strlen(cwd), strlen(at + strlen(cwd)) + 1);
                *at = '.';
        }
        return text;
}

static void check(const char *name, const char *yaml, const char *expected)
{
        AUTO_FREE char *got = loaded(yaml);

        is_str(got, expected, "%s", name);
}

#define DEFAULT_NET "\"networks\":{\"default\":{}}"

static void test_extends(void)
{
        check("a service of this file",
              "services:\n  base: {image: a, command: [x], environment: {A: '1', B: '2'}, "
              "ports: ['80']}\n"
              "  web: {extends: base, image: b, environment: [B=3], ports: ['81']}\n",
              "{" DEFAULT_NET ",\"services\":{\"base\":{\"command\":[\"x\"],\"environment\":"
              "{\"A\":\"1\",\"B\":\"2\"},\"image\":\"a\"," DEFAULT_NET
              ",\"ports\":[{\"target\":80}]},\"web\":{\"command\":[\"x\"],\"environment\":"
              "{\"A\":\"1\",\"B\":\"3\"},\"image\":\"b\"," DEFAULT_NET
              ",\"ports\":[{\"target\":80},{\"target\":81}]}}}");
        fixture_write("sub/base.yaml",
                      "services:\n  base: {extends: deep, volumes: ['./data:/data']}\n"
                      "  deep: {image: \"a:${TAG:-1}\"}\n");
        check("a service of another file, which extends one there",
              "services:\n  web: {extends: {file: sub/base.yaml, service: base}}\n",
              "{" DEFAULT_NET ",\"services\":{\"web\":{\"image\":\"a:1\"," DEFAULT_NET
              ",\"volumes\":[{\"source\":\"./sub/data\",\"target\":\"/data\",\"type\":\"bind\"}]"
              "}}}");
        check("a base below the one that extends it, with !reset",
              "services:\n  b: {extends: c, tty: !reset null}\n  c: {image: a, tty: true, init: "
              "true}\n",
              "{" DEFAULT_NET ",\"services\":{\"b\":{\"image\":\"a\",\"init\":true," DEFAULT_NET
              "},\"c\":{\"image\":\"a\",\"init\":true," DEFAULT_NET ",\"tty\":true}}}");
        check("a cycle", "services:\n  a: {extends: b}\n  b: {extends: c}\n  c: {extends: a}\n",
              "stack.yaml:2:16: error: services.a.extends: the services extend each other: a -> b "
              "-> c -> a; remove one of these extends\n");
        check("a missing service", "services:\n  web: {image: a}\n  b: {extends: wbe}\n",
              "stack.yaml:3:16: error: services.b.extends: service 'wbe' does not exist in this "
              "file; did you mean 'web'?\n");
}

static void test_include(void)
{
        fixture_write("db/.env", "TAG=7\nSET=not used\n");
        fixture_write("db/compose.yaml",
                      "name: other\nx-own: 1\n"
                      "services:\n  db: {image: \"db:${TAG}-${SET}\", volumes: ['./d:/d', "
                      "'v:/v'], networks: [back]}\n"
                      "volumes: {v: {}}\nnetworks: {back: {}}\n");
        check("a project of its own", "include: [db/compose.yaml]\n",
              "{\"networks\":{\"back\":{}},\"services\":{\"db\":{\"image\":\"db:7-value\","
              "\"networks\":{\"back\":{}},\"volumes\":[{\"source\":\"./db/d\",\"target\":\"/d\","
              "\"type\":\"bind\"},{\"source\":\"v\",\"target\":\"/v\",\"type\":\"volume\"}]}},"
              "\"volumes\":{\"v\":{}}}");
        fixture_write("more.env", "TAG=8\n");
        fixture_write("db/over.yaml", "services: {db: {tty: true, volumes: !reset null}}\n");
        check("the long form, and what goes over it here",
              "include:\n  - path: [db/compose.yaml, db/over.yaml]\n    env_file: more.env\n"
              "    project_directory: other\n"
              "services: {db: {init: true}, web: {image: w, depends_on: [db]}}\n",
              "{\"networks\":{\"back\":{},"
              "\"default\":{}},\"services\":{\"db\":{\"image\":"
              "\"db:8-value\",\"init\":true,\"networks\":{\"back\":{}},\"tty\":true},\"web\":{"
              "\"depends_on\":{\"db\":{\"condition\":\"service_started\"}},\"image\":"
              "\"w\"," DEFAULT_NET "}},\"volumes\":{\"v\":{}}}");
        fixture_write("ring.yaml", "include: [stack.yaml]\n");
        check("a cycle", "include: [ring.yaml]\nservices: {a: {image: a}}\n",
              "ring.yaml:1:11: error: include[0]: stack.yaml includes itself, directly or through "
              "others; remove one of these includes\n");
        fixture_write("broken.yaml", "services: {b: {image: a, prots: []}}\n");
        check("findings in it", "include: [broken.yaml]\nservices: {a: {image: a, tyt: true}}\n",
              "stack.yaml:2:26: error: services.a.tyt: unknown key; did you mean 'tty'?\n"
              "broken.yaml:1:26: error: services.b.prots: unknown key; did you mean 'ports'?\n");
        check("the same one twice", "include: [db/compose.yaml, db/compose.yaml]\n",
              "{\"networks\":{\"back\":{}},\"services\":{\"db\":{\"image\":\"db:7-value\","
              "\"networks\":{\"back\":{}},\"volumes\":[{\"source\":\"./db/d\",\"target\":\"/d\","
              "\"type\":\"bind\"},{\"source\":\"v\",\"target\":\"/v\",\"type\":\"volume\"}]}},"
              "\"volumes\":{\"v\":{}}}");
}

static int load_with(const struct load_options *options, size_t *services)
{
        AUTO(stack) struct stack *stack = NULL;
        struct diags diags = {0};
        int r = manifest_load(options, &stack, &diags, NULL);

        *services = stack ? stack->services_len : 0;
        diags_release(&diags);
        return r;
}

static void test_options(void)
{
        const char *const files[] = {"stack.yaml"};
        const char *const profiles[] = {"debug", "test"};
        const char *const ours[] = {"BERTH_PROFILES=debug", "COMPOSE_PROFILES=test", NULL};
        struct load_options options = {.files = files, .file_count = 1};
        size_t n = 0;

        fixture_write(
                "stack.yaml",
                "services:\n  a: {image: a}\n  b: {image: a, cpuset: '0', profiles: [debug]}\n"
                "  c: {image: a, profiles: [test]}\n  d: {image: a, cpuset: '0', profiles: "
                "[other], volumes: [/proc:/p], devices: [/dev/x]}\n");
        ok(load_with(&options, &n) == 0 && n == 1, "no profiles");
        options.environ = ours;
        ok(load_with(&options, &n) == 0 && n == 2, "BERTH_PROFILES goes above");
        options.profiles = profiles;
        options.profile_count = 2;
        ok(load_with(&options, &n) == 0 && n == 3, "--profile is added");
        options.strict = true;
        ok(load_with(&options, &n) == -EINVAL, "--strict: a warning is an error");
}

static void test_show(void)
{
        AUTO(stack) struct stack *stack = NULL;
        const struct load_options options = {.files = (const char *const[]){"stack.yaml"},
                                             .file_count = 1};
        struct diags diags = {0};
        AUTO_JSON json_t *json = NULL;
        AUTO_FREE char *shown = NULL;
        AUTO_FREE char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&shown, &n);

        fixture_write("stack.yaml", "services:\n  web:\n    image: a\n    # é\n    tyt: true\n"
                                    "    cpuset: '0'\n");
        (void)manifest_load(&options, &stack, &diags, NULL); /* its findings are looked at */
        diags_show(&diags, f);
        (void)fclose(f); /* a memstream */
        is_str(shown,
               "stack.yaml:5:5: error: services.web.tyt: unknown key; did you mean 'tty'?\n"
               "     5 |     tyt: true\n       |     ^\n"
               "stack.yaml:6:5: warning: services.web.cpuset: ignored: VMs are not pinned to "
               "processors; use cpus\n"
               "     6 |     cpuset: '0'\n       |     ^\n",
               "lines and carets");
        json = diags_to_json(&diags);
        text = json_text(json);
        is_str(text,
               "[{\"code\":\"unknown-key\",\"column\":5,\"file\":\"stack.yaml\",\"line\":5,"
               "\"message\":\"unknown key; did you mean 'tty'?\",\"path\":\"services.web.tyt\","
               "\"severity\":\"error\"},{\"code\":\"ignored-key\",\"column\":5,\"file\":"
               "\"stack.yaml\",\"line\":6,\"message\":\"ignored: VMs are not pinned to processors; "
               "use cpus\",\"path\":\"services.web.cpuset\",\"severity\":\"warning\"}]",
               "as JSON");
        diags_release(&diags);
}

int main(void)
{
        fixture_enter();
        if (file_mkdir_p("sub", 0755, NULL) < 0 || file_mkdir_p("db", 0755, NULL) < 0)
                return 99;
        test_extends();
        test_include();
        test_options();
        test_show();
        return tap_done();
}
