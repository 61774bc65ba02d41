/* SPDX-License-Identifier: Apache-2.0 */
/* What happens: one table of verbs, from which events are drawn, written, read and run. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tests/sim/sim.h"

enum argument { ARG_NONE, ARG_NUMBER, ARG_STACK, ARG_SERVICE, ARG_CALL, ARG_HOW };

static const struct verb {
        const char *name;
        unsigned weight; /* of 1000 or so */
        enum argument args[3];
        unsigned max[3]; /* of numbers */
} verbs[] = {
        [VERB_APPLY] = {"apply", 110, {0}, {0}},
        [VERB_DELETE] = {"delete", 25, {ARG_STACK, ARG_NUMBER}, {0, 2}},
        [VERB_STOP] = {"stop", 20, {ARG_STACK, ARG_SERVICE}, {0}},
        [VERB_START] = {"start", 25, {ARG_STACK, ARG_SERVICE}, {0}},
        [VERB_RESTART] = {"restart", 40, {ARG_STACK, ARG_SERVICE}, {0}},
        [VERB_SCALE] = {"scale", 30, {ARG_STACK, ARG_SERVICE, ARG_NUMBER}, {0, 0, 4}},
        [VERB_ROLLBACK] = {"rollback", 25, {ARG_STACK}, {0}},
        [VERB_VM_DIES] = {"vm-dies", 70, {ARG_NUMBER, ARG_NUMBER}, {20, 3}},
        [VERB_EXITS] = {"exits", 70, {ARG_NUMBER, ARG_NUMBER}, {20, 140}},
        [VERB_SICK] = {"sick", 30, {ARG_STACK, ARG_SERVICE}, {0}},
        [VERB_WELL] = {"well", 40, {ARG_STACK, ARG_SERVICE}, {0}},
        [VERB_GUEST_LOST] = {"guest-lost", 40, {ARG_NUMBER}, {20}},
        [VERB_TWICE] = {"twice", 30, {ARG_NUMBER}, {20}},
        [VERB_NET_DIES] = {"net-dies", 30, {ARG_NUMBER}, {20}},
        [VERB_NET_CREATE] = {"net-create", 45, {ARG_NUMBER}, {2}},
        [VERB_NET_RM] = {"net-rm", 20, {0}, {0}},
        [VERB_IMAGE_GONE] = {"image-gone", 20, {ARG_NUMBER}, {SIM_IMAGES}},
        [VERB_IMAGE_NEW] = {"image-new", 25, {ARG_NUMBER}, {SIM_IMAGES}},
        [VERB_FAULT] = {"fault", 200, {ARG_CALL, ARG_HOW, ARG_NUMBER}, {0, 0, 4}},
        [VERB_CRASH] = {"crash", 70, {ARG_NUMBER}, {60}},
        [VERB_OUTAGE] = {"outage", 40, {ARG_NUMBER, ARG_NUMBER}, {30, 30}},
        [VERB_REBOOT] = {"reboot", 8, {0}, {0}},
        [VERB_FULL] = {"full", 15, {0}, {0}},
        [VERB_ROOM] = {"room", 30, {0}, {0}},
        [VERB_CLOCK] = {"clock", 15, {ARG_NUMBER, ARG_NUMBER}, {2, 7200}},
};

static_assert(ARRAY_SIZE(verbs) == VERB_COUNT, "each verb has its line");

/* --------------------------------------------------------------------------------- drawn, text */

static unsigned draw_argument(uint64_t *state, enum argument arg, unsigned max)
{
        switch (arg) {
        case ARG_NONE:
                return 0;
        case ARG_NUMBER:
                return sim_roll(state, max);
        case ARG_STACK:
                return sim_roll(state, SIM_STACKS);
        case ARG_SERVICE:
                return sim_roll(state, SIM_SERVICES);
        case ARG_CALL:
                return sim_roll(state, CALL_COUNT);
        case ARG_HOW:
                return 1 + sim_roll(state, HOW_COUNT - 1);
        }
        return 0;
}

static enum sim_verb draw_verb(uint64_t *state)
{
        unsigned all = 0, n;

        for (size_t i = 0; i < VERB_COUNT; i++)
                all += verbs[i].weight;
        n = sim_roll(state, all);
        for (size_t i = 0; i < VERB_COUNT; i++) {
                if (n < verbs[i].weight)
                        return (enum sim_verb)i;
                n -= verbs[i].weight;
        }
        return VERB_APPLY;
}

