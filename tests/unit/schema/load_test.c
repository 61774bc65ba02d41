/* SPDX-License-Identifier: Apache-2.0 */
/* What a manifest's service means: its canonical JSON, which also must come back the same. */
#include "schema/load.h"
#include "tests/unit/schema/fixture.h"

/* yaml: the keys of the service web, each line indented by the test; json: its canonical form. */
static const struct {
        const char *name, *yaml, *json;
} services[] = {
        {"image alone", "image: a", "{'image':'a','networks':{'default':{}}}"},
        {"command as list", "image: a\ncommand: [run, '--fast', 'a b']",
         "{'command':['run','--fast','a b'],'image':'a','networks':{'default':{}}}"},
        {"command as string", "image: a\ncommand: run --x=\"a b\" 'c d' e\\ f",
         "{'command':['run','--x=a b','c d','e f'],'image':'a','networks':{'default':{}}}"},
        {"command empty", "image: a\ncommand: []",
         "{'command':[],'image':'a','networks':{'default':{}}}"},
        {"command null", "image: a\ncommand:", "{'image':'a','networks':{'default':{}}}"},
        {"entrypoint", "image: a\nentrypoint: ['']",
         "{'entrypoint':[''],'image':'a','networks':{'default':{}}}"},
        {"environment map", "image: a\nenvironment: {B: 1, A: true, C: 16.80, D: '', N: no}",
         "{'environment':{'A':'true','B':'1','C':'16.80','D':'','N':'no'},'image':'a',"
         "'networks':{'default':{}}}"},
        {"environment list", "image: a\nenvironment: [B=1=2, A=, SET, UNSET]",
         "{'environment':{'A':'','B':'1=2','SET':'value'},'image':'a','networks':{'default':{}}}"},
        {"environment null passes through", "image: a\nenvironment: {SET: , UNSET: null}",
         "{'environment':{'SET':'value'},'image':'a','networks':{'default':{}}}"},
        {"labels", "image: a\nlabels: [a, b=c]",
         "{'image':'a','labels':{'a':'','b':'c'},'networks':{'default':{}}}"},
        {"ports short", "image: a\nports: ['80', '8080:80', '127.0.0.1:53:53/udp', 9000]",
         "{'image':'a','networks':{'default':{}},'ports':[{'target':80},{'published':'8080',"
         "'target':80},{'host_ip':'127.0.0.1','protocol':'udp','published':'53','target':53},"
         "{'target':9000}]}"},
        {"ports of base 60 are text", "image: a\nports: [22:22]",
         "{'image':'a','networks':{'default':{}},'ports':[{'published':'22','target':22}]}"},
        {"port ranges", "image: a\nports: ['5000-5001:6000-6001']",
         "{'image':'a','networks':{'default':{}},'ports':[{'published':'5000','target':6000},"
         "{'published':'5001','target':6001}]}"},
        {"ports long",
         "image: a\nports: [{target: 80, published: 8080, host_ip: 0.0.0.0, protocol: tcp, mode: "
         "host}]",
         "{'image':'a','networks':{'default':{}},'ports':[{'host_ip':'0.0.0.0',"
         "'published':'8080','target':80}]}"},
        {"ports with an empty host side", "image: a\nports: ['127.0.0.1::80']",
         "{'image':'a','networks':{'default':{}},'ports':[{'host_ip':'127.0.0.1','target':80}]}"},
        {"volumes named and anonymous", "image: a\nvolumes: ['data:/d/:ro', /x, 'data:/e:nocopy']",
         "{'image':'a','networks':{'default':{}},'volumes':[{'read_only':true,'source':'data',"
         "'target':'/d','type':'volume'},{'target':'/x','type':'volume'},{'source':'data',"
         "'target':'/e','type':'volume','volume':{'nocopy':true}}]}"},
        {"volume long",
         "image: a\nvolumes: [{type: volume, source: data, target: /d, volume: "
         "{subpath: sub/x, nocopy: true}}]",
         "{'image':'a','networks':{'default':{}},'volumes':[{'source':'data','target':'/d',"
         "'type':'volume','volume':{'nocopy':true,'subpath':'sub/x'}}]}"},
        {"bind below HOME", "image: a\nvolumes: ['~/x:/x']",
         "{'image':'a','networks':{'default':{}},'volumes':[{'source':'/home/me/x','target':'/x',"
         "'type':'bind'}]}"},
        {"bind long",
         "image: a\nvolumes: [{type: bind, source: /srv/../srv/./x//y, target: /x, "
         "bind: {create_host_path: false}}]",
         "{'image':'a','networks':{'default':{}},'volumes':[{'bind':{'create_host_path':false},"
         "'source':'/srv/x/y','target':'/x','type':'bind'}]}"},
        {"tmpfs", "image: a\ntmpfs: ['/run', '/tmp:rw,noexec,size=64m,mode=1777']",
         "{'image':'a','networks':{'default':{}},'volumes':[{'target':'/run','type':'tmpfs'},"
         "{'target':'/tmp','tmpfs':{'mode':'1777','size':67108864},'type':'tmpfs'}]}"},
        {"networks list", "image: a\nnetworks: [front, back]",
         "{'image':'a','networks':{'back':{},'front':{}}}"},
        {"networks map",
         "image: a\nnetworks: {front: {aliases: [x, y], ipv4_address: 10.9.0.5}, "
         "back: }",
         "{'image':'a','networks':{'back':{},'front':{'aliases':['x','y'],"
         "'ipv4_address':'10.9.0.5'}}}"},
        {"network_mode none", "image: a\nnetwork_mode: none",
         "{'image':'a','network_mode':'none'}"},
        {"network_mode bridge", "image: a\nnetwork_mode: bridge",
         "{'image':'a','networks':{'default':{}}}"},
        {"depends_on list", "image: a\ndepends_on: [other]",
         "{'depends_on':{'other':{'condition':'service_started'}},'image':'a',"
         "'networks':{'default':{}}}"},
        {"depends_on map",
         "image: a\ndepends_on: {other: {condition: service_healthy, restart: "
         "true}, gone: {required: false}}",
         "{'depends_on':{'gone':{'condition':'service_started','required':false},'other':{"
         "'condition':'service_healthy','restart':true}},'image':'a','networks':{'default':{}}}"},
        {"links", "image: a\nlinks: [other, 'other:alias']",
         "{'depends_on':{'other':{'condition':'service_started'}},'image':'a',"
         "'networks':{'default':{}}}"},
        {"container_name", "image: a\ncontainer_name: My.Web\nnetworks: {front: {aliases: [x]}}",
         "{'image':'a','networks':{'front':{'aliases':['x','My.Web']}}}"},
        {"healthcheck shell",
         "image: a\nhealthcheck: {test: curl -f x || exit 1, interval: 1m30s, "
         "timeout: 500ms, retries: 5, start_period: 10s, start_interval: 1s}",
         "{'healthcheck':{'interval':'1m30s','retries':5,'start_interval':'1s','start_period':"
         "'10s','test':['CMD-SHELL','curl -f x || exit 1'],'timeout':'500ms'},'image':'a',"
         "'networks':{'default':{}}}"},
        {"healthcheck list", "image: a\nhealthcheck: {test: [CMD, true-it, x]}",
         "{'healthcheck':{'test':['CMD','true-it','x']},'image':'a','networks':{'default':{}}}"},
        {"healthcheck disabled", "image: a\nhealthcheck: {disable: true}",
         "{'healthcheck':{'disable':true},'image':'a','networks':{'default':{}}}"},
        {"restart no", "image: a\nrestart: no", "{'image':'a','networks':{'default':{}}}"},
        {"restart on-failure", "image: a\nrestart: on-failure:3",
         "{'image':'a','networks':{'default':{}},'restart':'on-failure:3'}"},
        {"deploy",
         "image: a\ndeploy: {replicas: 3, resources: {limits: {memory: 64m, cpus: '0.5', "
         "pids: 100}}, restart_policy: {condition: on-failure, max_attempts: 4}}",
         "{'cpus':0.5,'image':'a','mem_limit':67108864,'networks':{'default':{}},"
         "'pids_limit':100,'restart':'on-failure:4','scale':3}"},
        {"restart_policy any", "image: a\ndeploy: {restart_policy: {condition: any}}",
         "{'image':'a','networks':{'default':{}},'restart':'always'}"},
        {"scale and deploy agree", "image: a\nscale: 0\ndeploy: {replicas: 0}",
         "{'image':'a','networks':{'default':{}},'scale':0}"},
        {"limits flat", "image: a\nmem_limit: 1.5g\ncpus: 2\npids_limit: 10\nshm_size: 256m",
         "{'cpus':2.0,'image':'a','mem_limit':1610612736,'networks':{'default':{}},"
         "'pids_limit':10,'shm_size':268435456}"},
        {"process",
         "image: a\nuser: '1000:1000'\ngroup_add: [audio, 44]\nworking_dir: /w\n"
         "hostname: h\ndomainname: example.org\nstop_signal: SIGINT\n"
         "stop_grace_period: 1m\ninit: true\ntty: yes\nstdin_open: 'true'\n"
         "read_only: true\nprivileged: true",
         "{'domainname':'example.org','group_add':['audio','44'],'hostname':'h','image':'a',"
         "'init':true,'networks':{'default':{}},'privileged':true,'read_only':true,"
         "'stdin_open':true,'stop_grace_period':'1m','stop_signal':'SIGINT','tty':true,"
         "'user':'1000:1000','working_dir':'/w'}"},
        {"capabilities and limits",
         "image: a\ncap_add: [NET_ADMIN]\ncap_drop: [ALL]\nulimits: "
         "{nofile: {soft: 10, hard: 20}, core: -1}\nsysctls: "
         "[net.core.somaxconn=1024]",
         "{'cap_add':['NET_ADMIN'],'cap_drop':['ALL'],'image':'a','networks':{'default':{}},"
         "'sysctls':{'net.core.somaxconn':'1024'},'ulimits':{'core':{'hard':-1,'soft':-1},"
         "'nofile':{'hard':20,'soft':10}}}"},
        {"names",
         "image: a\nextra_hosts: ['a=1.2.3.4', 'host.docker.internal:host-gateway']\ndns: "
         "1.1.1.1\ndns_search: [a.org, b.org]",
         "{'dns':['1.1.1.1'],'dns_search':['a.org','b.org'],'extra_hosts':['a=1.2.3.4',"
         "'host.docker.internal=host-gateway'],'image':'a','networks':{'default':{}}}"},
        {"extra_hosts map", "image: a\nextra_hosts: {a: 1.2.3.4, b: [1.1.1.1, '[::1]']}",
         "{'extra_hosts':['a=1.2.3.4','b=1.1.1.1','b=::1'],'image':'a','networks':{'default':{}}}"},
        {"files",
         "image: a\nconfigs: [page, {source: page, target: /etc/p, mode: 0440, uid: "
         "'1'}]\nsecrets: [pw, {source: pw, target: other, mode: '0400'}]",
         "{'configs':[{'source':'page','target':'/page'},{'mode':'0440','source':'page','target':"
         "'/etc/p','uid':'1'}],'image':'a','networks':{'default':{}},'secrets':[{'source':'pw',"
         "'target':'/run/secrets/pw'},{'mode':'0400','source':'pw','target':'/run/secrets/"
         "other'}]}"},
        {"pull policy",
         "image: a\npull_policy: if_not_present\nplatform: linux/amd64\nexpose: "
         "[80, '90-91/udp']",
         "{'image':'a','networks':{'default':{}}}"},
        {"pull policy never", "image: a\npull_policy: never",
         "{'image':'a','networks':{'default':{}},'pull_policy':'never'}"},
        {"x-berth", "image: a\nx-berth: {memory: 256m, cpus: 2, isolation: required}\nx-mine: 5",
         "{'image':'a','networks':{'default':{}},'x-berth':{'cpus':2,'isolation':'required',"
         "'memory':268435456}}"},
        {"variables",
         "image: ${NONE:-busy}${SET:+box}\nports: ['${PORT}:80']\nenvironment:\n- "
         "D=$$HOME\n- E=${EMPTY-unused}x\nplatform: ${EMPTY}",
         "{'environment':{'D':'$HOME','E':'x'},'image':'busybox','networks':{'default':{}},"
         "'ports':[{'published':'8081','target':80}]}"},
        {"typed after variables",
         "image: a\nscale: ${THREE:-3}\nread_only: ${RO:-true}\ncpus: "
         "${CPUS:-0.25}",
         "{'cpus':0.25,'image':'a','networks':{'default':{}},'read_only':true,'scale':3}"},
        {"quiet keys", "image: a\nannotations: {a: b}\nattach: false\ndevelop: {watch: []}",
         "{'image':'a','networks':{'default':{}}}"},
};

