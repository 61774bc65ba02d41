/* SPDX-License-Identifier: Apache-2.0 */
/* Where values stand: of one file, of several, of other words, and of each of the published stacks.
 */
#include <fcntl.h>
#include <glob.h>

#include "schema/places.h"
#include "tests/unit/schema/fixture.h"

static const char *const nothing[] = {NULL};

static struct places *load(const char *const *files, size_t count, struct stack **ret_stack)
{
        const struct load_options options = {
                .files = files, .file_count = count, .environ = nothing};
        struct places *places = NULL;
        struct diags diags = {0};

        if (manifest_load_places(&options, ret_stack, &places, &diags, NULL) < 0)
                diags_print(&diags, stdout);
        diags_release(&diags);
        return places;
}

/* "WHAT NAME PATH FILE:LINE:COLUMN", "nowhere": there is no such object. */
static void check(const struct places *places, const char *what, const char *name, const char *path,
                  const char *expected)
{
        struct mark mark = {0};
        AUTO_FREE char *got = places_find(places, what, name, path, &mark)
                                      ? xasprintf("%s:%u:%u", mark.file, mark.line, mark.column)
                                      : xstrdup("nowhere");

        is_str(got, expected, "%s %s %s", what, name, path);
}

static void test_one_file(void)
{
        AUTO(stack) struct stack *stack = NULL;
        AUTO(places) struct places *p = NULL;

        fixture_write("stack.yaml", "services:\n"
                                    "  web:\n"
                                    "    image: web:1\n"
                                    "    environment:\n"
                                    "      - A=1\n"
                                    "      - B=2\n"
                                    "      - A=3\n"
                                    "    labels: [com.example.team=data, com.example=x]\n"
                                    "    healthcheck:\n"
                                    "      test: [CMD, 'true']\n"
                                    "      retries: 4\n"
                                    "    networks: [front]\n"
                                    "    ulimits: {nofile: {soft: 10, hard: 20}}\n"
                                    "    post_start:\n"
                                    "      - {command: 'a'}\n"
                                    "      - {command: 'b', user: '7'}\n"
                                    "    x-berth: {restart: {delay: 3s}}\n"
                                    "networks:\n"
                                    "  front:\n"
                                    "    internal: true\n"
                                    "    ipam: {config: [{subnet: 10.1.0.0/24}]}\n"
                                    "volumes:\n"
                                    "  data: {x-berth: {size: 1g}}\n");
        p = load((const char *const[]){"stack.yaml"}, 1, &stack);
        if (!ok(p, "a manifest with all of that"))
                return;
        check(p, "service", "web", "", "stack.yaml:2:3");
        check(p, "service", "web", "image", "stack.yaml:3:12");
        check(p, "service", "web", "environment.A", "stack.yaml:7:9");
        check(p, "service", "web", "environment.B", "stack.yaml:6:9");
        check(p, "service", "web", "labels.com.example", "stack.yaml:8:37");
        check(p, "service", "web", "labels.com.example.team", "stack.yaml:8:14");
        check(p, "service", "web", "healthcheck.test", "stack.yaml:10:13");
        check(p, "service", "web", "healthcheck.retries", "stack.yaml:11:16");
        check(p, "service", "web", "networks.front", "stack.yaml:12:16");
        check(p, "service", "web", "ulimits.nofile.hard", "stack.yaml:13:40");
        check(p, "service", "web", "post_start[1].user", "stack.yaml:16:30");
        check(p, "service", "web", "x-berth.restart.delay", "stack.yaml:17:32");
        check(p, "service", "web", "restart", "stack.yaml:2:3");
        check(p, "network", "front", "internal", "stack.yaml:20:15");
        check(p, "network", "front", "subnet", "stack.yaml:21:30");
        check(p, "volume", "data", "size", "stack.yaml:23:26");
        check(p, "volume", "data", "name", "stack.yaml:23:3");
        check(p, "network", "default", "", "nowhere");
        check(p, "service", "nobody", "image", "nowhere");
        check(p, "service", "web", "ports[99999999999999999999].target", "stack.yaml:2:3");
        check(p, "service", "web", "post_start[2].user", "stack.yaml:15:7");
}