void sim_event_draw(uint64_t seed, unsigned i, struct sim_event *ret)
{
        uint64_t state =
                (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (i + 1) * UINT64_C(0xbf58476d1ce4e5b9);

        for (unsigned k = 0; k < 4; k++)
                (void)sim_roll(&state, 2);
        *ret = (struct sim_event){.verb = i < 2 ? VERB_APPLY : draw_verb(&state)};
        if (i == 0 && seed % 2)
                ret->verb = VERB_NET_CREATE;
        ret->wait_ms = sim_roll(&state, 4) ? sim_roll(&state, 400) : sim_roll(&state, 8000);
        if (sim_roll(&state, 40) == 0)
                ret->wait_ms = 90000;
        ret->a = draw_argument(&state, verbs[ret->verb].args[0], verbs[ret->verb].max[0]);
        ret->b = draw_argument(&state, verbs[ret->verb].args[1], verbs[ret->verb].max[1]);
        ret->c = draw_argument(&state, verbs[ret->verb].args[2], verbs[ret->verb].max[2]);
        if (ret->verb == VERB_APPLY)
                sim_manifest_draw(&state, &ret->manifest);
}

static void argument_text(struct strbuf *sb, enum argument arg, unsigned value)
{
        switch (arg) {
        case ARG_NONE:
                return;
        case ARG_NUMBER:
        case ARG_SERVICE:
                strbuf_addf(sb, " %u", value);
                return;
        case ARG_STACK:
                strbuf_addf(sb, " %c", 'a' + value);
                return;
        case ARG_CALL:
                strbuf_addf(sb, " %s", sim_call_name(value));
                return;
        case ARG_HOW:
                strbuf_addf(sb, " %s", sim_how_name(value));
                return;
        }
}

char *sim_event_text(const struct sim_event *event)
{
        const struct verb *verb = &verbs[event->verb];
        struct strbuf sb = STRBUF_INIT(1u << 16);

        strbuf_addf(&sb, "+%u %s", event->wait_ms, verb->name);
        argument_text(&sb, verb->args[0], event->a);
        argument_text(&sb, verb->args[1], event->b);
        argument_text(&sb, verb->args[2], event->c);
        if (event->verb == VERB_APPLY) {
                strbuf_addc(&sb, ' ');
                sim_manifest_text(&event->manifest, &sb);
        }
        return strbuf_take(&sb);
}

static const char *parse_argument(enum argument arg, const char *word, unsigned *ret)
{
        if (arg == ARG_NONE)
                return word ? "a word too many" : NULL;
        if (!word)
                return "a word is missing";
        *ret = (unsigned)strtoul(word, NULL, 10);
        if (arg == ARG_STACK)
                *ret = (unsigned)(word[0] - 'a') % SIM_STACKS;
        for (unsigned i = 0; arg == ARG_CALL && i <= CALL_COUNT; i++) {
                if (i == CALL_COUNT)
                        return "no such call";
                *ret = i;
                if (streq(word, sim_call_name(i)))
                        break;
        }
        for (unsigned i = 0; arg == ARG_HOW && i <= HOW_COUNT; i++) {
                if (i == HOW_COUNT)
                        return "no such way to fail";
                *ret = i;
                if (streq(word, sim_how_name(i)))
                        break;
        }
        return NULL;
}

const char *sim_event_parse(const char *line, struct sim_event *ret)
{
        AUTO_FREE char *copy = xstrdup(line);
        char *save = NULL;
        const char *wait = strtok_r(copy, " \n", &save), *name = strtok_r(NULL, " \n", &save);
        const char *wrong = NULL;
        unsigned *values[] = {&ret->a, &ret->b, &ret->c};

        *ret = (struct sim_event){0};
        if (!wait || wait[0] != '+' || !name)
                return "not of the form +MS VERB ...";
        ret->wait_ms = (unsigned)strtoul(wait + 1, NULL, 10);
        while (ret->verb < VERB_COUNT && !streq(verbs[ret->verb].name, name))
                ret->verb++;
        if (ret->verb == VERB_COUNT)
                return "no such verb";
        if (ret->verb == VERB_APPLY)
                return sim_manifest_parse(strtok_r(NULL, "\n", &save), &ret->manifest);
        for (size_t i = 0; i < 3 && !wrong; i++)
                wrong = parse_argument(verbs[ret->verb].args[i], strtok_r(NULL, " \n", &save),
                                       values[i]);
        return wrong;
}

/* ----------------------------------------------------------------------------------------- run */

static void stack_name(unsigned stack, char *ret)
{
        ret[0] = (char)('a' + stack % SIM_STACKS);
        ret[1] = '\0';
}

/* What was answered holds from now on. */
static void note_answer(unsigned stack)
{
        char name[2];
        const struct desired *desired;

        stack_name(stack, name);
        desired = daemon_find(sim_daemon, name);
        sim->promised[stack] =
                (struct sim_promise){.known = desired,
                                     .revision = desired ? desired->revision : 0,
                                     .delete_asked = desired && desired->wanted != STACK_UP};
}

static void run_apply(const struct sim_manifest *manifest)
{
        AUTO_JSON json_t *json = sim_manifest_json(manifest);
        AUTO_JSON json_t *diagnostics = NULL;
        struct err err = ERR_INIT;
        char name[2];
        int r;

        stack_name(manifest->stack, name);
        sim->edits++;
        r = daemon_apply(sim_daemon, name, json, "sim.yaml", STACK_PORTS_MANIFEST, &diagnostics,
                         &err);
        sim->refused += r < 0;
        if (r < 0)
                sim_trace("refused: %s: %s", err.msg,
                          json_string_value(json_array_get(diagnostics, 0)));
        else
                note_answer(manifest->stack);
}

static void run_delete(const struct sim_event *event)
{
        struct err err = ERR_INIT;
        char name[2];

        stack_name(event->a, name);
        sim->deletes++;
        if (daemon_find(sim_daemon, name))
                sim->promised[event->a % SIM_STACKS].delete_asked = true;
        if (daemon_delete(sim_daemon, name, event->b, &err) == 0)
                note_answer(event->a % SIM_STACKS);
}

/* Services are named by number: j2 or s2, whichever there is. */
static const char *service_name(const struct desired *desired, unsigned number)
{
        for (size_t i = 0; desired && i < desired->stack->services_len; i++)
                if (desired->stack->services[i].name[1] == (char)('0' + number))
                        return desired->stack->services[i].name;
        return NULL;
}

static void run_change(const struct sim_event *event)
{
        AUTO_JSON json_t *services = json_array();
        struct stack_change change = {
                .verb = verbs[event->verb].name, .services = services, .replicas = event->c};
        struct err err = ERR_INIT;
        char name[2];
        const char *service;

        stack_name(event->a, name);
        service = service_name(daemon_find(sim_daemon, name), event->b);
        if (event->verb == VERB_ROLLBACK)
                change.services = NULL;
        else if (!service)
                return;
        else
                json_array_append_new(services, json_string(service));
        sim->changes++;
        if (daemon_change(sim_daemon, name, &change, &err) >= 0)
                note_answer(event->a % SIM_STACKS);
}

/* The network x, that stacks share: a client makes it, internal or not, or removes it. */
static void run_network(const struct sim_event *event)
{
        struct network spec = {.internal = event->a};
        struct err err = ERR_INIT;
        int r;

        if (event->verb == VERB_NET_CREATE) {
                r = daemon_network_create(sim_daemon, "x", &spec, &err);
                sim->promised_net = sim->promised_net || r == 0;
        } else {
                bool before = sim->promised_net;

                sim->promised_net = false; /* half of it may be done */
                r = daemon_network_delete(sim_daemon, "x", &err);
                sim->promised_net = before && r == -EBUSY;
        }
        sim->shared += r == 0;
        if (r < 0)
                sim_trace("refused: %s", err.msg);
}

static void run_vm(const struct sim_event *event)
{
        struct sim_vm *vm = sim_vm_pick(event->a);

        if (!vm)
                return;
        sim_trace("%s to vm %s of %s/%s/%u", verbs[event->verb].name, vm->id, vm->stack,
                  vm->service, vm->replica);
        if (event->verb == VERB_VM_DIES) {
                sim->deaths++;
                sim_vm_dies(vm, (enum vm_end)event->b);
        } else if (event->verb == VERB_GUEST_LOST) {
                sim->lost++;
                sim_guest_lost(vm);
        } else if (event->verb == VERB_EXITS && vm->guest == GUEST_RUNNING) {
                vm->exit_code = (int)event->b;
                vm->exit_ms = sim->mono_ms;
                sim->deaths++;
        } else if (event->verb == VERB_TWICE && vm->guest == GUEST_RUNNING) {
                sim_guest_told_started(vm);
                sim->faults[HOW_DOUBLE]++;
        } else if (event->verb == VERB_TWICE && vm->guest == GUEST_EXITED) {
                sim_guest_told_exited(vm, true);
                sim->faults[HOW_DOUBLE]++;
        }
}

/* The daemon dies, and a VM and a netd (even numbers: none) while nobody looks. */
static void run_outage(const struct sim_event *event)
{
        struct sim_vm *vm = event->a % 2 ? sim_vm_pick(event->a / 2) : NULL;
        struct sim_net *net = event->b % 2 ? sim_net_pick(event->b / 2) : NULL;

        sim->deaths += vm != NULL;
        sim->net_deaths += net != NULL;
        if (vm)
                sim_vm_dies(vm, VM_END_KILLED);
        if (net)
                sim_net_dies(net);
        sim->crash_in = 1;
        sim_effect("outage");
}

static void run_reboot(void)
{
        sim->reboots++;
        for (size_t i = 0; i < SIM_VMS; i++)
                sim->vms[i].alive = false;
        for (size_t i = 0; i < SIM_NETS; i++)
                sim->nets[i].alive = false;
        sim->wall_offset_ms += sim->mono_ms + 30000;
        sim->event_at_ms -= sim->mono_ms;
        sim->mono_ms = 0;
        sim->crash_in = 1;
        sim_effect("reboot");
}

static void run_image(const struct sim_event *event)
{
        sim->images[event->a % SIM_IMAGES].present = event->verb == VERB_IMAGE_NEW;
        sim->images[event->a % SIM_IMAGES].version += event->verb == VERB_IMAGE_NEW;
        images_forget(sim_daemon->images);
        daemon_dirty(sim_daemon);
}

static void run_disaster(const struct sim_event *event)
{
        struct sim_net *net;

        switch (event->verb) {
        case VERB_NET_DIES:
                net = sim_net_pick(event->a);
                sim->net_deaths += net != NULL;
                if (net)
                        sim_net_dies(net);
                return;
        case VERB_FAULT:
                sim->armed[event->a % CALL_COUNT].in = 1 + event->c;
                sim->armed[event->a % CALL_COUNT].how = event->b % HOW_COUNT;
                return;
        case VERB_CRASH:
                sim->crash_in = 1 + event->a;
                return;
        case VERB_OUTAGE:
                run_outage(event);
                return;
        case VERB_REBOOT:
                run_reboot();
                return;
        case VERB_FULL:
                sim->fulls += !sim->full;
                sim->full = true;
                return;
        case VERB_ROOM:
                sim->full = false;
                return;
        case VERB_CLOCK:
                sim->jumps++;
                sim->wall_offset_ms += (event->a ? 1000 : -1000) * (int64_t)event->b;
                return;
        default:
                bug("no disaster");
        }
}

void sim_event_run(const struct sim_event *event)
{
        AUTO_FREE char *text = sim_event_text(event);
        char stack[2], service[3] = {'s', (char)('0' + event->b % SIM_SERVICES), '\0'};

        sim_trace("-- %s", text);
        stack_name(event->a, stack);
        switch (event->verb) {
        case VERB_APPLY:
                run_apply(&event->manifest);
                return;
        case VERB_DELETE:
                run_delete(event);
                return;
        case VERB_STOP:
        case VERB_START:
        case VERB_RESTART:
        case VERB_SCALE:
        case VERB_ROLLBACK:
                run_change(event);
                return;
        case VERB_VM_DIES:
        case VERB_EXITS:
        case VERB_GUEST_LOST:
        case VERB_TWICE:
                run_vm(event);
                return;
        case VERB_SICK:
        case VERB_WELL:
                *sim_sick(stack, service) = event->verb == VERB_SICK;
                return;
        case VERB_NET_CREATE:
        case VERB_NET_RM:
                run_network(event);
                return;
        case VERB_IMAGE_GONE:
        case VERB_IMAGE_NEW:
                run_image(event);
                return;
        default:
                run_disaster(event);
                return;
        }
}
