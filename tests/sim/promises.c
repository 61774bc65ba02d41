/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold at every step, and in the end. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tests/sim/sim.h"

#define BUSY_MAX 3000 /* callbacks at one moment: far above what any change takes */

/* The instances that the last check has seen, and in which state. */
static struct seen {
        char id[16];
        enum vm_state state;
} * seen;

static size_t seen_len;

static struct seen *find_seen(const char *id)
{
        for (size_t i = 0; i < seen_len; i++)
                if (streq(seen[i].id, id))
                        return &seen[i];
        return NULL;
}

const struct service *sim_service(const char *stack, const char *service, const char **ret_hash)
{
        const struct desired *desired = daemon_find(sim_daemon, stack);
        const struct service *found;

        if (!desired || desired->wanted != STACK_UP)
                return NULL;
        found = stack_find_service(desired->stack, service);
        if (found && ret_hash)
                *ret_hash = desired->hashes->services[found - desired->stack->services];
        return found;
}

/* ------------------------------------------------------------------------- when a VM is started */

static bool is_start_first(const struct service *service)
{
        return service && (service->update.order == UPDATE_START_FIRST ||
                           service->rollback.order == UPDATE_START_FIRST);
}

static void check_alone(const struct instance *in, const struct sim_vm *vm)
{
        const struct service *service = stack_find_service(in->desired->stack, in->service);
        unsigned others = 0;

        for (size_t i = 0; i < SIM_VMS; i++) {
                const struct sim_vm *other = &sim->vms[i];

                if (!other->alive || other->replica != vm->replica ||
                    !streq(other->stack, vm->stack) || !streq(other->service, vm->service))
                        continue;
                others++;
                if (other->guest == GUEST_RUNNING && streq(other->hash, vm->hash))
                        sim_broken("a second VM of one spec: %s/%s/%u", vm->stack, vm->service,
                                   vm->replica);
        }
        sim->surges += others > 0;
        if (others > 1 || (others && !is_start_first(service)))
                sim_broken("a second VM: of %s/%s/%u beside %u", vm->stack, vm->service,
                           vm->replica, others);
}

static bool holds(const struct sim_vm *vm, const char *disk)
{
        for (size_t i = 0; i < VM_DISKS_MAX; i++)
                if (streq(vm->disks[i], disk))
                        return true;
        return false;
}

static void check_volumes(const struct sim_vm *vm)
{
        for (size_t d = 0; d < VM_DISKS_MAX; d++)
                for (size_t i = 0; vm->disks[d][0] && i < SIM_VMS; i++)
                        if (sim->vms[i].alive && holds(&sim->vms[i], vm->disks[d]))
                                sim_broken("a volume attached twice: %s, by %s/%s/%u and %s/%s/%u",
                                           vm->disks[d], vm->stack, vm->service, vm->replica,
                                           sim->vms[i].stack, sim->vms[i].service,
                                           sim->vms[i].replica);
}

static bool has_address(const struct sim_vm *vm, uint32_t ip)
{
        for (size_t i = 0; i < VM_NICS_MAX; i++)
                if (vm->ips[i] == ip)
                        return true;
        return false;
}

static void check_addresses(const struct sim_vm *vm)
{
        for (size_t n = 0; n < VM_NICS_MAX; n++)
                for (size_t i = 0; vm->ips[n] && i < SIM_VMS; i++)
                        if (sim->vms[i].alive && has_address(&sim->vms[i], vm->ips[n]))
                                sim_broken("an address given twice: to %s/%s/%u and %s/%s/%u",
                                           vm->stack, vm->service, vm->replica, sim->vms[i].stack,
                                           sim->vms[i].service, sim->vms[i].replica);
}

void sim_check_start(const struct instance *in, const struct sim_vm *vm)
{
        check_addresses(vm);
        check_alone(in, vm);
        check_volumes(vm);
}

/* -------------------------------------------------------------------- when a VM is decided upon */

