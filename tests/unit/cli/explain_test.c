/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/explain.md: what `why`, `events`, `diff` and `apply` say in fourteen situations. Each is
 * played with a virtual clock; the words are those of the reconciler and of the command line. To
 * write the page anew: UPDATE=1 build/bin/tests/unit/cli/explain_test
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/changes.h"
#include "orchestrator/cli/explain_text.h"
#include "reconciler/admission.h"
#include "reconciler/diff.h"
#include "schema/load.h"
#include "tests/scenario/world.h"
#include "tests/tap.h"

#define PAGE "docs/explain.md"
#define DAY  INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static struct world world;
static struct strbuf page = STRBUF_INIT(1 << 20);
static struct strbuf events = STRBUF_INIT(1 << 20); /* of the situation so far */

static void begin(const char *title, const char *text)
{
        world_init(&world);
        strbuf_reset(&events);
        strbuf_addf(&page, "\n## %s\n\n%s\n", title, text);
}

static void end(void)
{
        world_release(&world);
}

static void add_service(struct stack *stack, const char *line)
{
        AUTO_FREE char *copy = xstrdup(line);
        char *words[12], *save = NULL;
        size_t n = 0;
        const char *wrong;

        for (char *w = strtok_r(copy, " ", &save); w && n < ARRAY_SIZE(words);
             w = strtok_r(NULL, " ", &save))
                words[n++] = w;
        wrong = world_service(stack, words, n);
        ok(!wrong, "%s%s%s", line, wrong ? ": " : "", wrong ? wrong : "");
}

static void images_there(const struct stack *stack)
{
        for (size_t i = 0; i < stack->services_len; i++) {
                struct image_fact *image = world_image(&world, stack->services[i].image);

                if (image->state == IMAGE_UNKNOWN)
                        image->state = IMAGE_READY;
        }
}

/* A revision of the stack "shop"; NULL ends the services. */
__attribute__((sentinel)) static void apply(const char *service, ...)
{
        struct stack *stack = world_stack(&world, "shop");
        va_list ap;

        va_start(ap, service);
        for (const char *line = service; line; line = va_arg(ap, const char *))
                add_service(stack, line);
        va_end(ap);
        images_there(stack);
}

static void tell(const char *service, unsigned replica, const char *type, const char *reason,
                 const char *message)
{
        AUTO_JSON json_t *event = json_object();
        char time[CLOCK_TEXT_MAX];

        clock_text((DAY + world.now_ms - WORLD_BEGIN_MS) * 1000000, time);
        json_set_str(event, "time", time);
        json_set_str(event, "stack", "shop");
        json_set_str(event, "service", service);
        json_set_int(event, "replica", replica);
        json_set_str(event, "type", type);
        json_set_str(event, "reason", reason);
        json_set_str(event, "message", message);
        explain_event(event, &events);
}

/* The event that the daemon emits when it begins the step. */
static void tell_step(const struct step *step)
{
        static const char *const types[] = {[STEP_VM_CREATE] = "creating",
                                            [STEP_VM_RESTART] = "restarting",
                                            [STEP_VM_END] = "ending",
                                            [STEP_VM_STOP] = "stopping",
                                            [STEP_ROLLBACK] = "rolled-back"};

        if (step->kind < ARRAY_SIZE(types) && types[step->kind])
                tell(step->service, step->replica, types[step->kind],
                     step->kind == STEP_VM_END ? "unhealthy" : "", step->reason);
}

/* Decide and begin, as often as there are steps. */
static void turn(void)
{
        for (size_t steps = 1; steps;) {
                struct plan plan;

                world_plan(&world, &plan);
                steps = plan.steps_len;
                for (size_t i = 0; i < plan.steps_len; i++) {
                        tell_step(&plan.steps[i]);
                        world_begin(&world, &plan.steps[i]);
                }
                plan_release(&plan);
                for (size_t i = 0; i < world.facts.networks_len; i++)
                        world.facts.networks[i].up = !world.facts.networks[i].failed_ms;
        }
}

static void passes(int64_t ms)
{
        world.now_ms += ms;
}

static struct vm_fact *vm_of(const char *service, unsigned replica)
{
        return world_replica_vm(&world, "shop", service, replica);
}

static void runs(const char *service, unsigned replica)
{
        world_vm_runs(&world, vm_of(service, replica));
        tell(service, replica, "started", "clone", "service runs after 41 ms");
}

