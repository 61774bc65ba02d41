/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/ahead.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/host.h"
#include "base/mem.h"

/* At the same time, of all stacks together. */
#define AHEAD_MAX 16

static struct desired *desired_of(const struct daemon *d, const char *stack)
{
        struct desired *desired = d->draining ? NULL : daemon_find(d, stack);

        return desired && desired->wanted == STACK_UP ? desired : NULL;
}

/* It waits for another service that may yet come. */
static bool is_waiting(const struct service_status *status)
{
        return status->phase == PHASE_WAITING && status->waits_for && !status->settled;
}

static const char *hash_of(const struct desired *desired, const struct service *service)
{
        return desired->hashes->services[service - desired->stack->services];
}

static const struct service_status *status_of(const struct daemon *d, const char *stack,
                                              const char *service)
{
        for (size_t i = 0; i < d->plan.services_len; i++) {
                const struct service_status *status = &d->plan.services[i];

                if (streq(status->stack, stack) && streq(status->service, service))
                        return status;
        }
        return NULL;
}

static bool is_wanted(const struct daemon *d, const struct instance *in)
{
        const struct desired *desired = desired_of(d, in->stack);
        const struct service *service =
                desired ? stack_find_service(desired->stack, in->service) : NULL;
        const struct service_status *status = service ? status_of(d, in->stack, in->service) : NULL;

        return status && is_waiting(status) && in->replica <= service->replicas &&
               streq(in->spec_hash, hash_of(desired, service));
}

/* Neither volumes, which those it waits for may have or fill, nor ports, which are bound when the
 * service is there. */
static bool is_simple(const struct service *service)
{
        for (size_t i = 0; i < service->volumes_len; i++)
                if (service->volumes[i].type != MOUNT_TMPFS)
                        return false;
        return service->ports_len == 0;
}

static bool has_networks(const struct daemon *d, const struct stack *stack,
                         const struct service *service)
{
        for (size_t i = 0; i < service->networks_len; i++) {
                const char *name = service->networks[i].network;
                const struct network *spec = stack_find_network(stack, name);
                const char *shared = spec ? network_shared_name(spec) : NULL;
                const struct network_entry *n = networks_find(
                        d->networks, shared ? STACK_SHARED : stack->name, shared ? shared : name);

                if (!n || !n->up)
                        return false;
        }
        return true;
}

/* All is there that it is made of; what is not may come while its service waits. */
static bool can_be_made(const struct daemon *d, const struct desired *desired,
                        const struct service *service)
{
        const char *ref = desired_image(desired, (size_t)(service - desired->stack->services));
        const struct image_entry *image = ref ? images_find(d->images, ref) : NULL;
        int64_t memory;
        unsigned cpus;

        if (!is_simple(service) || !image || image->state != IMAGE_READY || !d->templates ||
            (service->isolation_required && d->env.accel == ACCEL_TCG) ||
            !has_networks(d, desired->stack, service))
                return false;
        instance_shape(&d->env, service, &memory, &cpus);
        return host_memory_spare(memory) &&
               templates_want(d->templates, memory, cpus, NULL) == TEMPLATE_READY;
}

static bool exists(const struct daemon *d, const char *stack, const char *service, unsigned replica)
{
        for (size_t i = 0; i < d->instances_len; i++)
                if (instance_is_of(d->instances[i], stack, service, replica))
                        return true;
        for (size_t i = 0; i < d->ahead_len; i++)
                if (instance_is_of(d->ahead[i], stack, service, replica))
                        return true;
        return false;
}

/* What it waits for waits itself: its turn is after that. */
static bool is_far(const struct daemon *d, const char *stack, const struct service *service)
{
        for (size_t i = 0; i < service->depends_on_len; i++) {
                const struct service_status *status =
                        status_of(d, stack, service->depends_on[i].service);

                if (status && is_waiting(status))
                        return true;
        }
        return false;
}

/* The first replica of a service that has no VM, if it can be made. */
static bool begin(struct daemon *d, struct desired *desired, const struct service *service)
{
        const char *stack = desired->stack->name;
        struct instance *in;
        unsigned n = 1;

        while (n <= service->replicas && exists(d, stack, service->name, n))
                n++;
        if (n > service->replicas || !can_be_made(d, desired, service))
                return false;
        in = instance_new(&d->env, desired, service, n);
        (void)snprintf(in->spec_hash, sizeof(in->spec_hash), "%s", hash_of(desired, service));
        in->ahead = true;
        *array_push(&d->ahead, &d->ahead_len) = in;
        instance_prepare(in);
        return true;
}

static bool begin_next(struct daemon *d, bool far)
{
        for (size_t i = 0; i < d->plan.services_len; i++) {
                const struct service_status *status = &d->plan.services[i];
                struct desired *desired = is_waiting(status) ? desired_of(d, status->stack) : NULL;
                const struct service *service =
                        desired ? stack_find_service(desired->stack, status->service) : NULL;

                if (service && is_far(d, status->stack, service) == far &&
                    begin(d, desired, service))
                        return true;
        }
        return false;
}

static bool is_being_made(const struct instance *in)
{
        return in->state == VM_PREPARING || (in->state == VM_BOOTING && !in->times.configured);
}

static bool anything_starts(const struct daemon *d)
{
        for (size_t i = 0; i < d->instances_len; i++)
                if (d->instances[i]->state == VM_PREPARING || d->instances[i]->state == VM_BOOTING)
                        return true;
        return false;
}

bool ahead_tend(struct daemon *d)
{
        bool busy = false;

        for (size_t i = d->ahead_len; i-- > 0;) { /* who is removed at once leaves the list */
                struct instance *in = d->ahead[i];

                if (!is_wanted(d, in))
                        instance_remove(in);
                else if (in->state == VM_PREPARING)
                        instance_prepare(in);
        }
        for (size_t i = 0; i < d->ahead_len; i++)
                busy = busy || is_being_made(d->ahead[i]);
        if (busy || anything_starts(d))
                return true;
        return d->ahead_len < AHEAD_MAX && (begin_next(d, false) || begin_next(d, true));
}

void ahead_count(const struct daemon *d, unsigned *ret_made, unsigned *ret_making)
{
        *ret_made = *ret_making = 0;
        for (size_t i = 0; i < d->ahead_len; i++) {
                *ret_making += is_being_made(d->ahead[i]);
                *ret_made += d->ahead[i]->state == VM_BOOTING && d->ahead[i]->times.configured;
        }
}

struct instance *ahead_take(struct daemon *d, const struct desired *desired,
                            const struct service *service, unsigned replica)
{
        for (size_t i = 0; i < d->ahead_len; i++) {
                struct instance *in = d->ahead[i];

                if (!instance_is_of(in, desired->stack->name, service->name, replica) ||
                    !streq(in->spec_hash, hash_of(desired, service)) || in->remove_wanted ||
                    in->state == VM_FAILED)
                        continue;
                (void)ahead_forget(d, in);
                return in;
        }
        return NULL;
}

bool ahead_forget(struct daemon *d, const struct instance *in)
{
        for (size_t i = 0; i < d->ahead_len; i++)
                if (d->ahead[i] == in) {
                        d->ahead[i] = d->ahead[--d->ahead_len];
                        return true;
                }
        return false;
}

void ahead_close(struct daemon *d)
{
        for (size_t i = 0; i < d->ahead_len; i++) {
                if (d->ahead[i]->vm)
                        vm_kill(d->ahead[i]->vm);
                instance_free(d->ahead[i]); /* the next daemon removes its folder */
        }
        free(d->ahead);
        d->ahead = NULL;
        d->ahead_len = 0;
}