static bool dependency_is(const struct instance *in, const struct depends *dep,
                          const struct service *on, unsigned replica)
{
        const struct stack *stack = in->desired->stack;
        const char *hash = in->desired->hashes->services[on - stack->services];
        const struct sim_truth *truth = sim_truth(in->stack, on->name, replica);

        switch (dep->condition) {
        case DEPENDS_COMPLETED:
                return sim_hashes_have(&truth->completed, hash);
        case DEPENDS_HEALTHY:
                if (on->has_healthcheck)
                        return sim_hashes_have(&truth->healthy, hash);
                return sim_hashes_have(&truth->started, hash);
        case DEPENDS_STARTED:
                return sim_hashes_have(&truth->started, hash);
        }
        return false;
}

static void check_decided(const struct instance *in)
{
        const struct service *service = stack_find_service(in->desired->stack, in->service);
        const struct desired *desired = in->desired;

        if (in->replica < 1 || in->replica > service->replicas)
                sim_broken("created though not wanted: %s/%s/%u", in->stack, in->service,
                           in->replica);
        if (desired->wishes.services[service - desired->stack->services].stopped)
                sim_broken("created though stopped: %s/%s/%u", in->stack, in->service, in->replica);
        for (size_t i = 0; i < service->depends_on_len; i++) {
                const struct depends *dep = &service->depends_on[i];
                const struct service *on = stack_find_service(desired->stack, dep->service);

                for (unsigned r = 1; on && dep->required && r <= on->replicas; r++)
                        if (!dependency_is(in, dep, on, r))
                                sim_broken("started before its dependency: %s/%s/%u before %s/%u",
                                           in->stack, in->service, in->replica, on->name, r);
        }
}

/* VMs of a stack that goes stop after those of their dependants. */
static void check_stopping(const struct instance *in)
{
        const struct desired *desired = daemon_find(sim_daemon, in->stack);

        if (!desired || desired->wanted == STACK_UP ||
            !stack_find_service(desired->stack, in->service))
                return;
        for (size_t i = 0; i < desired->stack->services_len; i++) {
                const struct service *by = &desired->stack->services[i];

                for (size_t d = 0; d < by->depends_on_len; d++)
                        for (size_t k = 0; k < sim_daemon->instances_len; k++)
                                if (streq(by->depends_on[d].service, in->service) &&
                                    streq(sim_daemon->instances[k]->stack, in->stack) &&
                                    streq(sim_daemon->instances[k]->service, by->name))
                                        sim_broken("stopped before its dependant: %s/%s before %s",
                                                   in->stack, in->service, by->name);
        }
}

static void check_instances(void)
{
        for (size_t i = 0; i < sim_daemon->instances_len; i++) {
                const struct instance *in = sim_daemon->instances[i];
                struct seen *s = find_seen(in->id);

                if (!s) {
                        s = array_push(&seen, &seen_len);
                        (void)snprintf(s->id, sizeof(s->id), "%s", in->id);
                        sim->steps++;
                        if (in->desired)
                                check_decided(in);
                }
                if (in->state == VM_STOPPING && s->state != VM_STOPPING) {
                        sim->stopped++;
                        sim->steps++;
                        check_stopping(in);
                }
                s->state = in->state;
        }
}

/* ------------------------------------------------------------------------------- owners, answers
 */

static bool has_instance(const char *id)
{
        for (size_t i = 0; i < sim_daemon->instances_len; i++)
                if (streq(sim_daemon->instances[i]->id, id))
                        return true;
        return false;
}

static void check_owners(void)
{
        for (size_t i = 0; i < SIM_VMS; i++)
                if (sim->vms[i].alive && !sim->vms[i].dying && !has_instance(sim->vms[i].id))
                        sim_broken("a VM without an owner: %s of %s/%s/%u", sim->vms[i].id,
                                   sim->vms[i].stack, sim->vms[i].service, sim->vms[i].replica);
        for (size_t i = 0; i < SIM_NETS; i++)
                if (sim->nets[i].alive &&
                    !networks_find(sim_daemon->networks, sim->nets[i].stack, sim->nets[i].name))
                        sim_broken("a network without an owner: %s/%s", sim->nets[i].stack,
                                   sim->nets[i].name);
}