static void test_other_words(void)
{
        AUTO(stack) struct stack *stack = NULL;
        AUTO(places) struct places *p = NULL;

        fixture_write("stack.yaml",
                      "services:\n"
                      "  web:\n"
                      "    build: .\n"
                      "    container_name: front\n"
                      "    links: ['db:store']\n"
                      "    tmpfs: /run:size=1m\n"
                      "    volumes: ['data:/data', {type: bind, source: ., target: /b}]\n"
                      "    ports: ['8000-8001:80-81', {target: 90, published: 9000}]\n"
                      "    configs: [page]\n"
                      "    restart: always\n"
                      "    deploy:\n"
                      "      replicas: 2\n"
                      "      resources: {limits: {memory: 64m, cpus: 2, pids: 9}}\n"
                      "      restart_policy: {condition: on-failure, delay: 1s}\n"
                      "  db: {image: db}\n"
                      "volumes: {data: {name: other}}\n"
                      "configs: {page: {file: ./stack.yaml}}\n");
        p = load((const char *const[]){"stack.yaml"}, 1, &stack);
        if (!ok(p, "a manifest in other words"))
                return;
        check(p, "service", "web", "image", "stack.yaml:3:12");
        check(p, "service", "web", "networks.default.aliases", "stack.yaml:4:21");
        check(p, "service", "web", "depends_on.db.condition", "stack.yaml:5:13");
        check(p, "service", "db", "networks.default.aliases", "stack.yaml:5:13");
        check(p, "service", "web", "volumes[0].tmpfs.size", "stack.yaml:6:12");
        check(p, "service", "web", "volumes[1].source", "stack.yaml:7:15");
        check(p, "service", "web", "volumes[2].target", "stack.yaml:7:61");
        check(p, "service", "web", "volumes.data.name", "stack.yaml:16:24");
        check(p, "service", "web", "ports[1].published", "stack.yaml:8:13");
        check(p, "service", "web", "ports[2].published", "stack.yaml:8:56");
        check(p, "service", "web", "configs.page.content", "stack.yaml:17:24");
        check(p, "service", "web", "configs[0].source", "stack.yaml:9:15");
        check(p, "service", "web", "scale", "stack.yaml:12:17");
        check(p, "service", "web", "mem_limit", "stack.yaml:13:36");
        check(p, "service", "web", "cpus", "stack.yaml:13:47");
        check(p, "service", "web", "pids_limit", "stack.yaml:13:56");
        check(p, "service", "web", "restart", "stack.yaml:14:35");
        check(p, "service", "web", "x-berth.restart.delay", "stack.yaml:14:54");
}

static void test_other_files(void)
{
        AUTO(stack) struct stack *stack = NULL;
        AUTO(places) struct places *p = NULL;

        fixture_write("base.yaml", "services:\n"
                                   "  common:\n"
                                   "    image: common\n"
                                   "    environment: {A: base, B: base}\n"
                                   "    ports: ['70:70', '71:71']\n");
        fixture_write("more.yaml", "services:\n"
                                   "  web:\n"
                                   "    environment: {B: more}\n"
                                   "    ports: ['72:72']\n"
                                   "    tmpfs: !reset []\n");
        fixture_write("part.yaml", "services:\n  part: {image: part}\nvolumes:\n  kept:\n");
        fixture_write("one.env", "# a comment\nB=file\nC='two\nlines'\nexport D=4\n");
        fixture_write("two.env", "C=5\n");
        fixture_write("label.file", "\nteam=data\n");
        fixture_write("stack.yaml", "include: [part.yaml]\n"
                                    "x-all: &all\n"
                                    "  stop_signal: SIGINT\n"
                                    "services:\n"
                                    "  web:\n"
                                    "    <<: *all\n"
                                    "    extends: {file: base.yaml, service: common}\n"
                                    "    env_file: [one.env, two.env]\n"
                                    "    label_file: label.file\n"
                                    "    tmpfs: /run\n"
                                    "    hostname: ${NAME:-web}\n");
        p = load((const char *const[]){"stack.yaml", "more.yaml"}, 2, &stack);
        if (!ok(p, "a manifest of many files"))
                return;
        check(p, "service", "web", "", "stack.yaml:5:3");
        check(p, "service", "web", "image", "base.yaml:3:12");
        check(p, "service", "web", "stop_signal", "stack.yaml:3:16");
        check(p, "service", "web", "environment.A", "base.yaml:4:22");
        check(p, "service", "web", "environment.B", "more.yaml:3:22");
        check(p, "service", "web", "environment.C", "two.env:1:1");
        check(p, "service", "web", "environment.D", "one.env:5:1");
        check(p, "service", "web", "labels.team", "label.file:2:1");
        check(p, "service", "web", "ports[1].target", "base.yaml:5:22");
        check(p, "service", "web", "ports[2].target", "more.yaml:4:13");
        check(p, "service", "web", "hostname", "stack.yaml:11:15");
        check(p, "service", "part", "image", "part.yaml:2:17");
        check(p, "volume", "kept", "", "part.yaml:4:3");
}

