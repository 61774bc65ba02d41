/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a VM needs before QEMU can start, asked for at once and collected as answers come:
 *
 *   image disk (a worker unpacks it, once)   taps (netd)   published ports (netd)
 *
 * then, when all is there: volumes, scratch disk, QEMU, the guest's configuration.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/value.h"
#include "network/net.h"
#include "orchestrator/instance_internal.h"
#include "orchestrator/machine_id.h"
#include "storage/volume.h"

static void on_rootfs_ready(void *ctx, const char *path, const struct err *err)
{
        struct instance *in = ctx;

        if (err) {
                instance_fail(in, EXIT_PREPARE, err->msg);
                return;
        }
        in->rootfs = xstrdup(path);
        in->env->on_change(in->env, in);
}

int64_t instance_memory(const struct service *service)
{
        int64_t bytes = INSTANCE_MEMORY_DEFAULT;

        if (service->vm_memory_bytes > 0)
                return templates_round_memory(service->vm_memory_bytes);
        if (service->mem_limit_bytes > 0)
                bytes = service->mem_limit_bytes + INSTANCE_MEMORY_OVERHEAD;
        return templates_round_memory(bytes < INSTANCE_MEMORY_FLOOR ? INSTANCE_MEMORY_FLOOR
                                                                    : bytes);
}

/* Emulated CPUs share few real ones and slow the boot; hardware ones are nearly free. */
static unsigned vm_cpus(const struct service *service, enum vm_accel accel)
{
        unsigned host = (unsigned)get_nprocs(), n = accel == ACCEL_KVM ? 2 : 1;

        if (service->vm_cpus)
                return service->vm_cpus;
        if (service->cpus > 0)
                n = (unsigned)service->cpus + (service->cpus > (double)(unsigned)service->cpus);
        return n < host ? n : host;
}

static void vm_shape(const struct instance *in, const struct service *service, int64_t *ret_memory,
                     unsigned *ret_cpus)
{
        *ret_memory = instance_memory(service);
        *ret_cpus = vm_cpus(service, in->env->accel);
}

/* What a waiting machine has room for: a network card, and disks that are written to. */
static bool fits_pool(const struct service *service)
{
        size_t disks = 2;

        for (size_t i = 0; i < service->volumes_len; i++)
                disks += service->volumes[i].type != MOUNT_TMPFS;
        return disks <= POOL_DISKS && service->networks_len == 1;
}

static void reserve_machine(struct instance *in, const struct service *service)
{
        int64_t memory;
        unsigned cpus;

        if (!in->env->pool || !fits_pool(service))
                return;
        vm_shape(in, service, &memory, &cpus);
        pool_want(in->env->pool, memory, cpus);
        in->member = pool_reserve(in->env->pool, memory, cpus, &in->member_tap);
        in->pooled = in->member != NULL;
        in->pool_memory = memory;
        in->pool_cpus = cpus;
}

/* First turn: addresses and ports are settled, image and taps asked for. */
static int ask(struct instance *in, const struct service *service, struct err *err)
{
        const struct image_entry *image = images_find(in->env->images, in->image);
        int r = 0;

        if (!image || image->state != IMAGE_READY)
                return err_set(err, ENOENT, "image %s is not there any more", in->image);
        memcpy(in->digest, image->image->digest, sizeof(in->digest));
        r = instance_make_nics(in, service, err);
        if (r < 0)
                return r;
        instance_set_ports(in, service, in->desired->ports == STACK_PORTS_AUTO);
        reserve_machine(in, service);
        r = instance_ask_taps(in, err);
        if (r == 0)
                images_unpack(in->env->images, in->digest, on_rootfs_ready, in);
        return r;
}

/* Whether netd has bound all published ports. 1: not yet. */
static int ports_ready(const struct instance *in, struct err *err)
{
        for (size_t i = 0; i < in->ports_len; i++) {
                const char *why = NULL;
                uint16_t host_port;

                switch (networks_forward(in->env->networks, in->stack, in->service, in->replica,
                                         &in->ports[i], &host_port, &why)) {
                case FORWARD_PENDING:
                        return 1;
                case FORWARD_FAILED:
                        return err_set(err, EADDRINUSE,
                                       "port %u cannot be published: %s; stop what uses it, or "
                                       "publish another port",
                                       in->ports[i].published, why ? why : "unknown");
                case FORWARD_BOUND:
                        break;
                }
        }
        return 0;
}

/* The volume that a mount names; NULL: one without a name. */
static const struct volume *volume_of(const struct instance *in, const struct mount *m)
{
        return m->source ? stack_find_volume(in->desired->stack, m->source) : NULL;
}

