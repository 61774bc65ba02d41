/* SPDX-License-Identifier: Apache-2.0 */
/* Several files: what the later one does to the earlier one, key by key. */
#include "schema/load.h"
#include "tests/unit/schema/fixture.h"

/* base, over: keys of the service web; json: its canonical form without networks. */
static const struct {
        const char *name, *base, *over, *json;
} cases[] = {
        {"scalars are replaced", "{image: a, hostname: h}", "{image: b}",
         "{'hostname':'h','image':'b'}"},
        {"nothing keeps", "{image: a, hostname: h}", "{image: , hostname: ~}",
         "{'hostname':'h','image':'a'}"},
        {"command is replaced", "{image: a, command: [a, b]}", "{command: c}",
         "{'command':['c'],'image':'a'}"},
        {"environment merges", "{image: a, environment: {A: 1, B: 2}}", "{environment: [B=3, C=4]}",
         "{'environment':{'A':'1','B':'3','C':'4'},'image':'a'}"},
        {"labels merge", "{image: a, labels: [x, y=1]}", "{labels: {y: 2}}",
         "{'image':'a','labels':{'x':'','y':'2'}}"},
        {"ports are unique", "{image: a, ports: ['8080:80', '81']}",
         "{ports: ['8080:80/tcp', '82:82', {target: 81}]}",
         "{'image':'a','ports':[{'published':'8080','target':80},{'target':81},{'published':'82',"
         "'target':82}]}"},
        {"volumes by target", "{image: a, volumes: ['/a:/x', '/b:/y']}",
         "{volumes: ['/c:/x:ro', {type: tmpfs, target: /z}]}",
         "{'image':'a','volumes':[{'read_only':true,'source':'/c','target':'/x','type':'bind'},{"
         "'source':'/b','target':'/y','type':'bind'},{'target':'/z','type':'tmpfs'}]}"},
        {"dns as set", "{image: a, dns: 1.1.1.1}", "{dns: [1.1.1.1, 2.2.2.2]}",
         "{'dns':['1.1.1.1','2.2.2.2'],'image':'a'}"},
        {"depends_on by name", "{image: a, depends_on: [b, c]}",
         "{depends_on: {b: {condition: service_healthy}}}",
         "{'depends_on':{'b':{'condition':'service_healthy'},'c':{'condition':'service_started'}},"
         "'image':'a'}"},
        {"healthcheck merges, its test is replaced",
         "{image: a, healthcheck: {test: [CMD, a], interval: 5s}}",
         "{healthcheck: {test: [CMD, b], retries: 2}}",
         "{'healthcheck':{'interval':'5s','retries':2,'test':['CMD','b']},'image':'a'}"},
        {"deploy merges", "{image: a, deploy: {replicas: 2, resources: {limits: {cpus: 1}}}}",
         "{deploy: {resources: {limits: {memory: 64m}}}}",
         "{'cpus':1.0,'image':'a','mem_limit':67108864,'scale':2}"},
        {"reset", "{image: a, ports: ['1:1'], environment: {A: 1, B: 2}}",
         "{ports: !reset [], environment: {A: !reset null}}",
         "{'environment':{'B':'2'},'image':'a'}"},
        {"override", "{image: a, ports: ['1:1'], environment: {A: 1}}",
         "{ports: !override ['2:2'], environment: !override {B: 2}}",
         "{'environment':{'B':'2'},'image':'a','ports':[{'published':'2','target':2}]}"},
        {"x-berth merges", "{image: a, x-berth: {memory: 64m}}", "{x-berth: {cpus: 2}}",
         "{'image':'a','x-berth':{'cpus':2,'memory':67108864}}"},
};

static char *unquote(const char *text)
{
        char *copy = xstrdup(text);

        for (char *p = copy; *p; p++)
                if (*p == '\'')
                        *p = '"';
        return copy;
}

static void write_web(const char *file, const char *keys, const char *rest)
{
        AUTO_FREE char *text = xasprintf("services:\n  web: %s\n%s", keys, rest);

        fixture_write(file, text);
}

