/* SPDX-License-Identifier: Apache-2.0 */
/* One turn: observe, reconcile, execute. Levels decide, never events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "orchestrator/ahead.h"
#include "orchestrator/daemon.h"
#include "orchestrator/image_uses.h"

/* -------------------------------------------------------------------------------------- observe */

static int64_t ports_retry_ms(const struct instance *in)
{
        const struct network_entry *n =
                in->trouble && in->nics_len
                        ? networks_find(in->env->networks, nic_stack(in, &in->nics[0]),
                                        nic_network(&in->nics[0]))
                        : NULL;

        return n ? n->ports_retry_ms : 0;
}

static void observe_vm(struct instance *in, struct vm_fact *fact)
{
        static char publishing[] = "its ports are being published";

        fact->id = in->id;
        fact->stack = in->stack;
        fact->service = in->service;
        fact->replica = in->replica;
        fact->spec_hash = (char *)(uintptr_t)in->spec_hash; /* facts are read only */
        fact->state = in->remove_wanted ? VM_STOPPING : in->state;
        fact->health = in->state == VM_RUNNING ? in->probe.state : HEALTH_NONE;
        fact->since_ms = in->since_ms;
        fact->health_since_ms = in->health_since_ms;
        fact->exit_reason = in->exit_reason;
        fact->exit_code = in->exit_code;
        fact->reusable = instance_is_reusable(in);
        fact->ending = in->ending != EXIT_NONE;
        fact->message = in->message ? in->message : in->trouble ? in->trouble : in->probe.message;
        fact->degraded_retry_ms = ports_retry_ms(in);
        fact->degraded = in->trouble || instance_ports_pending(in);
        if (fact->degraded && !in->trouble)
                fact->message = publishing;
}

/* VMs of other stacks that are attached. */
static unsigned count_guests(const struct daemon *d, const struct network_entry *n)
{
        unsigned guests = 0;

        for (size_t i = 0; streq(n->stack, STACK_SHARED) && i < d->instances_len; i++)
                for (size_t k = 0; k < d->instances[i]->nics_len; k++)
                        guests += streq(d->instances[i]->nics[k].shared, n->name);
        return guests;
}

static void observe_networks(const struct daemon *d, struct facts *facts)
{
        const struct network_entry *n;

        for (size_t i = 0; (n = networks_at(d->networks, i)); i++) {
                struct network_fact *fact = array_push(&facts->networks, &facts->networks_len);
                fact->stack = n->stack;
                fact->network = n->name;
                fact->spec_hash = (char *)(uintptr_t)n->hash;
                fact->up = n->up;
                fact->guests = count_guests(d, n);
                fact->failures = n->failures;
                fact->failed_ms = n->up ? 0 : n->failed_ms;
                fact->message = n->message;
        }
}

static void observe_images(const struct daemon *d, struct facts *facts)
{
        for (size_t i = 0; i < d->desired_len; i++)
                for (size_t k = 0; k < d->desired[i]->stack->services_len; k++) {
                        const char *ref = desired_image(d->desired[i], k);
                        const struct image_entry *entry = ref ? images_find(d->images, ref) : NULL;
                        struct image_fact *fact;

                        if (!entry)
                                continue;
                        fact = array_push(&facts->images, &facts->images_len);
                        fact->ref = entry->ref;
                        fact->state = entry->state;
                        fact->digest = entry->image ? entry->image->digest : NULL;
                        fact->message = entry->message;
                }
}

/* All strings are borrowed: only the arrays are the caller's. */
static void observe(const struct daemon *d, struct facts *facts)
{
        for (size_t i = 0; i < d->instances_len; i++)
                observe_vm(d->instances[i], array_push(&facts->vms, &facts->vms_len));
        facts->replicas = d->replicas;
        facts->replicas_len = d->replicas_len;
        observe_networks(d, facts);
        observe_images(d, facts);
}

/* -------------------------------------------------------------------------------------- execute */

static struct instance *find_instance(const struct daemon *d, const char *id)
{
        for (size_t i = 0; i < d->instances_len; i++)
                if (streq(d->instances[i]->id, id))
                        return d->instances[i];
        return NULL;
}

/* The other one when a VM of this replica is still there: each lane has its own addresses. */
static unsigned free_lane(const struct daemon *d, const struct instance *in)
{
        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *other = d->instances[i];

                if (instance_is_of(other, in->stack, in->service, in->replica))
                        return 1 - other->lane;
        }
        return 0;
}