static void health(const char *service, unsigned replica, enum health_state health,
                   const char *message)
{
        struct vm_fact *vm = vm_of(service, replica);

        vm->health = health;
        vm->health_since_ms = world.now_ms;
        free(vm->message);
        vm->message = xstrdup(message);
        if (health == HEALTH_HEALTHY || health == HEALTH_UNHEALTHY)
                tell(service, replica, health_state_name(health), "",
                     message ? message : "healthcheck passed");
}

static void exits(const char *service, unsigned replica, enum exit_reason reason, int code,
                  const char *message)
{
        struct vm_fact *vm = vm_of(service, replica);
        AUTO_FREE char *text =
                xasprintf("exit code %d%s%s", code, message ? ": " : "", message ? message : "");

        vm->reusable = true;
        world_vm_ends(&world, vm, VM_EXITED, reason, code, message);
        tell(service, replica, "exited", exit_reason_name(reason), text);
}

static void gone(const char *service, unsigned replica)
{
        struct vm_fact *vm = vm_of(service, replica);
        AUTO_FREE char *text = xasprintf("VM %s is gone", vm->id);

        world_vm_gone(&world, vm);
        tell(service, replica, "removed", "", text);
}

static void indent(const char *text)
{
        while (*text) {
                size_t len = strcspn(text, "\n");

                strbuf_addf(&page, "    %.*s\n", (int)len, text);
                text += len + (text[len] == '\n');
        }
}

/* The VMs of a service as the API shows them, but for times. said: by the last tests. */
static json_t *replicas_json(const struct service_status *status, const char *said)
{
        json_t *list = json_array();

        for (size_t i = 0; i < world.facts.vms_len; i++) {
                const struct vm_fact *vm = &world.facts.vms[i];
                AUTO_FREE char *name = xasprintf("shop/%s/%u", vm->service, vm->replica);
                bool running = vm->state == VM_RUNNING;
                json_t *json;

                if (!streq(vm->service, status->service))
                        continue;
                json = json_object();
                json_set_str(json, "id", vm->id);
                json_set_str(json, "name", name);
                json_set_str(json, "state", vm_state_name(vm->state));
                json_set_str(json, "health", health_state_name(running ? vm->health : HEALTH_NONE));
                if (vm->state == VM_EXITED)
                        json_set_int(json, "exit_code", vm->exit_code);
                json_set_str(json, "message", vm->message);
                if (said && running && vm->health == HEALTH_UNHEALTHY)
                        json_object_set_new(json, "last_probe", json_pack("{s:s}", "output", said));
                json_array_append_new(list, json);
        }
        return list;
}

/* service: NULL: all. said: by the last test of those that are unhealthy, or NULL. */
static void show_why(const char *service, const char *said)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 16);
        AUTO_JSON json_t *status = json_object();
        json_t *services = json_array();
        struct plan plan;

        world_plan(&world, &plan);
        for (size_t i = 0; i < plan.services_len; i++) {
                const struct service_status *s = &plan.services[i];
                json_t *json = json_object();

                json_set_str(json, "service", s->service);
                json_set_str(json, "phase", service_phase_name(s->phase));
                json_set_str(json, "why", s->why);
                json_set_str(json, "waits_for", s->waits_for);
                json_object_set_new(json, "replicas", replicas_json(s, said));
                json_array_append_new(services, json);
        }
        plan_release(&plan);
        json_object_set_new(status, "services", services);
        (void)explain_status(status, service, &text); /* nothing is seen below */
        strbuf_addf(&page, "\n    $ berth why shop%s%s\n", service ? "/" : "",
                    service ? service : "");
        indent(strbuf_str(&text));
}

static void show_events(void)
{
        strbuf_adds(&page, "\n    $ berth events\n");
        indent(strbuf_str(&events));
}

/* The manifest as shop.yaml of a folder of its own, with where its values stand. */
static struct stack *load(const char *yaml, struct places **ret_places)
{
        static const char *const files[] = {"shop.yaml"};
        static const char *const nothing[] = {NULL};
        const struct load_options options = {.files = files, .file_count = 1, .environ = nothing};
        AUTO_CLOSE int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char dir[] = "/tmp/berth-explain-XXXXXX";
        struct stack *stack = NULL;
        struct diags diags = {0};