static const char around[] =
        "  other:\n    image: b\nnetworks:\n  front: {ipam: {config: [{subnet: "
        "10.9.0.0/24}]}}\n  back: {internal: true}\nvolumes: {data: }\n"
        "configs: {page: {content: hi}}\nsecrets: {pw: {content: s}}\n";

/* 'x' stands for "x" in the tables, as it reads better. */
static char *unquote(const char *text)
{
        char *copy = xstrdup(text);

        for (char *p = copy; *p; p++)
                if (*p == '\'')
                        *p = '"';
        return copy;
}

static char *indented(const char *text)
{
        char *out = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&out, &n);

        (void)fprintf(f, "services:\n  web:\n    ");
        for (; *text; text++)
                (void)fprintf(f, *text == '\n' ? "\n    " : "%c", *text);
        (void)fprintf(f, "\n%s", around);
        (void)fclose(f);
        return out;
}

static void test_services(void)
{
        for (size_t i = 0; i < ARRAY_SIZE(services); i++) {
                AUTO_FREE char *yaml = indented(services[i].yaml);
                AUTO_FREE char *expected = unquote(services[i].json);
                AUTO_FREE char *printed = NULL;
                AUTO(stack) struct stack *stack = NULL;
                int r = fixture_load(yaml, &stack, &printed);

                if (!ok(r == 0, "%s: loads", services[i].name)) {
                        printf("# %s", printed);
                        continue;
                }
                AUTO_JSON json_t *json = service_to_json(stack_find_service(stack, "web"));
                AUTO_FREE char *text = json_text(json);

                is_str(text, expected, "%s", services[i].name);
                fixture_round_trip(stack, services[i].name);
        }
}

