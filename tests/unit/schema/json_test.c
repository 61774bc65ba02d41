/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical JSON as the API gets it: hostile. And what people are shown of it. */
#include "base/clock.h"
#include "tests/unit/schema/fixture.h"

#define SERVICE(keys) "{'name':'s','services':{'web':{'image':'a'," keys "}}}"

static const struct {
        const char *name, *json, *message;
} refused[] = {
        {"no name", "{'services':{}}", "name: 'name' is missing (1 error)"},
        {"a bad name", "{'name':'../x','services':{}}",
         "name: '../x' is not a stack name; use a-z, 0-9, _ and -, a letter or digit first, at "
         "most "
         "63 (1 error)"},
        {"a name of another type", "{'name':5}",
         "name: must be a string, not a number; write \"5\" in quotes (1 error)"},
        {"a path as service name", "{'name':'s','services':{'../x':{'image':'a'}}}",
         "services.../x: '../x' is not a name; use letters, digits, _ . and -, a letter, digit or "
         "_ "
         "first, at most 63 (1 error)"},
        {"a path as volume name", "{'name':'s','volumes':{'..':{}}}",
         "volumes...: '..' is not a name; use letters, digits, _ . and -, a letter or digit first, "
         "at most 128 (1 error)"},
        {"a path as real name", "{'name':'s','volumes':{'v':{'name':'../../x'}}}",
         "volumes.v.name: '../../x' is not a name; use letters, digits, _ . and -, a letter or "
         "digit first, at most 128 (1 error)"},
        {"an unknown key", SERVICE("'prots':[]"),
         "services.web.prots: unknown key; did you mean 'ports'? (1 error)"},
        {"a relative bind", SERVICE("'volumes':['./x:/x']"),
         "services.web.volumes[0]: './x' is not an absolute path (1 error)"},
        {"a bind below HOME", SERVICE("'volumes':['~/x:/x']"),
         "services.web.volumes[0]: '~/x' is not an absolute path (1 error)"},
        {"a file of the daemon's as env_file", SERVICE("'env_file':'/etc/shadow'"),
         "services.web.env_file: files are read by the command line, not from JSON (1 error)"},
        {"a file of the daemon's as secret", "{'name':'s','secrets':{'x':{'file':'/etc/shadow'}}}",
         "secrets.x.file: files are read by the command line, not from JSON (2 errors)"},
        {"a variable of the daemon's", "{'name':'s','secrets':{'x':{'environment':'HOME'}}}",
         "secrets.x.environment: variable HOME is not set; set it in the environment or in .env (1 "
         "error)"},
        {"bad base64", "{'name':'s','configs':{'x':{'x-berth':{'content_base64':'a'}}}}",
         "configs.x.x-berth.content_base64: is not base64, or too long (1 error)"},
        {"no content", "{'name':'s','configs':{'x':{}}}",
         "configs.x: has no content; add file, environment or content (1 error)"},
        {"a list for a map", "{'name':'s','services':[]}",
         "services: must be a map, not a list; write NAME: instead of - NAME (1 error)"},
        {"null for a service", "{'name':'s','services':{'web':null}}",
         "services.web: must be a map, not nothing; indent its keys below it (1 error)"},
        {"a port out of range", SERVICE("'ports':[{'target':65536}]"),
         "services.web.ports[0].target: 65536 is not a port; ports are 1..65535 (1 error)"},
        {"a network that is not declared", SERVICE("'networks':{'x':{}}"),
         "services.web.networks.x: network 'x' is not declared; add it to 'networks' at the top "
         "level (1 error)"},
};

static char *unquote(const char *text)
{
        char *copy = xstrdup(text);

        for (char *p = copy; *p; p++)
                if (*p == '\'')
                        *p = '"';
        return copy;
}

static void test_refused(void)
{
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                AUTO_FREE char *text = unquote(refused[i].json);
                AUTO_JSON json_t *json = json_loads(text, 0, NULL);
                struct diags diags = {0};
                struct stack *stack = NULL;
                struct err err = ERR_INIT;

                is_int(stack_from_json(json, &stack, &diags, &err), -EINVAL, "%s", refused[i].name);
                is_str(err.msg, refused[i].message, "%s: message", refused[i].name);
                ok(!stack, "%s: no stack", refused[i].name);
                diags_release(&diags);
                stack_free(stack);
        }
}