static void step_vm_create(struct daemon *d, const struct step *step)
{
        struct desired *desired = daemon_find(d, step->stack);
        const struct service *service =
                desired ? stack_find_service(desired->stack, step->service) : NULL;
        struct instance *in;
        bool ahead;

        if (!service)
                bug("the plan creates a service that is not wanted");
        in = ahead_take(d, desired, service, step->replica);
        ahead = in != NULL;
        if (!in) {
                in = instance_new(&d->env, desired, service, step->replica);
                in->lane = free_lane(d, in);
                (void)snprintf(in->spec_hash, sizeof(in->spec_hash), "%s",
                               desired->hashes->services[service - desired->stack->services]);
        }
        *array_push(&d->instances, &d->instances_len) = in;
        in->ahead = false;
        instance_emit(in, "creating", "", "%s", step->reason ? step->reason : "wanted");
        if (ahead)
                instance_go_on(in);
        if (service->isolation_required && d->env.accel == ACCEL_TCG)
                instance_fail(in, EXIT_PREPARE,
                              "isolation: required, but this host only has software emulation, "
                              "which is no security boundary; see `berth system info`");
}

static void step_network_create(struct daemon *d, const struct step *step)
{
        const struct desired *desired = daemon_find(d, step->stack);
        const struct network *spec = NULL;

        if (streq(step->stack, STACK_SHARED))
                spec = shared_find(d->shared, step->network);
        else if (desired)
                spec = stack_find_network(desired->stack, step->network);
        if (spec)
                networks_create(d->networks, step->stack, spec);
}

/* The policy of an image that several services may name: never only when all of them say so. */
static enum pull_policy policy_of(const struct daemon *d, const char *image)
{
        for (size_t i = 0; i < d->desired_len; i++)
                for (size_t k = 0; k < d->desired[i]->stack->services_len; k++) {
                        const struct service *service = &d->desired[i]->stack->services[k];

                        if (streq(desired_image(d->desired[i], k), image) &&
                            service->pull_policy != PULL_NEVER)
                                return service->pull_policy;
                }
        return PULL_NEVER;
}

static void execute(struct daemon *d, const struct step *step)
{
        struct instance *in = step->vm_id ? find_instance(d, step->vm_id) : NULL;
        struct err err = ERR_INIT;

        log_debug("plan", step->stack ? step->stack : "", "%s service=%s replica=%u reason=%s",
                  step_kind_name(step->kind), step->service ? step->service : "", step->replica,
                  step->reason ? step->reason : "");
        switch (step->kind) {
        case STEP_IMAGE_RESOLVE:
                images_resolve(d->images, step->image, policy_of(d, step->image));
                daemon_dirty(d);
                return;
        case STEP_NETWORK_CREATE:
                step_network_create(d, step);
                return;
        case STEP_NETWORK_REMOVE:
                networks_remove(d->networks, step->stack, step->network);
                return;
        case STEP_VM_CREATE:
                step_vm_create(d, step);
                return;
        case STEP_ROLLBACK:
                if (daemon_undo_update(d, step->stack, step->service, step->reason, &err) < 0)
                        log_warn("plan", step->stack, "%s", err.msg);
                return;
        case STEP_VM_RESTART:
                if (in)
                        instance_restart(in, step->reason);
                return;
        case STEP_VM_END:
                if (in)
                        instance_end(in, EXIT_HEALTH, step->reason);
                return;
        case STEP_STACK_DELETE:
                if (daemon_delete(d, step->stack, true, &err) < 0)
                        log_warn("plan", step->stack, "%s", err.msg);
                return;
        case STEP_VM_STOP:
                if (in)
                        instance_stop(in, step->reason ? step->reason : "not wanted");
                return;
        case STEP_VM_REMOVE:
                if (in)
                        instance_remove(in);
                return;
        }
}

/* A rollback changes what is wanted: the rest was planned for what was wanted before. */
static void execute_plan(struct daemon *d)
{
        for (size_t i = 0; i < d->plan.steps_len; i++) {
                const struct step *step = &d->plan.steps[i];
                const struct desired *before = daemon_find(d, step->stack);

                execute(d, step);
                if (step->kind == STEP_ROLLBACK && daemon_find(d, step->stack) != before)
                        return;
        }
}

/* ----------------------------------------------------------------------------------------- turn */