        if (here < 0 || !mkdtemp(dir) || chdir(dir) < 0)
                exit(99);
        if (file_write_atomic(files[0], yaml, strlen(yaml), 0644, NULL) < 0 ||
            manifest_load_places(&options, &stack, ret_places, &diags, NULL) < 0) {
                diags_print(&diags, stderr);
                exit(99);
        }
        diags_release(&diags);
        if (fchdir(here) < 0 || file_remove_tree(dir, NULL) < 0)
                exit(99);
        return stack;
}

/* The manifest is shown, and is a revision. */
static void apply_manifest(const char *yaml)
{
        AUTO(stack) struct stack *loaded = load(yaml, NULL);
        struct stack *stack = world_stack(&world, "shop"), empty = *stack;

        *stack = *loaded;
        *loaded = empty;
        images_there(stack);
        strbuf_adds(&page, "\n");
        indent(yaml);
}

/* What a manifest would change. */
static void show_diff(const char *yaml)
{
        AUTO(places) struct places *places = NULL;
        AUTO(stack) struct stack *after = load(yaml, &places);
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(1 << 20);
        AUTO_JSON json_t *json = NULL;
        struct changes changes = {0};
        struct changes_head head = {.stack = "shop",
                                    .revision = 7,
                                    .source = "/srv/shop.yaml",
                                    .services = after->services_len};

        stack_diff(world_find_stack(&world, "shop"), after, &changes);
        json = changes_to_json(&changes);
        changes_locate(json, places);
        changes_text(&head, json, &text);
        changes_release(&changes);
        strbuf_adds(&page, "\n    $ berth diff -f shop.yaml\n");
        indent(strbuf_str(&text));
}

/* ------------------------------------------------------------------------------- the situations */

#define DB  "db restart=always health"
#define WEB "web restart=always depends=db:healthy env=GREETING:hello"

static void waiting_for_health(void)
{
        begin("1. A dependency is not healthy", "`web` starts when `db` is healthy.");
        apply(DB, WEB, NULL);
        turn();
        passes(400);
        runs("db", 1);
        passes(30000);
        health("db", 1, HEALTH_UNHEALTHY,
               "healthcheck exited 2: pg_isready: /run/postgresql:5432 - no response");
        turn();
        passes(14000);
        show_why("web", "pg_isready: /run/postgresql:5432 - no response\n"
                        "postgres: waiting for the lock of another server\n");
        show_events();
        end();
}

static void crash_loop(void)
{
        begin("2. A crash loop", "The guest is fine, so the service runs again in the same VM.");
        apply("web restart=always", NULL);
        turn();
        passes(400);
        runs("web", 1);
        for (unsigned i = 0; i < 3; i++) {
                passes(100);
                exits("web", 1, EXIT_CODE, 1, NULL);
                passes(INT64_C(200) << i);
                turn();
                passes(30);
                runs("web", 1);
        }
        passes(100);
        exits("web", 1, EXIT_CODE, 1, NULL);
        turn();
        show_why(NULL, NULL);
        show_events();
        end();
}

static void given_up(void)
{
        begin("3. A limit of restarts", "`restart: on-failure:1`, and who depends on it.");
        apply("migrate restart=on-failure:1", "web restart=always depends=migrate:completed",
              "admin restart=always depends=web", NULL);
        turn();
        runs("migrate", 1);
        exits("migrate", 1, EXIT_OOM, 137, NULL);
        passes(200);
        turn();
        runs("migrate", 1);
        exits("migrate", 1, EXIT_CODE, 3, NULL);
        turn();
        gone("migrate", 1);
        turn();
        show_why(NULL, NULL);
        show_events();
        end();
}

#define SHOP(tag) "name: shop\nservices:\n  web:\n    image: web:" tag "\n    restart: always\n"

static void image_missing(void)
{
        begin("4. A new image that is not there", "A mistyped tag: the previous VM goes on.");
        apply_manifest(SHOP("1"));
        turn();
        runs("web", 1);
        show_diff(SHOP("2"));
        apply("web restart=always net=default image=web:2", NULL);
        world_image(&world, "web:2")->state = IMAGE_MISSING;
        world_image(&world, "web:2")->message = xstrdup("registry: manifest unknown");
        turn();
        show_why(NULL, NULL);
        end();
}