/* A rollback that fails is not rolled back: somebody has to look at it. */
static void check_rollback(const struct desired *desired, const struct sim_promise *p)
{
        bool fresh = false;

        for (size_t i = 0; i < desired->wishes.services_len; i++) {
                unsigned number = (unsigned)(desired->stack->services[i].name[1] - '0');

                fresh = fresh || (desired->wishes.services[i].undoing && number < SIM_SERVICES &&
                                  !p->undoing[number]);
        }
        sim->undone++;
        if (!fresh)
                sim_broken("a rollback is rolled back: %s, revision %u", desired->stack->name,
                           desired->revision);
}

void sim_note_revision(const struct desired *desired, struct sim_promise *p)
{
        p->revision = desired ? desired->revision : 0;
        p->deleting = desired && desired->wanted != STACK_UP;
        memset(p->undoing, 0, sizeof(p->undoing));
        for (size_t i = 0; desired && i < desired->wishes.services_len; i++) {
                unsigned number = (unsigned)(desired->stack->services[i].name[1] - '0');

                if (number < SIM_SERVICES)
                        p->undoing[number] = desired->wishes.services[i].undoing;
        }
}

/* What was answered, or acted upon, is known: now and by the next daemon. */
static void check_answers(void)
{
        for (unsigned i = 0; i < SIM_STACKS; i++) {
                char name[] = {(char)('a' + i), '\0'};
                const struct desired *desired = daemon_find(sim_daemon, name);
                struct sim_promise *p = &sim->promised[i];

                if (p->known && !desired && !p->delete_asked)
                        sim_broken("an accepted stack is forgotten: %s", name);
                if (p->known && desired && desired->revision < p->revision && !p->delete_asked)
                        sim_broken("an accepted change is lost: %s is at revision %u, not %u", name,
                                   desired->revision, p->revision);
                if (p->deleting && desired && desired->wanted == STACK_UP &&
                    desired->revision == p->revision)
                        sim_broken("a deletion is lost: of %s", name);
                if (desired && desired->undoes && p->revision == desired->undoes &&
                    desired->revision == p->revision + 1)
                        check_rollback(desired, p);
                p->known = desired != NULL;
                sim_note_revision(desired, p);
                if (!desired)
                        p->delete_asked = false;
        }
        if (sim->promised_net && !shared_find(sim_daemon->shared, "x"))
                sim_broken("a network that was made is forgotten");
}

void sim_check_step(void)
{
        check_instances();
        check_owners();
        check_answers();
        if (++sim->busy > BUSY_MAX)
                sim_broken("no end at one moment: something is done again and again");
}

uint64_t sim_wanted(void)
{
        AUTO_STRBUF struct strbuf sb = STRBUF_INIT(1u << 20);
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (size_t i = 0; i < sim_daemon->desired_len; i++) {
                const struct desired *desired = sim_daemon->desired[i];
                AUTO_JSON json_t *json = desired_manifest(desired);
                AUTO_FREE char *manifest = json_dumps(json, JSON_SORT_KEYS);

                strbuf_addf(&sb, "%s %u %d %s", desired->stack->name, desired->revision,
                            desired->wanted, manifest);
                for (size_t s = 0; s < desired->wishes.services_len; s++)
                        strbuf_addf(&sb, " %d/%u", desired->wishes.services[s].stopped,
                                    desired->wishes.services[s].generation);
        }
        for (size_t i = 0; i < shared_stack(sim_daemon->shared)->networks_len; i++) {
                const struct network *network = &shared_stack(sim_daemon->shared)->networks[i];

                if (!*shared_maker(sim_daemon->shared, network->name)) /* else it follows */
                        strbuf_addf(&sb, " %s", network->name);
        }
        for (const char *p = strbuf_str(&sb); *p; p++)
                hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
        return hash;
}

void sim_check_opened(void)
{
        if (sim->lives == 2)
                sim->opened = sim_wanted();
        free(seen);
        seen = NULL;
        seen_len = 0;
        for (size_t i = 0; i < sim_daemon->instances_len; i++) {
                struct seen *s = array_push(&seen, &seen_len);

                (void)snprintf(s->id, sizeof(s->id), "%s", sim_daemon->instances[i]->id);
                s->state = sim_daemon->instances[i]->state;
        }
        check_owners();
        check_answers();
}