/* Its name on this host; one without a name belongs to the replica. */
static char *volume_name(const struct instance *in, const struct mount *m, size_t index)
{
        const struct volume *volume = volume_of(in, m);

        if (volume && volume->real_name)
                return xstrdup(volume->real_name);
        if (m->source)
                return xasprintf("%s_%s", in->stack, m->source);
        return xasprintf("%s_%s-%u-vol%zu", in->stack, in->service, in->replica, index);
}

static bool is_shared(const struct instance *in, const struct service *service, size_t index)
{
        const struct volume *volume = volume_of(in, &service->volumes[index]);

        return volume ? volume->volume_class == VOLUME_SHARED
                      : !service_anonymous_is_disk(in->desired->stack, service, index);
}

/*
 * A disk is of one VM at a time: two would destroy what is on it. 1: the one that has it goes. The
 * manifest allows no two services of a stack, so it is an earlier revision's, or another stack's.
 */
static int volumes_free(const struct instance *in, const struct service *service, struct err *err)
{
        for (size_t i = 0; i < service->volumes_len; i++) {
                const struct mount *m = &service->volumes[i];
                AUTO_FREE char *name = NULL;
                const struct instance *holder;

                if (m->type != MOUNT_VOLUME || is_shared(in, service, i))
                        continue;
                name = volume_name(in, m, i);
                holder = in->env->volume_holder(in->env, in, name);
                if (holder && streq(holder->stack, in->stack))
                        return 1;
                if (holder)
                        return err_set(err, EBUSY,
                                       "volume %s is a disk that %s/%s/%u has; stop that one, or "
                                       "set the volume's x-berth.class to shared in both stacks",
                                       name, holder->stack, holder->service, holder->replica);
        }
        return 0;
}

static_assert(SERVICE_NETWORKS_MAX == VM_NICS_MAX, "what schema/ allows fits");
static_assert(SERVICE_DEVICES_MAX + 2 <= VM_DEVICES_MAX, "with the image and the scratch disk");
static_assert(SERVICE_DEVICES_MAX + 1 <= VM_DISKS_MAX, "all but the network can be disks");

/* Host side of the service's mounts: what QEMU opens, and the names the guest knows it by. */
struct attachments {
        struct vm_spec vm;
        const char *names[STACK_MOUNTS_MAX];
        const char *subpaths[STACK_MOUNTS_MAX]; /* what of the share is mounted */
        bool shared[STACK_MOUNTS_MAX];          /* volumes that are folders */
        bool seed[STACK_MOUNTS_MAX];            /* those that begin with what the image has */
        struct spawn_bind binds[STACK_MOUNTS_MAX + 1];
        char *owned[4 * STACK_MOUNTS_MAX + 2];
        size_t owned_len;
        int fds[VM_DISKS_MAX];
        size_t fds_len;
};

static void attachments_release(struct attachments *at)
{
        for (size_t i = 0; i < at->fds_len; i++)
                (void)close(at->fds[i]); /* QEMU has its own copies */
        for (size_t i = 0; i < at->owned_len; i++)
                free(at->owned[i]);
}

static int add_disk(struct attachments *at, const char *path, bool read_only, const char *serial,
                    struct err *err)
{
        int fd;

        assert(at->vm.disks_len < VM_DISKS_MAX); /* as schema/ settles it */
        fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, errno, "%s", path);
        at->fds[at->fds_len++] = fd;
        at->vm.disks[at->vm.disks_len++] = (struct vm_disk){fd, read_only, serial};
        return 0;
}

static char *keep(struct attachments *at, char *text)
{
        at->owned[at->owned_len++] = text;
        return text;
}

#define SHARE_TAG "binds"

/* All that comes from the host's file system is in one folder, which the VM has as one device: what
 * is in it only its QEMU sees, and the folder itself cannot be written. */
static int begin_share(struct instance *in, struct attachments *at, struct err *err)
{
        char *folder;

        if (at->vm.shares_len > 0)
                return 0;
        folder = keep(at, file_join(in->dir, SHARE_TAG));
        at->vm.shares[at->vm.shares_len++] = (struct vm_share){SHARE_TAG, folder, false};
        at->binds[at->vm.binds_len++] = (struct spawn_bind){folder, folder, true};
        at->vm.binds = at->binds;
        return file_mkdir_p(folder, 0700, err);
}

/* A place for the bind, of the same kind. */
static int make_target(const char *path, bool folder, struct err *err)
{
        AUTO_CLOSE int fd = -1;

        if (folder)
                return file_mkdir_p(path, 0700, err);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        return fd < 0 ? err_errno(err, errno, "%s", path) : 0;
}

