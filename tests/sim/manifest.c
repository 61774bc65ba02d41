/* SPDX-License-Identifier: Apache-2.0 */
/* Random manifests, as JSON for the daemon and as words for scenarios. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "tests/sim/sim.h"

static const char *const restarts[] = {"no",     "on-failure",     "on-failure:3",
                                       "always", "unless-stopped", NULL};
static const char *const orders[] = {"none", "stop-first", "start-first", NULL};
static const char *const actions[] = {"pause", "continue", "rollback", NULL};
static const char *const conditions[] = {"started", "healthy", "completed", NULL};
static const char *const conditions_long[] = {"service_started", "service_healthy",
                                              "service_completed_successfully"};
/* none; the stack's own disk; one that all stacks name; a folder of the host */
static const char *const volumes[] = {"none", "own", "common", "shared", NULL};

#define FIELD(f) #f, offsetof(struct sim_service, f)

/* Numbers unless names are given; 0 is the default and not written. */
static const struct {
        const char *word;
        size_t offset;
        const char *const *names;
} fields[] = {
        {FIELD(job), NULL},       {FIELD(replicas), NULL},    {FIELD(image), NULL},
        {FIELD(env), NULL},       {FIELD(restart), restarts}, {FIELD(net0), NULL},
        {FIELD(net1), NULL},      {FIELD(health), NULL},      {FIELD(order), orders},
        {FIELD(action), actions}, {FIELD(parallelism), NULL}, {FIELD(monitor), NULL},
        {FIELD(ratio), NULL},     {FIELD(rollback), orders},  {FIELD(volume), volumes},
        {FIELD(port), NULL},      {FIELD(on), NULL},          {FIELD(when), conditions},
        {FIELD(optional), NULL},  {FIELD(also), NULL},        {FIELD(then), conditions},
        {FIELD(together), NULL},
};

static uint8_t *at(struct sim_service *service, size_t field)
{
        return (uint8_t *)service + fields[field].offset;
}

/* on and also: 1 + the number of an earlier service; 0: none. */
static void draw_service(uint64_t *state, struct sim_manifest *m, unsigned i)
{
        struct sim_service *s = &m->services[i];
        bool job = i % 3 == 2;

        *s = (struct sim_service){.used = 1, .job = job, .replicas = 1};
        if (sim_roll(state, 3) == 0)
                s->replicas = (uint8_t)sim_roll(state, SIM_REPLICAS);
        s->image = (uint8_t)sim_roll(state, SIM_IMAGES);
        s->env = (uint8_t)sim_roll(state, 3);
        s->restart = (uint8_t)sim_roll(state, job ? 3 : 5);
        s->net0 = (uint8_t)sim_roll(state, 3);
        s->net1 = sim_roll(state, 4) ? 0 : (uint8_t)sim_roll(state, 3);
        s->health = !job && sim_roll(state, 2);
        s->order = (uint8_t)sim_roll(state, 3);
        s->action = (uint8_t)sim_roll(state, 3);
        s->parallelism = (uint8_t)sim_roll(state, 3);
        s->monitor = (uint8_t)sim_roll(state, 3);
        s->ratio = sim_roll(state, 3) == 0;
        s->rollback = sim_roll(state, 4) ? 0 : (uint8_t)sim_roll(state, 3);
        s->volume = sim_roll(state, 4) ? 0 : (uint8_t)sim_roll(state, 4);
        s->port = sim_roll(state, 5) == 0;
        if (i && sim_roll(state, 2)) {
                s->on = (uint8_t)(1 + sim_roll(state, i));
                s->when = (s->on - 1) % 3 == 2 ? 2 : (uint8_t)sim_roll(state, 2);
                s->optional = sim_roll(state, 8) == 0;
                s->together = sim_roll(state, 4) == 0;
        }
        if (i && sim_roll(state, 4) == 0) {
                s->also = (uint8_t)(1 + sim_roll(state, i));
                s->then = (s->also - 1) % 3 == 2 ? 2 : (uint8_t)sim_roll(state, 2);
        }
        if (s->volume == 1 || s->volume == 2)
                s->replicas = s->replicas ? 1 : 0;
}

