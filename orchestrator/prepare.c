/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a VM needs before QEMU can start, asked for at once and collected as answers come:
 *
 *   image disk (a worker unpacks it, once)   taps (netd)   published ports (netd)
 *
 * then, when all is there: volumes, scratch disk, QEMU, the guest's configuration.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/value.h"
#include "network/net.h"
#include "orchestrator/instance_internal.h"
#include "orchestrator/machine_id.h"
#include "orchestrator/prepare_mounts.h"

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

void instance_shape(const struct instance_env *env, const struct service *service,
                    int64_t *ret_memory, unsigned *ret_cpus)
{
        *ret_memory = instance_memory(service);
        *ret_cpus = vm_cpus(service, env->accel);
}

/* What a waiting machine has room for: network cards, and disks that are written to. */
static bool fits_pool(const struct stack *stack, const struct service *service)
{
        size_t disks = 2;

        for (size_t i = 0; i < service->volumes_len; i++) {
                if (service->volumes[i].type == MOUNT_TMPFS)
                        continue;
                if (!prepare_is_disk(stack, service, i) || service->volumes[i].read_only)
                        return false;
                disks++;
        }
        return disks <= POOL_DISKS && service->networks_len >= 1 &&
               service->networks_len <= POOL_NICS;
}

void instance_expect(const struct instance_env *env, const struct stack *stack,
                     const struct service *service)
{
        int64_t memory;
        unsigned cpus;

        instance_shape(env, service, &memory, &cpus);
        if (env->pool && fits_pool(stack, service))
                pool_want(env->pool, memory, cpus);
        else if (env->templates && host_memory_spare(memory))
                (void)templates_want(env->templates, memory, cpus, NULL);
}

static void reserve_machine(struct instance *in, const struct service *service)
{
        int taps[POOL_NICS];
        int64_t memory;
        unsigned cpus;

        if (!in->env->pool || in->ahead || !fits_pool(in->desired->stack, service))
                return;
        instance_shape(in->env, service, &memory, &cpus);
        pool_want(in->env->pool, memory, cpus);
        in->member = pool_reserve(in->env->pool, memory, cpus, taps);
        in->pooled = in->member != NULL;
        for (size_t i = 0; in->pooled && i < POOL_NICS; i++)
                if (i < in->nics_len)
                        in->nics[i].tap_fd = taps[i];
                else
                        (void)close(taps[i]); /* QEMU has its own copy */
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

/* A template that is being made will be there sooner than a boot beside it would be done. */
static bool template_is_coming(const struct instance *in, const struct service *service)
{
        int64_t memory;
        unsigned cpus;

        if (!in->env->templates)
                return false;
        instance_shape(in->env, service, &memory, &cpus);
        return templates_want(in->env->templates, memory, cpus, NULL) == TEMPLATE_BUILDING;
}

/* Without a way outside: the gateway, where nothing answers. */
static void host_address(const struct instance *in, char *ret)
{
        uint32_t ip = net_host_address();

        value_ip4_text(ip || !in->nics_len ? ip : in->nics[0].gateway, ret);
}

static_assert(SERVICE_NETWORKS_MAX == VM_NICS_MAX, "what schema/ allows fits");

static const struct network_ref *ref_of(const struct service *service,
                                        const struct instance_nic *nic)
{
        for (size_t i = 0; i < service->networks_len; i++)
                if (streq(service->networks[i].network, nic->network))
                        return &service->networks[i];
        return NULL;
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
                const struct network_ref *ref = ref_of(service, &in->nics[i]);

                nics[i] = (struct guest_nic){.ip = in->nics[i].ip,
                                             .gateway = in->nics[i].gateway,
                                             .bits = in->nics[i].bits,
                                             .egress = in->nics[i].egress,
                                             .gw_priority = ref ? ref->gw_priority : 0,
                                             .link_local = ref ? &ref->link_local_ips : NULL};
                guest_mac(ref, nics[i].ip, nics[i].mac);
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
        spec->background = in->ahead;
        instance_shape(in->env, service, &spec->memory_bytes, &spec->cpus);
        for (size_t i = 0; i < in->nics_len; i++) {
                spec->nics[i].tap_fd = in->nics[i].tap_fd;
                guest_mac(ref_of(service, &in->nics[i]), in->nics[i].ip, spec->nics[i].mac);
        }
        spec->nics_len = in->nics_len;
        events.ctx = in;
        r = file_mkdir_p(in->dir, 0700, err);
        if (r == 0)
                r = vm_start(in->env->loop, spec, &events, &in->vm, err);
        if (r < 0)
                return r;
        in->times.spawned = vm_spawned_ns(in->vm);
        instance_close_taps(in);
        return 0;
}

static int boot(struct instance *in, const struct service *service, struct err *err)
{
        struct attachments at = {0};
        struct err why = ERR_INIT;
        int r;

        r = prepare_attach(in, &at, service, err);
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
                r = prepare_volumes_free(in, service, &err);
        if (r == 0 && in->rootfs && (in->member || !template_is_coming(in, service))) {
                instance_arm(in, INSTANCE_BOOT_TIMEOUT_MS);
                r = boot(in, service, &err);
                if (r == 0)
                        instance_set_state(in, VM_BOOTING);
        }
        if (r < 0)
                instance_fail(in, EXIT_PREPARE, err.msg);
}
