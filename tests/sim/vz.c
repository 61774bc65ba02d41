/* SPDX-License-Identifier: Apache-2.0 */
/* vz/vm.h and vz/template.h without QEMU: VMs are entries of the world, which they outlive us in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/sim/sim.h"
#include "vz/usage.h"

#define UP_MS    200   /* from the start to an answer of the guest */
#define SLOW_MS  20000 /* the same on a loaded host */
#define JOB_MS   700   /* a job's work */
#define DEATH_MS 5     /* of a killed process */

struct vm {
        struct sim_vm *in; /* NULL: it is gone */
        struct vm_events events;
        struct vm *next;
        int64_t spawned_ns;
        enum vm_end end;
};

static struct vm *handles;

/* -------------------------------------------------------------------------------- the world's */

struct sim_vm *sim_vm_of_dir(const char *dir)
{
        for (size_t i = 0; i < SIM_VMS; i++)
                if (sim->vms[i].alive && streq(sim->vms[i].dir, dir))
                        return &sim->vms[i];
        return NULL;
}

struct sim_vm *sim_vm_pick(unsigned n)
{
        unsigned alive = 0;

        for (size_t i = 0; i < SIM_VMS; i++)
                alive += sim->vms[i].alive;
        if (alive == 0)
                return NULL;
        n %= alive;
        for (size_t i = 0; i < SIM_VMS; i++)
                if (sim->vms[i].alive && n-- == 0)
                        return &sim->vms[i];
        return NULL;
}

struct sim_truth *sim_truth(const char *stack, const char *service, unsigned replica)
{
        static struct sim_truth nothing;
        unsigned s = (unsigned)(stack[0] - 'a'), v = (unsigned)(service[1] - '0');

        if (s >= SIM_STACKS || v >= SIM_SERVICES || replica > SIM_REPLICAS)
                return &nothing;
        return &sim->truth[s][v][replica];
}

bool *sim_sick(const char *stack, const char *service)
{
        return &sim->sick[(unsigned)(stack[0] - 'a') % SIM_STACKS]
                         [(unsigned)(service[1] - '0') % SIM_SERVICES];
}

static const char *tail(const char *hash)
{
        return strlen(hash) > 23 ? hash + strlen(hash) - 23 : hash;
}

bool sim_hashes_have(const struct sim_hashes *hashes, const char *hash)
{
        for (size_t i = 0; i < ARRAY_SIZE(hashes->text); i++)
                if (streq(hashes->text[i], tail(hash)))
                        return true;
        return false;
}

void sim_hashes_add(struct sim_hashes *hashes, const char *hash)
{
        if (sim_hashes_have(hashes, hash))
                return;
        (void)snprintf(hashes->text[hashes->next++ % ARRAY_SIZE(hashes->text)],
                       sizeof(hashes->text[0]), "%s", tail(hash));
}

void sim_vm_started(struct sim_vm *vm)
{
        struct sim_truth *truth = sim_truth(vm->stack, vm->service, vm->replica);

        vm->guest = GUEST_RUNNING;
        vm->started_ms = SIM_NEVER;
        sim_hashes_add(&truth->started, vm->hash);
        if (vm->service[0] == 'j' && vm->exit_ms == SIM_NEVER)
                vm->exit_ms = sim->mono_ms + JOB_MS;
        sim_guest_told_started(vm);
}

static void vm_exits(struct sim_vm *vm)
{
        struct sim_truth *truth = sim_truth(vm->stack, vm->service, vm->replica);

        vm->guest = GUEST_EXITED;
        vm->exit_ms = SIM_NEVER;
        if (vm->exit_code == 0 && !vm->start_failed)
                sim_hashes_add(&truth->completed, vm->hash);
        sim_guest_told_exited(vm, false);
}

void sim_vm_dies(struct sim_vm *vm, enum vm_end end)
{
        vm->end = end;
        vm->alive = false;
        if (vm->up_ms & 1) {
                sim_guest_lost(vm);
                sim_vm_told_end(vm);
        } else {
                sim_vm_told_end(vm);
                sim_guest_lost(vm);
        }
}

void sim_world_advance(void)
{
        for (size_t i = 0; i < SIM_VMS; i++) {
                struct sim_vm *vm = &sim->vms[i];

                if (vm->alive && vm->death_ms <= sim->mono_ms) {
                        sim_vm_dies(vm, vm->end);
                        continue;
                }
                if (vm->alive && vm->guest == GUEST_STARTING && vm->started_ms <= sim->mono_ms)
                        sim_vm_started(vm);
                if (vm->alive && vm->guest == GUEST_RUNNING && vm->exit_ms <= sim->mono_ms)
                        vm_exits(vm);
        }
}