void sim_manifest_draw(uint64_t *state, struct sim_manifest *ret)
{
        unsigned n = 1 + sim_roll(state, SIM_SERVICES);

        *ret = (struct sim_manifest){.stack = (uint8_t)sim_roll(state, SIM_STACKS),
                                     .internal = (uint8_t)sim_roll(state, 8)};
        ret->external = sim_roll(state, 4) ? 0 : (uint8_t)(1 + sim_roll(state, 3));
        ret->named = sim_roll(state, 3) ? 0 : (uint8_t)(1 + sim_roll(state, 3));
        if (ret->named == ret->external)
                ret->named = 0;
        for (unsigned i = 0; i < n; i++)
                if (sim_roll(state, 6))
                        draw_service(state, ret, i);
}

/* -------------------------------------------------------------------------------------- JSON */

static char *name_of(const struct sim_manifest *m, unsigned i)
{
        return xasprintf("%c%u", m->services[i].job ? 'j' : 's', i);
}

static json_t *depends_json(const struct sim_manifest *m, const struct sim_service *s)
{
        json_t *j = json_object();

        const struct {
                uint8_t on, when, optional;
        } list[] = {{s->on, s->when, s->optional}, {s->also, s->then, 0}};

        for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
                AUTO_FREE char *name = NULL;

                if (!list[i].on || !m->services[list[i].on - 1].used)
                        continue;
                name = name_of(m, list[i].on - 1u);
                json_object_set_new(j, name,
                                    json_pack("{s:s, s:b, s:b}", "condition",
                                              conditions_long[list[i].when], "required",
                                              !list[i].optional, "restart", s->together));
        }
        return j;
}

static json_t *update_json(const struct sim_service *s, unsigned order)
{
        AUTO_FREE char *monitor = xasprintf("%us", s->monitor);

        return json_pack("{s:s, s:s, s:i, s:s, s:f}", "order", orders[order], "failure_action",
                         actions[s->action], "parallelism", s->parallelism, "monitor", monitor,
                         "max_failure_ratio", s->ratio ? 0.5 : 0.0);
}

static void set_volume(json_t *j, const struct sim_service *s, unsigned i)
{
        AUTO_FREE char *own = xasprintf("v%u", i % 2);
        const char *source = s->volume == 1 ? own : volumes[s->volume];

        if (s->volume)
                json_object_set_new(j, "volumes",
                                    json_pack("[{s:s, s:s, s:s}]", "type", "volume", "source",
                                              source, "target", "/data"));
}

static json_t *service_json(const struct sim_manifest *m, unsigned i)
{
        const struct sim_service *s = &m->services[i];
        AUTO_FREE char *image = xasprintf("i%u:1", s->image), *env = xasprintf("%u", s->env);
        AUTO_FREE char *net0 = xasprintf("n%u", s->net0), *net1 = xasprintf("n%u", s->net1);
        json_t *deploy = json_object();
        json_t *j = json_pack("{s:s, s:[s], s:s, s:i, s:{s:s}, s:s, s:{s:{}}, s:o}", "image", image,
                              "command", "run", "restart", restarts[s->restart], "scale",
                              s->replicas, "environment", "V", env, "stop_grace_period", "5s",
                              "networks", net0, "depends_on", depends_json(m, s));

        if (s->image % 2)
                json_set_str(j, "pull_policy", "never");
        if (s->net1)
                json_object_set_new(json_object_get(j, "networks"), net1, json_object());
        if (s->health)
                json_object_set_new(j, "healthcheck",
                                    json_pack("{s:[s,s], s:s, s:s, s:i}", "test", "CMD", "test",
                                              "interval", "2s", "timeout", "1s", "retries", 2));
        if (s->order)
                json_object_set_new(deploy, "update_config", update_json(s, s->order));
        if (s->rollback)
                json_object_set_new(deploy, "rollback_config", update_json(s, s->rollback));
        json_object_set_new(j, "deploy", deploy);
        set_volume(j, s, i);
        if (s->port)
                json_object_set_new(j, "ports", json_pack("[{s:i}]", "target", 80));
        return j;
}

static json_t *network_json(const struct sim_manifest *m, unsigned i)
{
        json_t *j;

        if (m->external == i + 1)
                return json_pack("{s:b, s:s}", "external", 1, "name", "x");
        j = json_object();
        if (m->named == i + 1)
                json_set_str(j, "name", "y");
        if (m->internal & (1u << i))
                json_set_bool(j, "internal", true);
        return j;
}