static void test_stack(void)
{
        AUTO_FREE char *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;
        AUTO_FREE char *text = NULL;
        AUTO_JSON json_t *json = NULL;

        fixture_write("page.html", "<h1>hello</h1>\n");
        fixture_write("raw.bin", "\xff\xfe");
        is_int(fixture_load(
                       "services:\n  b: {image: x}\n  a: {image: y}\n"
                       "networks: {n: {internal: true, driver: bridge, labels: {a: b}, ipam: "
                       "{config: [{subnet: 10.1.2.0/24}]}}}\n"
                       "volumes: {v: {name: other, x-berth: {size: 1g}}, w: {external: true}}\n"
                       "configs: {page: {file: ./page.html}, raw: {file: raw.bin}}\n"
                       "secrets: {s: {environment: SET}}\n",
                       &stack, &printed),
               0, "a stack with all sections loads");
        is_str(printed, "", "and says nothing");
        json = stack_to_json(stack);
        text = json_text(json);
        is_str(text,
               "{\"configs\":{\"page\":{\"content\":\"<h1>hello</h1>\\n\"},\"raw\":{\"x-berth\":{"
               "\"content_base64\":\"//"
               "4=\"}}},\"name\":\"shop\",\"networks\":{\"default\":{},\"n\":{"
               "\"internal\":true,\"ipam\":{\"config\":[{\"subnet\":\"10.1.2.0/24\"}]},\"labels\":{"
               "\"a\":\"b\"}}},\"secrets\":{\"s\":{\"content\":\"value\"}},\"services\":{\"a\":{"
               "\"image\":\"y\",\"networks\":{\"default\":{}}},\"b\":{\"image\":\"x\",\"networks\":"
               "{"
               "\"default\":{}}}},\"volumes\":{\"v\":{\"name\":\"other\",\"x-berth\":{\"size\":"
               "1073741824}},\"w\":{\"external\":true}}}",
               "its canonical JSON");
        fixture_round_trip(stack, "stack");
        is_str(stack->services[0].name, "a", "services are sorted");
        ok(stack_find_secret(stack, "s")->secret, "a secret is marked");
        is_int(stack_find_config(stack, "raw")->content_len, 2, "bytes are kept");
        ok(!stack_find_volume(stack, "nope"), "what is not there is not found");
        is_int(stack->services[1].place.line, 2, "the place of a service");
        is_str(stack->services[1].place.file, "stack.yaml", "and its file");
}