static int64_t least(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

int64_t sim_world_next(void)
{
        int64_t next = SIM_NEVER;

        for (size_t i = 0; i < SIM_VMS; i++) {
                const struct sim_vm *vm = &sim->vms[i];

                if (!vm->alive)
                        continue;
                next = least(next, vm->death_ms);
                if (vm->guest == GUEST_STARTING)
                        next = least(next, vm->started_ms);
                if (vm->guest == GUEST_RUNNING)
                        next = least(next, vm->exit_ms);
        }
        return next;
}

/* ---------------------------------------------------------------------------------- vz/vm.h */

static const struct instance *instance_of(const char *id)
{
        for (size_t i = 0; i < sim_daemon->instances_len; i++)
                if (streq(sim_daemon->instances[i]->id, id))
                        return sim_daemon->instances[i];
        bug("a VM that no instance starts");
}

/* The volume that a descriptor is the disk of: "NAME/disk.ext4" below the volumes' folder. */
static void note_disk(struct sim_vm *vm, const struct vm_disk *disk, size_t i)
{
        AUTO_FREE char *link = xasprintf("/proc/self/fd/%d", disk->fd);
        size_t prefix = strlen(sim_daemon->volumes_dir);
        char path[512];
        ssize_t n = readlink(link, path, sizeof(path) - 1);

        if (n < 0)
                bug("a disk without a name");
        path[n] = '\0';
        if (!disk->read_only && strncmp(path, sim_daemon->volumes_dir, prefix) == 0)
                (void)snprintf(vm->disks[i], sizeof(vm->disks[i]), "%.*s",
                               (int)strcspn(path + prefix + 1, "/"), path + prefix + 1);
}

static struct sim_vm *new_entry(const struct vm_spec *spec)
{
        const struct instance *in = instance_of(spec->id);
        struct sim_vm *vm = NULL;

        for (size_t i = 0; i < SIM_VMS && !vm; i++)
                if (!sim->vms[i].alive)
                        vm = &sim->vms[i];
        if (!vm)
                bug("more VMs than the world holds");
        *vm = (struct sim_vm){.replica = in->replica,
                              .up_ms = sim->mono_ms + UP_MS + sim_roll(&sim->random, 100),
                              .started_ms = SIM_NEVER,
                              .exit_ms = SIM_NEVER,
                              .death_ms = SIM_NEVER};
        (void)snprintf(vm->id, sizeof(vm->id), "%s", spec->id);
        (void)snprintf(vm->dir, sizeof(vm->dir), "%s", spec->dir);
        (void)snprintf(vm->stack, sizeof(vm->stack), "%s", in->stack);
        (void)snprintf(vm->service, sizeof(vm->service), "%s", in->service);
        (void)snprintf(vm->hash, sizeof(vm->hash), "%s", in->spec_hash);
        for (size_t i = 0; i < spec->disks_len; i++)
                note_disk(vm, &spec->disks[i], i);
        for (size_t i = 0; i < in->nics_len; i++) {
                (void)snprintf(vm->nets[i], sizeof(vm->nets[i]), "%s/%s",
                               nic_stack(in, &in->nics[i]), nic_network(&in->nics[i]));
                vm->ips[i] = in->nics[i].ip;
                vm->net_births[i] = sim_net_birth(vm->nets[i]);
        }
        return vm;
}

static struct vm *new_handle(struct sim_vm *in, const struct vm_events *events)
{
        struct vm *vm = xnew(struct vm);

        vm->in = in;
        vm->events = *events;
        vm->spawned_ns = sim->mono_ms * 1000000;
        vm->next = handles;
        handles = vm;
        return vm;
}

int vm_start(struct ev_loop *loop, const struct vm_spec *spec, const struct vm_events *events,
             struct vm **ret_vm, struct err *err)
{
        enum sim_how how = sim_fault(CALL_VM_START);
        struct sim_vm *in;

        (void)loop;
        if (how == HOW_ERROR)
                return err_set(err, EAGAIN, "QEMU: no more processes");
        sim_effect("vm_start");
        in = new_entry(spec);
        if (how == HOW_HANG)
                in->up_ms = SIM_NEVER;
        if (how == HOW_SLOW)
                in->up_ms += SLOW_MS;
        sim_trace("vm %s of %s/%s/%u starts", in->id, in->stack, in->service, in->replica);
        sim_check_start(instance_of(in->id), in);
        in->alive = true;
        sim->created++;
        sim->starts++;
        sim_effect("vm_start returns");
        *ret_vm = new_handle(in, events);
        return 0;
}

int vm_adopt(struct ev_loop *loop, const char *dir, const struct vm_events *events,
             struct vm **ret_vm, struct err *err)
{
        struct sim_vm *in = sim_vm_of_dir(dir);

        (void)loop;
        if (!in)
                return err_set(err, ESRCH, "QEMU is gone");
        sim_trace("vm %s is adopted", in->id);
        *ret_vm = new_handle(in, events);
        return 0;
}

void vm_kill(struct vm *vm)
{
        if (!vm->in || vm->in->dying)
                return;
        sim_effect("vm_kill");
        sim_trace("vm %s is killed", vm->in->id);
        vm->in->dying = true;
        vm->in->end = VM_END_KILLED;
        vm->in->death_ms = sim->mono_ms + DEATH_MS;
}

static void tell_end(void *owner, int arg)
{
        struct vm *vm = owner;

        (void)arg;
        if (vm->events.on_end)
                vm->events.on_end(vm, vm->end,
                                  vm->end == VM_END_PANIC ? "Kernel panic" : "it ended",
                                  vm->events.ctx);
}

void sim_vm_told_end(const struct sim_vm *in)
{
        for (struct vm *vm = handles; vm; vm = vm->next)
                if (vm->in == in) {
                        vm->in = NULL;
                        vm->end = in->end;
                        sim_post(0, tell_end, vm, 0);
                }
}

void vm_free(struct vm *vm)
{
        for (struct vm **p = &handles; *p; p = &(*p)->next)
                if (*p == vm) {
                        *p = vm->next;
                        sim_cancel(vm);
                        free(vm);
                        return;
                }
}

bool vm_confirm(struct vm *vm)
{
        (void)vm;
        return true;
}

void vm_hurry(struct vm *vm)
{
        (void)vm;
}

int vm_replace(struct vm *vm, const int *tap_fds, int scratch_fd, const char *why, struct err *err)
{
        (void)vm;
        (void)tap_fds;
        (void)scratch_fd;
        (void)why;
        (void)err;
        bug("there is no pool here");
}

enum vm_birth vm_birth(const struct vm *vm)
{
        (void)vm;
        return VM_BOOT;
}

const char *vm_birth_reason(const struct vm *vm)
{
        (void)vm;
        return "";
}

const char *vm_birth_name(enum vm_birth birth)
{
        (void)birth;
        return "boot";
}

bool vm_is_up(const struct vm *vm)
{
        return vm->in && vm->in->up_ms <= sim->mono_ms;
}

pid_t vm_pid(const struct vm *vm)
{
        return vm->in ? (pid_t)(1000 + (vm->in - sim->vms)) : 0;
}

enum vm_accel vm_accel(const struct vm *vm)
{
        (void)vm;
        return ACCEL_KVM;
}

const char *vm_accel_name(enum vm_accel accel)
{
        return accel == ACCEL_KVM ? "kvm" : "tcg";
}

int64_t vm_spawned_ns(const struct vm *vm)
{
        return vm->spawned_ns;
}

int64_t vm_up_ns(const struct vm *vm)
{
        return vm->spawned_ns;
}

/* The taps of a netd go with it. */
bool vm_tap_lost(pid_t pid)
{
        size_t at = (size_t)pid - 1000;
        const struct sim_vm *vm = at < SIM_VMS ? &sim->vms[at] : NULL;

        for (size_t i = 0; vm && vm->alive && i < VM_NICS_MAX && vm->nets[i][0]; i++)
                if (vm->net_births[i] != sim_net_birth(vm->nets[i]))
                        return true;
        return false;
}

int vm_usage(pid_t pid, struct vm_usage *ret, struct err *err)
{
        (void)pid;
        (void)ret;
        return err_set(err, ENOTSUP, "nobody asks for statistics here");
}

/* ---------------------------------------------------------------------------- vz/template.h */

int64_t templates_round_memory(int64_t bytes)
{
        return bytes;
}

/* There are none: instance_env.templates is NULL, so nobody asks. */
enum template_state templates_want(struct templates *templates, int64_t memory_bytes, unsigned cpus,
                                   const char **ret_reason)
{
        (void)templates;
        (void)memory_bytes;
        (void)cpus;
        (void)ret_reason;
        return TEMPLATE_NONE;
}

void templates_free(struct templates *templates)
{
        (void)templates;
}