/* source: kept as long as at. */
static int add_share(struct instance *in, struct attachments *at, const struct mount *m,
                     const char *source, bool folder, size_t index, struct err *err)
{
        bool volume = m->type == MOUNT_VOLUME;
        int r = begin_share(in, at, err);
        char *target;

        if (r < 0)
                return r;
        target = keep(at, xasprintf("%s/%zu", at->vm.shares[0].path, index));
        at->binds[at->vm.binds_len++] = (struct spawn_bind){source, target, m->read_only};
        at->names[index] = SHARE_TAG;
        at->subpaths[index] = keep(at, volume && m->subpath ? xasprintf("%zu/%s", index, m->subpath)
                                                            : xasprintf("%zu", index));
        return make_target(target, folder, err);
}

/* A volume that several VMs write to: a folder of the host. */
static int add_shared_volume(struct instance *in, struct attachments *at, const struct mount *m,
                             char *name, size_t index, struct err *err)
{
        bool created = false;
        int r = volume_ensure_shared(in->env->volumes_dir, name, in->stack, &created, err);

        at->shared[index] = true;
        at->seed[index] = !m->nocopy && !m->read_only && !m->subpath;
        if (r == 0)
                r = add_share(in, at, m,
                              keep(at, xasprintf("%s/%s/data", in->env->volumes_dir, name)), true,
                              index, err);
        if (r == 0 && created)
                instance_emit(in, "volume-created", "", "volume %s, shared", name);
        if (r < 0)
                free(name);
        else
                *array_push(&in->volumes.items, &in->volumes.len) = name;
        return r;
}

static int add_volume(struct instance *in, struct attachments *at, const struct service *service,
                      size_t index, struct err *err)
{
        const struct mount *m = &service->volumes[index];
        const char *serial = at->names[index];
        const struct volume *volume = volume_of(in, m);
        AUTO_FREE char *name = volume_name(in, m, index);
        AUTO_FREE char *path = NULL;
        bool created = false;
        int r;

        path = xasprintf("%s/%s/volume.json", in->env->volumes_dir, name);
        if (volume && volume->external && access(path, F_OK) < 0)
                return err_set(err, ENOENT,
                               "external volume %s does not exist; create it by another stack, or "
                               "leave `external` out",
                               name);
        if (is_shared(in, service, index))
                return add_shared_volume(in, at, m, STEAL(name), index, err);
        r = volume_ensure(in->env->volumes_dir, name, in->stack,
                          volume && volume->size_bytes > 0 ? volume->size_bytes : DISK_SIZE_DEFAULT,
                          m->nocopy ? NULL : in->rootfs, m->target, &created, err);
        if (r < 0)
                return r;
        if (created)
                instance_emit(in, "volume-created", "", "volume %s", name);
        *array_push(&in->volumes.items, &in->volumes.len) = STEAL(name);
        free(path);
        path = xasprintf("%s/%s/disk.ext4", in->env->volumes_dir,
                         in->volumes.items[in->volumes.len - 1]);
        return add_disk(at, path, m->read_only, serial, err);
}

static int add_bind(struct instance *in, struct attachments *at, const struct mount *m,
                    size_t index, struct err *err)
{
        bool folder = true;
        struct stat st;

        if (stat(m->source, &st) < 0) {
                if (errno != ENOENT || !m->create_host_path)
                        return err_errno(err, errno, "bind mount %s", m->source);
                if (file_mkdir_p(m->source, 0755, err) < 0)
                        return -err->code;
        } else if (S_ISREG(st.st_mode)) {
                folder = false;
        } else if (!S_ISDIR(st.st_mode)) {
                return err_set(err, EINVAL,
                               "bind mount %s: neither a file nor a folder; sockets and devices of "
                               "the host have no meaning in a VM",
                               m->source);
        }
        return add_share(in, at, m, m->source, folder, index, err);
}

static int attach(struct instance *in, struct attachments *at, const struct service *service,
                  struct err *err)
{
        int r;

        r = scratch_create(in->scratch, DISK_SIZE_DEFAULT, err);
        if (r == 0)
                r = add_disk(at, in->rootfs, true, WIRE_SERIAL_IMAGE, err);
        if (r == 0)
                r = add_disk(at, in->scratch, false, WIRE_SERIAL_SCRATCH, err);
        for (size_t i = 0; r == 0 && i < service->volumes_len; i++) {
                const struct mount *m = &service->volumes[i];

                if (m->type == MOUNT_BIND)
                        r = add_bind(in, at, m, i, err);
                if (m->type != MOUNT_VOLUME)
                        continue;
                at->names[i] = keep(at, xasprintf("vol%zu", i));
                r = add_volume(in, at, service, i, err);
        }
        return r;
}

/* A template that is being made will be there sooner than a boot beside it would be done. */
static bool template_is_coming(const struct instance *in, const struct service *service)
{
        int64_t memory;
        unsigned cpus;

        if (!in->env->templates)
                return false;
        vm_shape(in, service, &memory, &cpus);
        return templates_want(in->env->templates, memory, cpus, NULL) == TEMPLATE_BUILDING;
}