/* --------------------------------------------------------------------------- published stacks */

static unsigned leaves;

/* The text of a line of a file. */
static char *line_of(const char *file, unsigned line)
{
        AUTO_FREE char *text = NULL;
        const char *p;

        if (file_read(file, 1 << 20, &text, NULL, NULL) < 0)
                return xstrdup("");
        for (p = text; line > 1 && p; line--)
                p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL;
        return p ? xstrndup(p, strcspn(p, "\n")) : xstrdup("");
}

/* What the line of a value must have; "": the value is implied, or in another unit there. */
static char *needle(const char *path, const json_t *value)
{
        const char *step = strchr(path, '.'), *text = json_string_value(value), *slash;

        if (json_is_array(value)) {
                text = json_string_value(json_array_get(value, 0));
                if (has_prefix(text, "CMD"))
                        text = json_string_value(json_array_get(value, 1));
        } else if (has_prefix(path, "networks.") || has_prefix(path, "depends_on.")) {
                return xstrndup(step + 1, strcspn(step + 1, "."));
        }
        if (!text || (step && streq(strrchr(path, '.'), ".type")))
                return xstrdup(""); /* a size, a number, a boolean */
        slash = strrchr(text, '/');
        if (slash && (has_prefix(path, "volumes[") || has_prefix(path, "secrets[")))
                text = slash + 1;
        return xstrndup(text, strcspn(text, "=:"));
}

/* A value stands there if the line has it or the variable that gave it, or begins its block. */
static void check_leaf(const struct places *places, const char *service, const char *path,
                       const json_t *value)
{
        AUTO_FREE char *text = needle(path, value);
        AUTO_FREE char *line = NULL;
        struct mark mark = {0};

        if (!places_find(places, "service", service, path, &mark)) {
                ok(false, "%s %s has a place", service, path);
                return;
        }
        line = line_of(mark.file, mark.line);
        leaves++;
        if (streq(path, "networks.default") && strstr(line, service))
                return; /* implied: the service's line */
        if (!strstr(line, text) && !strchr(line, '$') && !strstr(line, ">-"))
                ok(false, "%s:%u:%u has %s of %s %s: %s", mark.file, mark.line, mark.column, text,
                   service, path, line);
}

static void walk(const struct places *places, const char *service, const char *path,
                 const json_t *value)
{
        const char *key;
        json_t *member;
        size_t i;

        if (json_is_object(value) && json_object_size(value)) {
                json_object_foreach((json_t *)(uintptr_t)value, key, member) {
                        AUTO_FREE char *below = xasprintf("%s%s%s", path, *path ? "." : "", key);

                        walk(places, service, below, member);
                }
        } else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
                json_array_foreach(value, i, member) {
                        AUTO_FREE char *below = xasprintf("%s[%zu]", path, i);

                        walk(places, service, below, member);
                }
        } else {
                check_leaf(places, service, path, value);
        }
}

static void test_published(void)
{
        glob_t found = {0};

        if (glob("tests/stacks/*.yaml", 0, NULL, &found) != 0)
                ok(false, "there are stacks");
        for (size_t i = 0; i < found.gl_pathc; i++) {
                AUTO(stack) struct stack *stack = NULL;
                AUTO(places)
                struct places *p = load((const char *const *)&found.gl_pathv[i], 1, &stack);

                for (size_t k = 0; p && k < stack->services_len; k++) {
                        AUTO_JSON json_t *json = service_to_json(&stack->services[k]);

                        walk(p, stack->services[k].name, "", json);
                }
        }
        globfree(&found);
        ok(leaves > 600, "%u values of published stacks were looked for", leaves);
}

int main(void)
{
        test_published();
        fixture_enter();
        test_one_file();
        test_other_words();
        test_other_files();
        return tap_done();
}