/* What its service is now, unless the VM is to be replaced; *ret_auto: whose ports berth picks. */
static const struct service *present_service(const struct daemon *d, const struct instance *in,
                                             bool *ret_auto)
{
        const struct desired *desired = daemon_find(d, in->stack);
        const struct service *now =
                desired ? stack_find_service(desired->stack, in->service) : NULL;

        *ret_auto = desired && desired->ports == STACK_PORTS_AUTO;
        return now && streq(in->spec_hash,
                            desired->hashes->services[now - desired->stack->services])
                       ? now
                       : NULL;
}

/*
 * Whose healthcheck tests the VM: the present one, unless it is to be replaced. A VM that serves
 * until its successor does must not fail a test that is not meant for it.
 */
static const struct service *probed_service(const struct daemon *d, const struct instance *in)
{
        bool ignored;
        const struct service *now = present_service(d, in, &ignored);

        return now || !in->desired ? now : stack_find_service(in->desired->stack, in->service);
}

/* First in a turn, so that what is observed is measured by what is wanted. */
static void follow_changes(struct daemon *d)
{
        for (size_t i = 0; i < d->instances_len; i++) {
                struct instance *in = d->instances[i];
                bool auto_ports;
                const struct service *now = present_service(d, in, &auto_ports);

                if (now &&
                    (in->state == VM_BOOTING || in->state == VM_RUNNING || in->state == VM_EXITED))
                        instance_follow(in, now, auto_ports);
                instance_check_ports(in);
        }
}

static void tend_instances(struct daemon *d)
{
        for (size_t i = 0; i < d->instances_len; i++) {
                struct instance *in = d->instances[i];
                const struct service *service;

                if (in->state == VM_PREPARING)
                        instance_prepare(in);
                service = in->state == VM_RUNNING && in->ending == EXIT_NONE ? probed_service(d, in)
                                                                             : NULL;
                if (service) {
                        images_resolve(d->images, in->image, PULL_NEVER);
                        instance_update_probe(in, service);
                }
        }
}

static bool is_ready(const struct instance *in)
{
        return in->state == VM_RUNNING && !in->remove_wanted &&
               (in->probe.state == HEALTH_NONE || in->probe.state == HEALTH_HEALTHY);
}

/* Of two VMs of a replica one stands for it: the ready one, of two ready ones the younger. */
static int serving_rank(const struct instance *in)
{
        if (is_ready(in))
                return 4;
        return in->state == VM_RUNNING   ? 3
               : in->state == VM_BOOTING ? 2
                                         : in->state == VM_PREPARING;
}

bool daemon_is_serving(const struct daemon *d, const struct instance *in)
{
        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *other = d->instances[i];
                int mine = serving_rank(in), its = serving_rank(other);
                bool younger = other->times.decided > in->times.decided;

                if (other == in || !instance_is_of(other, in->stack, in->service, in->replica))
                        continue;
                if (its > mine || (its == mine && (its == 4) == younger))
                        return false;
        }
        return true;
}

static void describe(const struct daemon *d, const struct instance *in, struct endpoint_nic *nics,
                     struct endpoint *ep)
{
        const struct service *service = probed_service(d, in);

        for (size_t k = 0; k < in->nics_len; k++)
                nics[k] = (struct endpoint_nic){nic_stack(in, &in->nics[k]),
                                                nic_network(&in->nics[k]), in->nics[k].ip,
                                                &in->nics[k].aliases, in->nics[k].egress};
        ep->stack = in->stack;
        ep->service = in->service;
        ep->replica = in->replica;
        ep->vm_id = in->id;
        ep->named = in->state == VM_BOOTING || in->state == VM_RUNNING;
        ep->serving = daemon_is_serving(d, in);
        ep->ready = is_ready(in);
        ep->nics = nics;
        ep->nics_len = in->nics_len;
        ep->ports = in->ports;
        ep->ports_len = in->ports_len;
        ep->dns = service ? &service->dns : NULL;
}

static void publish(struct daemon *d)
{
        struct endpoint *eps = xcalloc(d->instances_len, sizeof(*eps));
        struct endpoint_nic(*nics)[VM_NICS_MAX] = xcalloc(d->instances_len, sizeof(*nics));
        size_t n = 0;

        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *in = d->instances[i];

                if (in->state == VM_FAILED || in->state == VM_EXITED || in->remove_wanted ||
                    in->nics_len == 0)
                        continue;
                describe(d, in, nics[n], &eps[n]);
                n++;
        }
        networks_publish(d->networks, eps, n);
        free(eps);
        free(nics);
}