/* ----------------------------------------------------------------------------------- in the end */

bool sim_is_settled(char *why, size_t size)
{
        struct daemon *d = sim_daemon;

        *why = '\0';
        if (ev_is_active(&d->turn) || d->plan.steps_len)
                (void)snprintf(why, size, "there is something to do");
        for (size_t i = 0; i < d->desired_len; i++)
                if (d->desired[i]->wanted != STACK_UP)
                        (void)snprintf(why, size, "%s is being deleted",
                                       d->desired[i]->stack->name);
        for (size_t i = 0; i < d->instances_len; i++)
                if (d->instances[i]->state != VM_RUNNING || d->instances[i]->remove_wanted)
                        (void)snprintf(why, size, "%s/%s/%u is %s", d->instances[i]->stack,
                                       d->instances[i]->service, d->instances[i]->replica,
                                       vm_state_name(d->instances[i]->state));
        for (size_t i = 0; i < d->plan.services_len; i++) {
                const struct service_status *s = &d->plan.services[i];

                bool paused = s->why && strstr(s->why, "the update is paused: too many");

                if (!s->settled ||
                    (!s->ok && s->phase != PHASE_FAILED && s->phase != PHASE_WAITING && !paused))
                        (void)snprintf(why, size, "%s/%s is %s: %s", s->stack, s->service,
                                       service_phase_name(s->phase), s->why ? s->why : "");
        }
        return !*why;
}

/* Its update is paused: a replica failed for good with the present spec, its successors wait, or
 * their network was removed before a rollback brought it back. */
static bool has_given_up(const char *stack, const struct service *service, const char *hash)
{
        const struct service_status *status = view_find_status(sim_daemon, stack, service->name);

        if (status && status->phase == PHASE_WAITING && status->settled)
                return true;
        if (status && status->phase == PHASE_FAILED && strstr(status->why, "is external"))
                return true;
        for (size_t i = 0; i < sim_daemon->replicas_len; i++) {
                const struct replica_fact *fact = &sim_daemon->replicas[i];

                if (streq(fact->stack, stack) && streq(fact->service, service->name) &&
                    fact->failures && streq(fact->last_spec_hash, hash))
                        return true;
        }
        return false;
}

static bool vm_is_as_wanted(const struct sim_vm *vm, char *why, size_t size)
{
        const char *hash = NULL;
        const struct service *service = sim_service(vm->stack, vm->service, &hash);

        for (size_t i = 0; i < VM_NICS_MAX && vm->nets[i][0]; i++)
                if (vm->net_births[i] != sim_net_birth(vm->nets[i])) {
                        (void)snprintf(why, size, "VM %s of %s/%s/%u is cut off from %s", vm->id,
                                       vm->stack, vm->service, vm->replica, vm->nets[i]);
                        return false;
                }
        if (service && vm->guest == GUEST_RUNNING && !vm->dying && vm->replica >= 1 &&
            vm->replica <= service->replicas &&
            (streq(hash, vm->hash) || has_given_up(vm->stack, service, hash)))
                return true;
        (void)snprintf(why, size, "VM %s of %s/%s/%u is not wanted so", vm->id, vm->stack,
                       vm->service, vm->replica);
        return false;
}

/* Visible ones, and hidden ones, which are what did not become whole. */
static unsigned count_entries(const char *dir, bool hidden_only)
{
        AUTO_FREE char *path = file_join(sim_root, dir);
        AUTO_DIR DIR *d = opendir(path);
        const struct dirent *de;
        unsigned n = 0;

        while (d && (de = readdir(d)))
                n += de->d_name[0] == '.' ? strlen(de->d_name) > 2 : !hidden_only;
        return n;
}