static void test_other_types(void)
{
        AUTO_JSON json_t *json = json_array();
        struct diags diags = {0};
        struct stack *stack = NULL;

        is_int(stack_from_json(json, &stack, &diags, NULL), -EINVAL, "an array is no stack");
        is_int(stack_from_json(NULL, &stack, &diags, NULL), -EINVAL, "nor is nothing");
        diags_release(&diags);
}

/* Each value of a full manifest, replaced by each other type, is refused or read: never worse. */
static const char full[] =
        "{'name':'s','services':{'web':{'image':'a','command':['x'],'environment':{'A':'1'},"
        "'ports':[{'target':80,'published':'80','host_ip':'127.0.0.1','protocol':'udp'}],"
        "'volumes':[{'type':'volume','source':'v','target':'/d','volume':{'subpath':'x'}},"
        "{'type':'bind','source':'/x','target':'/e','bind':{'create_host_path':false}},"
        "{'type':'tmpfs','target':'/t','tmpfs':{'size':1,'mode':'1777'}}],"
        "'configs':[{'source':'c','target':'/c','mode':'0440','uid':'1','gid':'2'}],"
        "'secrets':[{'source':'k','target':'/run/secrets/k'}],"
        "'networks':{'n':{'aliases':['w'],'ipv4_address':'10.1.2.9'}},"
        "'depends_on':{'db':{'condition':'service_healthy','required':true,'restart':true}},"
        "'healthcheck':{'test':['CMD','x'],'interval':'5s','retries':2},"
        "'ulimits':{'nofile':{'soft':1,'hard':2}},'extra_hosts':['a=1.2.3.4'],'cpus':0.5,"
        "'mem_limit':67108864,'scale':1,'restart':'on-failure:3','x-berth':{'memory':67108864,"
        "'cpus':1,'isolation':'required'},'sysctls':{'a':'b'},'deploy':{'replicas':1,'resources':"
        "{'limits':{'cpus':0.5}},'restart_policy':{'condition':'any'}},'links':['db:x']},"
        "'db':{'image':'b','networks':{'n':{}}}},'networks':{'n':{'internal':true,'ipam':{'config':"
        "[{'subnet':'10.1.2.0/24'}]},'labels':{'a':'b'}}},'volumes':{'v':{'name':'w','external':"
        "true,'x-berth':{'size':1073741824}}},'configs':{'c':{'content':'x'}},"
        "'secrets':{'k':{'x-berth':{'content_base64':'AA=='}}}}";

static void try_json(const json_t *json, size_t *accepted, size_t *errors)
{
        struct diags diags = {0};
        struct stack *stack = NULL;

        if (stack_from_json(json, &stack, &diags, NULL) == 0) {
                json_decref(stack_to_json(stack));
                (*accepted)++;
        } else {
                (*errors)++;
        }
        stack_free(stack);
        diags_release(&diags);
}

static void mutate(const json_t *root, json_t *json, size_t *accepted, size_t *errors)
{
        static const char *const values[] = {
                "null", "true",   "-1",    "1.5", "99999999999999", "\"\"",       "\"x\"", "[]",
                "[{}]", "[null]", "[[1]]", "{}",  "{\"x\":{}}",     "{\"\":null}"};

        for (size_t i = 0; i < json_array_size(json) + json_object_size(json); i++) {
                void *iter = json_is_object(json) ? json_object_iter(json) : NULL;

                for (size_t k = 0; k < i && iter; k++)
                        iter = json_object_iter_next(json, iter);

                json_t *old =
                        json_incref(iter ? json_object_iter_value(iter) : json_array_get(json, i));

                mutate(root, old, accepted, errors);
                for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
                        json_t *value = json_loads(values[v], JSON_DECODE_ANY, NULL);

                        if (iter)
                                (void)json_object_iter_set_new(json, iter, value);
                        else
                                (void)json_array_set_new(json, i, value);
                        try_json(root, accepted, errors);
                }
                if (iter)
                        (void)json_object_iter_set_new(json, iter, old);
                else
                        (void)json_array_set_new(json, i, old);
        }
}