static const char in_place_before[] = "name: shop\n"
                                      "services:\n"
                                      "  db:\n"
                                      "    image: db:16\n"
                                      "    restart: always\n"
                                      "    healthcheck: {test: pg_isready}\n"
                                      "  web:\n"
                                      "    image: web:1\n"
                                      "    restart: always\n"
                                      "    depends_on: {db: {condition: service_healthy}}\n"
                                      "    environment:\n"
                                      "      GREETING: hello\n";

static const char in_place_after[] = "name: shop\n"
                                     "services:\n"
                                     "  cache:\n"
                                     "    image: cache:7\n"
                                     "  db:\n"
                                     "    image: db:16\n"
                                     "    restart: always\n"
                                     "    healthcheck: {test: pg_isready}\n"
                                     "    labels: [team=data]\n"
                                     "    deploy:\n"
                                     "      replicas: 2\n"
                                     "  web:\n"
                                     "    image: web:1\n"
                                     "    depends_on: {db: {condition: service_healthy}}\n"
                                     "    environment:\n"
                                     "      GREETING: moin\n";

static void in_place(void)
{
        begin("5. What changes in place", "No VM of `db` is touched; what needs a new one is "
                                          "marked. Each new value is followed "
                                          "by its place in the files.");
        apply_manifest(in_place_before);
        turn();
        runs("db", 1);
        health("db", 1, HEALTH_HEALTHY, NULL);
        turn();
        runs("web", 1);
        strbuf_adds(&page, "\nEdited:\n\n");
        indent(in_place_after);
        show_diff(in_place_after);
        strbuf_adds(&page, "\nNot edited:\n");
        show_diff(in_place_before);
        end();
}

static void paused_update(void)
{
        begin("6. A broken update, paused",
              "Two replicas, stop-first: the second is not replaced once the first failed.");
        apply("web restart=no replicas=2", NULL);
        turn();
        runs("web", 1);
        runs("web", 2);
        strbuf_reset(&events);
        apply("web restart=no replicas=2 env=A:1", NULL);
        turn();
        gone("web", 1);
        turn();
        runs("web", 1);
        exits("web", 1, EXIT_START, 127, "exec: \"sevrer\": executable file not found in $PATH");
        turn();
        gone("web", 1);
        turn();
        show_why(NULL, NULL);
        show_events();
        end();
}

static void rolled_back(void)
{
        begin("7. A broken update, rolled back",
              "`order: start-first, failure_action: rollback`: the old VM serves all the time.");
        apply("web health update=order:start-first,action:rollback", NULL);
        turn();
        runs("web", 1);
        health("web", 1, HEALTH_HEALTHY, NULL);
        world_wish(&world, "shop", "web")->good = world_hash(&world, "shop", "web");
        strbuf_reset(&events);
        apply("web health update=order:start-first,action:rollback env=A:1", NULL);
        turn();
        runs("web", 1);
        health("web", 1, HEALTH_STARTING, NULL);
        passes(9000);
        show_why(NULL, NULL);
        health("web", 1, HEALTH_UNHEALTHY, "healthcheck: GET /up: 503 Service Unavailable");
        struct plan plan;

        world_plan(&world, &plan);
        for (size_t i = 0; i < plan.steps_len; i++)
                tell_step(&plan.steps[i]);
        plan_release(&plan);
        show_events();
        end();
}

static void network_fails(void)
{
        begin("8. A network that cannot be had", "It is tried again, with growing delays.");
        apply("web restart=always net=front", NULL);
        turn();
        struct network_fact *network = world_net(&world, "shop", "front");

        network->up = false;
        network->failures = 3;
        network->failed_ms = world.now_ms;
        network->message = xstrdup("subnet 10.0.0.0/24 is in use by eth0");
        struct vm_fact *vm = vm_of("web", 1);

        world_vm_gone(&world, vm);
        turn();
        show_why(NULL, NULL);
        end();
}

static void stopped(void)
{
        begin("9. Stopped on request", "`berth stop shop/db`: who needs it waits.");
        apply(DB, WEB, NULL);
        world_wish(&world, "shop", "db")->stopped = true;
        turn();
        show_why(NULL, NULL);
        end();
}