static void arm_wake(struct daemon *d, int64_t now)
{
        int64_t at = networks_wake_ms(d->networks);

        if (at == 0 || (d->plan.wake_at_ms && d->plan.wake_at_ms < at))
                at = d->plan.wake_at_ms;
        ev_timer_stop(d->loop, &d->wake);
        if (at == 0)
                return;
        ev_timer_set(&d->wake, at > now ? (double)(at - now) / 1000.0 : 0.0, 0.0);
        ev_timer_start(d->loop, &d->wake);
}

/* What plans, starts and answers took in passing lies between what stays, until all is quiet. */
static void arm_quiet(struct daemon *d)
{
        ev_timer_stop(d->loop, &d->quiet);
        ev_timer_set(&d->quiet, DAEMON_QUIET_S, 0.0);
        ev_timer_start(d->loop, &d->quiet);
}

static void tell_followers(struct daemon *d)
{
        struct follower *next;

        for (struct follower *f = d->followers; f; f = next) {
                next = f->next;
                f->on_turn(f);
        }
}

/* The decision on what is wanted now; what is leaving tells the order of stopping. */
static void decide(struct daemon *d, const struct facts *facts, int64_t now)
{
        size_t n = 1 + d->desired_len + d->former_len;
        const struct stack **stacks = xcalloc(n, sizeof(*stacks));
        const struct stack **leaving = xcalloc(n, sizeof(*leaving));
        const struct stack_wishes **wishes = xcalloc(n, sizeof(*wishes));
        const struct stack_hashes **hashes = xcalloc(n, sizeof(*hashes));
        struct reconcile_input input = {.stacks = stacks,
                                        .leaving = leaving,
                                        .wishes = wishes,
                                        .hashes = hashes,
                                        .facts = facts,
                                        .seed = d->seed,
                                        .now_ms = now};

        if (!d->draining)
                stacks[input.stacks_len++] = shared_stack(d->shared);
        for (size_t i = 0; i < d->desired_len; i++) {
                const struct desired *desired = d->desired[i];

                if (d->draining || desired->wanted != STACK_UP) {
                        leaving[input.leaving_len++] = desired->stack;
                        continue;
                }
                stacks[input.stacks_len] = desired->stack;
                wishes[input.stacks_len] = &desired->wishes;
                hashes[input.stacks_len++] = desired->hashes;
        }
        for (size_t i = 0; i < d->former_len; i++)
                leaving[input.leaving_len++] = d->former[i]->stack;
        plan_release(&d->plan);
        reconcile(&input, &d->plan);
        free(stacks);
        free(leaving);
        free(wishes);
        free(hashes);
}

static int store_noted(struct daemon *d, struct err *err)
{
        int r = store_begin(d->store, err);

        for (size_t i = 0; i < d->instances_len && r == 0; i++) {
                const struct instance *in = d->instances[i];
                const struct replica_fact *fact =
                        in->unsaved ? daemon_find_replica(d, in->stack, in->service, in->replica)
                                    : NULL;

                if (fact)
                        r = store_put_replica(d->store, fact, err);
        }
        if (r < 0) {
                store_rollback(d->store);
                return r;
        }
        events_flush(d->events);
        return store_commit(d->store, err);
}

void daemon_write_down(struct daemon *d)
{
        struct err err = ERR_INIT;
        bool any = false;

        for (size_t i = 0; i < d->instances_len; i++)
                any = any || d->instances[i]->unsaved;
        if (any && store_noted(d, &err) < 0)
                log_error("store", "", "%s", err.msg);
        else
                for (size_t i = 0; i < d->instances_len; i++)
                        if (d->instances[i]->unsaved)
                                instance_save_noted(d->instances[i]);
}

void daemon_turn(struct daemon *d)
{
        struct facts facts = {0};
        int64_t now = daemon_now_ms(d);

        daemon_pin_images(d);
        daemon_follow_networks(d);
        image_uses_note(d);
        follow_changes(d);
        observe(d, &facts);
        decide(d, &facts, now);
        free(facts.vms);
        free(facts.networks);
        free(facts.images);
        daemon_write_down(d); /* what the plan rests on, before it is acted upon */
        execute_plan(d);
        daemon_note_good(d);
        tend_instances(d);
        publish(d);
        daemon_finish_deletes(d);
        daemon_forget_former(d);
        if (!ahead_tend(d) && d->warm && !d->draining)
                pool_refill(warm_pool(d->warm)); /* for later starts, while nothing starts now */
        arm_wake(d, now);
        tell_followers(d);
        arm_quiet(d);
        if (d->draining && d->instances_len + d->ahead_len == 0 && !networks_at(d->networks, 0))
                daemon_end(d);
}