static void test_mutations(void)
{
        AUTO_FREE char *text = unquote(full);
        AUTO_JSON json_t *json = json_loads(text, 0, NULL);
        size_t accepted = 0, errors = 0;

        try_json(json, &accepted, &errors);
        is_int(accepted, 1, "the full manifest is fine");
        mutate(json, json, &accepted, &errors);
        ok(accepted > 100 && errors > 500, "%zu changed ones are read, %zu are refused", accepted,
           errors);
}

static void test_mask(void)
{
        AUTO_JSON json_t *json = json_loads("{\"secrets\":{\"a\":{\"content\":\"x\"},\"b\":{"
                                            "\"x-berth\":{\"content_base64\":\"AA==\"}}}}",
                                            0, NULL);
        AUTO_FREE char *text = NULL;

        stack_json_mask(json);
        text = json_text(json);
        is_str(text, "{\"secrets\":{\"a\":{\"content\":\"***\"},\"b\":{\"content\":\"***\"}}}",
               "contents of secrets are masked");
}

static void test_yaml(void)
{
        static const struct {
                const char *json, *yaml;
        } cases[] = {
                {"{'a':'x','b':1,'c':1.5,'d':true,'e':[],'f':{}}",
                 "a: x\nb: 1\nc: 1.5\nd: true\ne: []\nf: {}\n"},
                {"{'a':'1','b':'true','c':'no','d':'','e':'22:22','f':'null','g':'0x1'}",
                 "a: \"1\"\nb: \"true\"\nc: \"no\"\nd: \"\"\ne: \"22:22\"\nf: \"null\"\ng: "
                 "\"0x1\"\n"},
                {"{'a':'$x','b':'two\\nlines\\n','c':'# no comment','y':'- x','k: v':1}",
                 "a: $$x\nb: |\n  two\n  lines\nc: '# no comment'\n'k: v': 1\n\"y\": '- x'\n"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *source = NULL;
                AUTO_JSON json_t *json = NULL;
                AUTO_FREE char *yaml = NULL;

                source = unquote(cases[i].json);
                json = json_loads(source, 0, NULL);
                yaml = manifest_yaml(json);
                if (i == 2) { /* its texts have quotes of their own */
                        is_str(yaml, cases[i].yaml, "YAML of %s", cases[i].json);
                        continue;
                }
                is_str(yaml, cases[i].yaml, "YAML of %s", cases[i].json);
        }
}

/* 10,000 services: the target is well under 2 s; the bound leaves room for sanitizers. */
static void test_speed(void)
{
        AUTO_FREE char *yaml = NULL, *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;
        size_t n = 0;
        int64_t start;
        FILE *f = open_memstream(&yaml, &n);

        (void)fputs("services:\n", f);
        for (int i = 0; i < STACK_SERVICES_MAX; i++)
                (void)fprintf(f,
                              "  s%d:\n    image: team/app:1\n    command: [a, b, '%d']\n"
                              "    environment: {A: '1', B: \"${SET}\", C: x}\n"
                              "    ports: ['%d:80']\n    volumes: ['v:/v:ro']\n"
                              "    healthcheck: {test: [CMD, x], interval: 5s}\n"
                              "    depends_on: [s%d]\n",
                              i, i, 1000 + i, i ? i - 1 : 1);
        (void)fputs("volumes: {v: }\n", f);
        (void)fclose(f);
        start = clock_mono_ms();
        is_int(fixture_load(yaml, &stack, &printed), -EINVAL, "10,000 services");
        ok(clock_mono_ms() - start < 5000, "took %lld ms", (long long)(clock_mono_ms() - start));
        has_str(printed, "the services wait for each other: s0 -> s1 -> s0", "and one cycle");
}

int main(void)
{
        fixture_enter();
        test_refused();
        test_other_types();
        test_mutations();
        test_mask();
        test_yaml();
        test_speed();
        return tap_done();
}