/* A service that is well has its VMs; the store says what the daemon knows. */
static bool services_are_there(char *why, size_t size)
{
        for (size_t i = 0; i < sim_daemon->plan.services_len; i++) {
                const struct service_status *s = &sim_daemon->plan.services[i];
                const char *hash = NULL;
                const struct service *service = sim_service(s->stack, s->service, &hash);
                unsigned n = 0;

                if (!service || !s->ok || service->restart == RESTART_NO ||
                    service->restart == RESTART_ON_FAILURE || s->phase == PHASE_STOPPED)
                        continue;
                for (size_t v = 0; v < SIM_VMS; v++)
                        n += sim->vms[v].alive && streq(sim->vms[v].stack, s->stack) &&
                             streq(sim->vms[v].service, s->service);
                if (n == service->replicas)
                        continue;
                (void)snprintf(why, size, "%s/%s has %u VMs of %u", s->stack, s->service, n,
                               service->replicas);
                return false;
        }
        return true;
}

static bool store_is_right(char *why, size_t size)
{
        struct stored_stacks stacks = {0};
        bool right = store_list_stacks(sim_daemon->store, &stacks, NULL) == 0 &&
                     stacks.len == sim_daemon->desired_len;

        for (size_t i = 0; right && i < stacks.len; i++) {
                AUTO_JSON json_t *json = desired_manifest(sim_daemon->desired[i]);
                AUTO_FREE char *manifest = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

                right = stacks.items[i].revision == sim_daemon->desired[i]->revision &&
                        strlen(stacks.items[i].manifest) == strlen(manifest);
        }
        stored_stacks_release(&stacks);
        if (!right)
                (void)snprintf(why, size, "the store has other stacks than the daemon");
        return right;
}

bool sim_is_as_wanted(char *why, size_t size)
{
        unsigned alive = 0;

        for (size_t i = 0; i < SIM_VMS; i++) {
                alive += sim->vms[i].alive;
                if (sim->vms[i].alive && !vm_is_as_wanted(&sim->vms[i], why, size))
                        return false;
        }
        if (alive != sim_daemon->instances_len || count_entries("run/vm", false) != alive ||
            count_entries("scratch", false) != alive) {
                (void)snprintf(why, size, "%u VMs, %zu instances, %u folders, %u disks", alive,
                               sim_daemon->instances_len, count_entries("run/vm", false),
                               count_entries("scratch", false));
                return false;
        }
        return services_are_there(why, size) && store_is_right(why, size);
}

static bool store_is_empty(void)
{
        struct stored_stacks stacks = {0};
        struct stored_replicas replicas = {0};
        struct stored_leases leases = {0};
        struct stored_networks networks = {0};
        bool empty = store_list_stacks(sim_daemon->store, &stacks, NULL) == 0 &&
                     store_list_replicas(sim_daemon->store, &replicas, NULL) == 0 &&
                     store_list_leases(sim_daemon->store, &leases, NULL) == 0 && stacks.len == 0 &&
                     replicas.len == 0 && leases.subnets_len == 0 && leases.leases_len == 0 &&
                     store_list_networks(sim_daemon->store, &networks, NULL) == 0 &&
                     networks.len == 0;

        stored_stacks_release(&stacks);
        stored_replicas_release(&replicas);
        stored_leases_release(&leases);
        stored_networks_release(&networks);
        return empty;
}

bool sim_nothing_left(char *why, size_t size)
{
        static const char *const folders[] = {"run/vm", "run/net", "scratch", "logs"};
        unsigned vms = 0, nets = 0;

        for (size_t i = 0; i < SIM_VMS; i++)
                vms += sim->vms[i].alive;
        for (size_t i = 0; i < SIM_NETS; i++)
                nets += sim->nets[i].alive;
        (void)snprintf(why, size, "%u VMs, %u networks, %zu stacks are left", vms, nets,
                       sim_daemon->desired_len);
        if (vms || nets || sim_daemon->desired_len || sim_daemon->instances_len)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                (void)snprintf(why, size, "%s is not empty", folders[i]);
                if (count_entries(folders[i], false))
                        return false;
        }
        (void)snprintf(why, size, "half a volume"); /* whole ones stay unless deleted, too */
        if (count_entries("volumes", true))
                return false;
        (void)snprintf(why, size, "rows in the store");
        return store_is_empty();
}