static void test_services(void)
{
        static const char *const files[] = {"a.yaml", "b.yaml"};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *expected = unquote(cases[i].json);
                AUTO_FREE char *printed = NULL;
                AUTO(stack) struct stack *stack = NULL;

                write_web(files[0], cases[i].base, "  b: {image: x}\n  c: {image: x}\n");
                write_web(files[1], cases[i].over, "");
                if (!ok(fixture_load_files(files, 2, &stack, &printed) == 0, "%s: loads",
                        cases[i].name)) {
                        printf("# %s", printed);
                        continue;
                }
                AUTO_JSON json_t *json = service_to_json(stack_find_service(stack, "web"));
                AUTO_FREE char *text = NULL;

                (void)json_object_del(json, "networks");
                text = json_text(json);
                is_str(text, expected, "%s", cases[i].name);
        }
}

static void test_sections(void)
{
        static const char *const files[] = {"a.yaml", "b.yaml"};
        AUTO_FREE char *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;

        fixture_write("a.yaml",
                      "name: first\nservices: {a: {image: x, volumes: ['./d:/d']}, gone: "
                      "{image: y}}\nvolumes: {v: }\n---\nservices: {second: {image: z}}\n");
        (void)file_mkdir_p("sub", 0755, NULL);
        fixture_write("b.yaml",
                      "name: last\nservices: {b: {image: x}, gone: !reset null}\nvolumes: "
                      "{v: {x-berth: {size: 1g}}}\nnetworks: {n: }\n");
        is_int(fixture_load_files(files, 2, &stack, &printed), 0, "sections merge");
        is_str(printed, "", "without findings");
        if (!stack)
                return;
        is_str(stack->name, "last", "the last name counts");
        is_int(stack->services_len, 3, "services of all files and documents");
        ok(!stack_find_service(stack, "gone"), "one was reset");
        ok(stack_find_service(stack, "second"), "one comes from a second document");
        is_int(stack_find_volume(stack, "v")->size_bytes, 1 << 30, "an empty volume is filled in");
        is_str(stack_find_service(stack, "b")->place.file, "b.yaml", "places name the file");
}

static void test_findings(void)
{
        static const char *const files[] = {"a.yaml", "b.yaml"};
        AUTO_FREE char *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;

        fixture_write("a.yaml", "services: {a: {image: x, colour: red}}\n");
        fixture_write("b.yaml", "services: {a: {healthcheck: 5}}\nvolumes: {v: }\nfoo: 1\n");
        is_int(fixture_load_files(files, 2, &stack, &printed), -EINVAL, "findings of all files");
        is_str(printed,
               "a.yaml:1:26: error: services.a.colour: unknown key; keys of your own must begin "
               "with "
               "x-\n"
               "b.yaml:1:29: error: services.a.healthcheck: must be a map with keys such as "
               "'test', not a number\n"
               "b.yaml:3:1: error: foo: unknown key; keys of your own must begin with x-\n",
               "in the order of the files");
        free(STEAL(printed));
        fixture_write("a.yaml", "services: {a: {image: x, healthcheck: {retries: 1}}}\n");
        is_int(fixture_load_files(files, 2, &stack, &printed), -EINVAL, "a mismatch");
        has_str(printed,
                "b.yaml:1:29: error: services.a.healthcheck: cannot go over a map of a.yaml, line "
                "1: this is a number\n",
                "names both places");
        free(STEAL(printed));
        fixture_write("a.yaml", "a: [\n");
        fixture_write("b.yaml", "b: ]\n");
        is_int(fixture_load_files(files, 2, &stack, &printed), -EINVAL, "broken files");
        has_str(printed, "a.yaml:2:1: error: ", "the first is told");
        has_str(printed, "b.yaml:1:4: error: ", "and the second");
}

int main(void)
{
        fixture_enter();
        test_services();
        test_sections();
        test_findings();
        return tap_done();
}