static void test_defaults(void)
{
        AUTO_FREE char *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;
        const struct service *s;

        (void)fixture_load("services: {web: {image: a, volumes: ['./x:/x'], tmpfs: /t}}", &stack,
                           &printed);
        s = stack_find_service(stack, "web");
        is_int(s->replicas, 1, "one replica");
        is_int(s->stop_grace_period_ms, 10000, "ten seconds to stop");
        is_int(s->mem_limit_bytes, -1, "no memory limit");
        is_int(s->pids_limit, -1, "no process limit");
        is_int(s->shm_size_bytes, -1, "default /dev/shm");
        is_int(s->vm_memory_bytes, -1, "derived VM memory");
        is_int(s->healthcheck.interval_ms, -1, "default interval");
        is_int(s->healthcheck.retries, -1, "default retries");
        ok(!s->has_healthcheck, "no health check");
        ok(s->volumes[0].create_host_path, "a short bind makes its folder");
        has_str(s->volumes[0].source, "/shop/x", "and is relative to the file");
        is_int(s->volumes[1].mode, -1, "default tmpfs mode");
        is_str(s->networks[0].network, "default", "the implied network");
        ok(stack_find_network(stack, "default"), "exists");
}

static void test_env_files(void)
{
        AUTO_FREE char *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;

        fixture_write(".env", "FROM_DOTENV=dot\nSET=loses\n");
        fixture_write("a.env", "A=1\nB=$A-$FROM_DOTENV\nC=file\nD='$A'\n");
        fixture_write("b.env", "A=2\nE=\"x\\ny\"\n");
        is_int(fixture_load("services: {web: {image: '${FROM_DOTENV}-${SET}', env_file: [a.env, "
                            "{path: b.env}, {path: none.env, required: false}], environment: {C: "
                            "own}}}",
                            &stack, &printed),
               0, "env files load");
        is_str(printed, "", "without findings");
        if (stack) {
                AUTO_JSON json_t *json = service_to_json(&stack->services[0]);
                AUTO_FREE char *text = json_text(json);

                is_str(text,
                       "{\"environment\":{\"A\":\"2\",\"B\":\"1-dot\",\"C\":\"own\",\"D\":\"$A\","
                       "\"E\":\"x\\ny\"},\"image\":\"dot-value\",\"networks\":{\"default\":{}}}",
                       "later files and environment go above earlier ones");
        }
        (void)unlink(".env"); /* the other tests have none */
}