static void ended_for_health(void)
{
        begin("10. Ended for its health",
              "`x-berth.on_unhealthy: restart`, tested over tcp without a program in the image.");
        apply("web restart=always health unhealthy=restart", NULL);
        turn();
        runs("web", 1);
        health("web", 1, HEALTH_HEALTHY, NULL);
        passes(60000);
        health("web", 1, HEALTH_UNHEALTHY, "healthcheck: tcp 10.1.0.2:80: Connection refused");
        turn();
        show_why(NULL, NULL);
        passes(50);
        exits("web", 1, EXIT_HEALTH, 143, "healthcheck: tcp 10.1.0.2:80: Connection refused");
        turn();
        show_why(NULL, NULL);
        passes(200);
        turn();
        runs("web", 1);
        show_events();
        end();
}

/* A VM that could not be prepared is tried again until what it lacks is there. */
static void lacking(const char *title, const char *text, const char *message)
{
        begin(title, text);
        apply("web restart=always", NULL);
        turn();
        for (unsigned i = 0; i < 2; i++) {
                world_vm_ends(&world, vm_of("web", 1), VM_FAILED, EXIT_PREPARE, 0, message);
                tell("web", 1, "failed", exit_reason_name(EXIT_PREPARE), message);
                turn();
                gone("web", 1);
                passes(i ? 0 : 200);
                turn();
        }
        show_why(NULL, NULL);
        show_events();
        end();
}

static void wrong_test(void)
{
        begin("13. A healthcheck that cannot run", "The image has no `curl`.");
        apply("web restart=always health", NULL);
        turn();
        runs("web", 1);
        passes(90000);
        health("web", 1, HEALTH_UNHEALTHY,
               "healthcheck could not run: exec: \"curl\": executable file not found in $PATH");
        passes(5000);
        show_why(NULL, NULL);
        end();
}

static int64_t memory_of(const struct service *service)
{
        return service->vm_memory_bytes;
}

static void refused(void)
{
        static const char manifest[] = "name: shop\n"
                                       "services:\n"
                                       "  db:\n"
                                       "    image: db:16\n"
                                       "    scale: 3\n"
                                       "    x-berth: {memory: 3g}\n";
        AUTO(stack) struct stack *stack = load(manifest, NULL);
        const struct admission_input input = {.wanted = {.stack = stack},
                                              .vm_memory = memory_of,
                                              .overcommit = ADMISSION_OVERCOMMIT,
                                              .memory_bytes = INT64_C(4) << 30,
                                              .memory_free_bytes = INT64_C(3) << 30,
                                              .disk = "/var/lib/berth",
                                              .disk_free_bytes = INT64_C(100) << 30};
        struct admission admission;

        begin("14. Refused", "What does not fit is refused before anything is stored or started.");
        strbuf_adds(&page, "\n");
        indent(manifest);
        admission_check(&input, &admission);
        is_int((long long)admission.len, 1, "one reason");
        strbuf_adds(&page, "\n    $ berth apply -f shop.yaml\n");
        for (size_t i = 0; i < admission.len; i++)
                strbuf_addf(&page, "    error: stack shop was not changed: %s\n",
                            admission.refusals[i]);
        admission_release(&admission);
        end();
}

static void check_page(void)
{
        AUTO_FREE char *there = NULL;

        if (getenv("UPDATE")) {
                ok(file_write_atomic(PAGE, strbuf_str(&page), page.len, 0644, NULL) == 0,
                   "written");
                return;
        }
        if (file_read(PAGE, 1 << 20, &there, NULL, NULL) < 0)
                there = xstrdup("");
        ok(streq(there, strbuf_str(&page)), PAGE " shows what is said; UPDATE=1 writes it");
}

int main(void)
{
        strbuf_adds(&page, "# What berth says\n\n"
                           "`why`, `events`, `diff` and `apply` in fourteen situations. This page "
                           "is written by "
                           "a test (tests/unit/cli/explain_test.c),\nwhich fails when the words "
                           "change; times are those of a virtual clock.\n");
        waiting_for_health();
        crash_loop();
        given_up();
        image_missing();
        in_place();
        paused_update();
        rolled_back();
        network_fails();
        stopped();
        ended_for_health();
        lacking("11. A port that another program has", "Nothing runs until it can be published.",
                "port 8080 cannot be published: 127.0.0.1:8080/tcp: Address already in use; held "
                "by nginx (process 812); stop what uses it, or publish another port");
        lacking("12. A volume in use", "A disk is of one VM at a time.",
                "volume common is a disk that blog/db/1 has; stop that one, or set the volume's "
                "x-berth.class to shared in both stacks");
        wrong_test();
        refused();
        check_page();
        strbuf_release(&page);
        strbuf_release(&events);
        return tap_done();
}