json_t *sim_manifest_json(const struct sim_manifest *m)
{
        char name[] = {(char)('a' + m->stack), '\0'};
        json_t *services = json_object(), *networks = json_object();

        for (unsigned i = 0; i < SIM_SERVICES; i++) {
                AUTO_FREE char *service = name_of(m, i);

                if (m->services[i].used)
                        json_object_set_new(services, service, service_json(m, i));
        }
        for (unsigned i = 0; i < 3; i++) {
                char network[] = {'n', (char)('0' + i), '\0'};

                json_object_set_new(networks, network, network_json(m, i));
        }
        return json_pack("{s:s, s:o, s:o, s:{s:{}, s:{}, s:{s:s}, s:{s:{s:s}}}}", "name", name,
                         "services", services, "networks", networks, "volumes", "v0", "v1",
                         "common", "name", "common", "shared", "x-berth", "class", "shared");
}

/* -------------------------------------------------------------------------------------- words */

void sim_manifest_text(const struct sim_manifest *m, struct strbuf *sb)
{
        strbuf_addf(sb, "%c internal=%u", 'a' + m->stack, m->internal);
        if (m->external)
                strbuf_addf(sb, " external=%u", m->external);
        if (m->named)
                strbuf_addf(sb, " named=%u", m->named);
        for (unsigned i = 0; i < SIM_SERVICES; i++) {
                struct sim_service s = m->services[i];

                if (!s.used)
                        continue;
                strbuf_addf(sb, " service=%u", i);
                for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
                        unsigned value = *at(&s, f);

                        if (value && fields[f].names)
                                strbuf_addf(sb, " %s=%s", fields[f].word, fields[f].names[value]);
                        else if (value)
                                strbuf_addf(sb, " %s=%u", fields[f].word, value);
                }
        }
}

static int value_of(const char *const *names, const char *text)
{
        if (!names)
                return (int)strtoul(text, NULL, 10);
        for (int i = 0; names[i]; i++)
                if (streq(names[i], text))
                        return i;
        return -1;
}

static const char *parse_field(struct sim_service *s, const char *word, const char *value)
{
        for (size_t f = 0; s && f < ARRAY_SIZE(fields); f++) {
                int n;

                if (!streq(word, fields[f].word))
                        continue;
                n = value_of(fields[f].names, value);
                if (n < 0 || n > 200)
                        return "a value that the field cannot have";
                *at(s, f) = (uint8_t)n;
                return NULL;
        }
        return "a word that no service has";
}

const char *sim_manifest_parse(char *words, struct sim_manifest *ret)
{
        struct sim_service *s = NULL;
        const char *wrong = NULL;
        char *save = NULL;
        char *word = strtok_r(words, " ", &save);

        if (!word || word[0] < 'a' || word[0] >= 'a' + SIM_STACKS)
                return "no such stack";
        ret->stack = (uint8_t)(word[0] - 'a');
        while (!wrong && (word = strtok_r(NULL, " ", &save))) {
                char *value = strchr(word, '=');

                if (!value)
                        return "not of the form WORD=VALUE";
                *value++ = '\0';
                if (streq(word, "internal")) {
                        ret->internal = (uint8_t)strtoul(value, NULL, 10);
                } else if (streq(word, "external")) {
                        ret->external = (uint8_t)(strtoul(value, NULL, 10) % 4);
                } else if (streq(word, "named")) {
                        ret->named = (uint8_t)(strtoul(value, NULL, 10) % 4);
                } else if (streq(word, "service")) {
                        s = &ret->services[strtoul(value, NULL, 10) % SIM_SERVICES];
                        s->used = 1;
                } else {
                        wrong = parse_field(s, word, value);
                }
        }
        return wrong;
}

bool sim_manifest_simplify(struct sim_manifest *m, unsigned n)
{
        unsigned i = n / (ARRAY_SIZE(fields) + 1), f = n % (ARRAY_SIZE(fields) + 1);

        if (n == SIM_SERVICES * (ARRAY_SIZE(fields) + 1)) {
                m->internal = 0;
                return true;
        }
        if (n == SIM_SERVICES * (ARRAY_SIZE(fields) + 1) + 1) {
                m->external = m->named = 0;
                return true;
        }
        if (i >= SIM_SERVICES)
                return false;
        if (f == 0)
                m->services[i] = (struct sim_service){0};
        else if (m->services[i].used && !streq(fields[f - 1].word, "job"))
                *at(&m->services[i], f - 1) = streq(fields[f - 1].word, "replicas") ? 1 : 0;
        return true;
}