static void test_profiles_and_links(void)
{
        AUTO_FREE char *printed = NULL;
        AUTO(stack) struct stack *stack = NULL;

        is_int(fixture_load(
                       "services:\n  web: {image: a, links: ['db:database']}\n  db: {image: b}\n"
                       "  debug: {image: c, profiles: [debug], ports: ['1:1']}\n",
                       &stack, &printed),
               0, "profiles load");
        is_int(stack ? stack->services_len : 0, 2, "a service whose profile is off is left out");
        if (stack) {
                const struct service *db = stack_find_service(stack, "db");

                is_int(db->networks[0].aliases.len, 1, "a link makes an alias");
                is_str(db->networks[0].aliases.items[0], "database", "of the target");
        }
}

/* An image that an unset variable leaves without its tag: to be looked at, not to be run. */
static void test_incomplete(void)
{
        static const char *const files[] = {"stack.yaml"};
        struct load_options options = {.files = files, .file_count = 1};
        struct diags diags = {0};
        struct stack *stack = NULL;

        fixture_write("stack.yaml", "services: {web: {image: 'x:${NOPE}'}}");
        is_int(manifest_load(&options, &stack, &diags, NULL), 0, "an incomplete image");
        is_int(diags.len, 2, "is a warning beside that of the variable");
        ok(diags.len == 2 && diags.items[1].code == DIAG_INCOMPLETE &&
                   diags.items[1].severity == DIAG_WARNING,
           "with a code of its own");
        diags_release(&diags);
        stack_free(stack);
        stack = NULL;
        options.to_run = true;
        is_int(manifest_load(&options, &stack, &diags, NULL), -EINVAL, "it cannot run");
        is_int(diags.errors, 1, "the variable alone is no error");
        diags_release(&diags);
}

static void test_names(void)
{
        static const char *const files[] = {"stack.yaml"};
        struct load_options options = {.files = files, .file_count = 1};
        struct diags diags = {0};
        struct stack *stack = NULL;

        fixture_write("stack.yaml",
                      "name: My.App\nservices: {web: {image: '${COMPOSE_PROJECT_NAME}'}}");
        is_int(manifest_load(&options, &stack, &diags, NULL), 0, "a name in the file");
        is_str(stack ? stack->name : NULL, "myapp", "is made a valid one");
        is_str(stack ? stack->services[0].image : NULL, "myapp", "and a variable");
        stack_free(stack);
        stack = NULL;
        options.project = "given";
        is_int(manifest_load(&options, &stack, &diags, NULL), 0, "a given name");
        is_str(stack ? stack->name : NULL, "given", "goes above");
        is_str(stack ? stack->services[0].image : NULL, "given", "also as variable");
        stack_free(stack);
        stack = NULL;
        options.project = "Not Valid";
        is_int(manifest_load(&options, &stack, &diags, NULL), -EINVAL, "but must be valid");
        diags_release(&diags);
}

int main(void)
{
        fixture_enter();
        test_services();
        test_stack();
        test_defaults();
        test_env_files();
        test_profiles_and_links();
        test_incomplete();
        test_names();
        return tap_done();
}