/* Without a way outside: the gateway, where nothing answers. */
static void host_address(const struct instance *in, char *ret)
{
        uint32_t ip = net_host_address();

        value_ip4_text(ip || !in->nics_len ? ip : in->nics[0].gateway, ret);
}

static int make_setup(struct instance *in, const struct attachments *at,
                      const struct service *service, struct err *err)
{
        const struct image_entry *image = images_find(in->env->images, in->image);
        struct guest_nic nics[VM_NICS_MAX];
        char host[VALUE_IP4_MAX];
        char machine_id[MACHINE_ID_MAX];
        const struct guest_input input = {.stack = in->desired->stack,
                                          .service = service,
                                          .image = image ? image->image : NULL,
                                          .replica = in->replica,
                                          .machine_id = machine_id,
                                          .nics = nics,
                                          .nics_len = in->nics_len,
                                          .host_address = host,
                                          .mount_names = at->names,
                                          .mount_shared = at->shared,
                                          .mount_seed = at->seed,
                                          .mount_subpaths = at->subpaths};

        if (!input.image)
                return err_set(err, ENOENT, "image %s is not there any more", in->image);
        machine_id_derive(in->env->machine_id, in->stack, in->service, in->replica, machine_id);
        host_address(in, host);
        for (size_t i = 0; i < in->nics_len; i++) {
                nics[i] = (struct guest_nic){.ip = in->nics[i].ip,
                                             .gateway = in->nics[i].gateway,
                                             .bits = in->nics[i].bits,
                                             .egress = in->nics[i].egress};
                mac_of_address(nics[i].ip, nics[i].mac);
        }
        if (!in->stop_signal)
                in->stop_signal = xstrdup(image->image->stop_signal);
        return guest_setup_new(&input, &in->setup, err);
}

static int start_vm(struct instance *in, struct attachments *at, const struct service *service,
                    struct err *err)
{
        struct vm_events events = instance_vm_events;
        struct vm_spec *spec = &at->vm;
        int r;

        spec->id = in->id;
        spec->dir = in->dir;
        spec->qemu = in->env->qemu;
        spec->kernel = in->env->kernel;
        spec->initrd = in->env->initrd;
        spec->accel = in->env->accel;
        spec->templates = in->env->templates;
        spec->member = STEAL(in->member);
        spec->reason = in->pool_reason;
        vm_shape(in, service, &spec->memory_bytes, &spec->cpus);
        for (size_t i = 0; i < in->nics_len; i++) {
                spec->nics[i].tap_fd = in->nics[i].tap_fd;
                mac_of_address(in->nics[i].ip, spec->nics[i].mac);
        }
        spec->nics_len = in->nics_len;
        events.ctx = in;
        r = file_mkdir_p(in->dir, 0700, err);
        if (r == 0)
                r = vm_start(in->env->loop, spec, &events, &in->vm, err);
        if (r < 0)
                return r;
        in->times.spawned = vm_spawned_ns(in->vm);
        for (size_t i = 0; i < in->nics_len; i++)
                (void)close(steal_fd(&in->nics[i].tap_fd)); /* QEMU has its own copy */
        return 0;
}

static int boot(struct instance *in, const struct service *service, struct err *err)
{
        struct attachments at = {0};
        struct err why = ERR_INIT;
        int r;

        r = attach(in, &at, service, err);
        in->disposable = in->volumes.len == 0 && at.vm.shares_len == 0;
        if (r == 0)
                r = make_setup(in, &at, service, err);
        if (r == 0)
                r = start_vm(in, &at, service, err);
        attachments_release(&at);
        if (r == 0)
                r = instance_save(in, err);
        if (r == 0 && instance_connect(in, &why) < 0)
                instance_reconnect(in, &why);
        return r;
}

void instance_prepare(struct instance *in)
{
        const struct service *service = stack_find_service(in->desired->stack, in->service);
        struct err err = ERR_INIT;
        int r;

        if (in->state != VM_PREPARING)
                return;
        if (!in->asked) {
                in->asked = true;
                (void)template_is_coming(in, service); /* it is made while the answers come */
                if (ask(in, service, &err) < 0)
                        instance_fail(in, EXIT_PREPARE, err.msg);
                return; /* answers mark the daemon dirty: the next turn goes on */
        }
        for (size_t i = 0; i < in->nics_len; i++)
                if (in->nics[i].tap_fd < 0)
                        return;
        r = ports_ready(in, &err);
        if (r == 0)
                r = volumes_free(in, service, &err);
        if (r == 0 && in->rootfs && (in->member || !template_is_coming(in, service))) {
                instance_arm(in, INSTANCE_BOOT_TIMEOUT_MS);
                r = boot(in, service, &err);
                if (r == 0)
                        instance_set_state(in, VM_BOOTING);
        }
        if (r < 0)
                instance_fail(in, EXIT_PREPARE, err.msg);
}
