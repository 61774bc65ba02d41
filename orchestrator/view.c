/* SPDX-License-Identifier: Apache-2.0 */
/* What the API shows: facts and the last plan as the JSON shapes of api/wire.h. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/daemon.h"

const struct service_status *view_find_status(const struct daemon *d, const char *stack,
                                              const char *service)
{
        for (size_t i = 0; i < d->plan.services_len; i++)
                if (streq(d->plan.services[i].stack, stack) &&
                    streq(d->plan.services[i].service, service))
                        return &d->plan.services[i];
        return NULL;
}

static void set_time(json_t *j, const char *key, int64_t wall_ms)
{
        char text[CLOCK_TEXT_MAX];

        if (wall_ms <= 0)
                return;
        clock_text(wall_ms * 1000000, text);
        json_set_str(j, key, text);
}

static void set_phase(json_t *j, const char *key, int64_t from_ns, int64_t to_ns)
{
        if (from_ns > 0 && to_ns >= from_ns)
                json_set_int(j, key, (to_ns - from_ns) / 1000000);
}

static json_t *phases_json(const struct instance_times *t)
{
        json_t *j = json_object();
        int64_t kernel_end = t->up && t->kernel_ns ? t->up + t->kernel_ns : 0;

        set_phase(j, "prepare", t->decided, t->spawned);
        set_phase(j, "qemu", t->spawned, t->up);
        set_phase(j, "kernel", t->up, kernel_end > t->hello ? t->hello : kernel_end);
        set_phase(j, "vminit", kernel_end, t->hello);
        set_phase(j, "configure", t->hello, t->configured);
        set_phase(j, "exec", t->configured, t->started);
        set_phase(j, "total", t->decided, t->started);
        return j;
}

static json_t *addresses_json(const struct instance *in)
{
        json_t *j = json_object();

        for (size_t i = 0; i < in->nics_len; i++) {
                char ip[VALUE_IP4_MAX];

                value_ip4_text(in->nics[i].ip, ip);
                json_set_str(j, in->nics[i].network, ip);
        }
        return j;
}

static json_t *ports_json(const struct daemon *d, const struct instance *in)
{
        json_t *list = json_array();

        for (size_t i = 0; i < in->ports_len; i++) {
                const struct port *p = &in->ports[i];
                json_t *j = json_object();
                const char *why = NULL;
                uint16_t host_port = 0;

                if (networks_forward(d->networks, in->stack, in->service, in->replica, p,
                                     &host_port, &why) != FORWARD_BOUND)
                        host_port = 0;
                json_set_str(j, "host_ip", p->host_ip ? p->host_ip : "127.0.0.1");
                json_set_int(j, "host_port", host_port);
                json_set_int(j, "target", p->target);
                json_set_str(j, "protocol", p->protocol == PORT_UDP ? "udp" : "tcp");
                json_array_append_new(list, j);
        }
        return list;
}

static json_t *names_json(const char *stack, const char *service, unsigned replica)
{
        AUTO_FREE char *name = xasprintf("%s/%s/%u", stack, service, replica);
        json_t *j = json_object();

        json_set_str(j, "stack", stack);
        json_set_str(j, "service", service);
        json_set_int(j, "replica", replica);
        json_set_str(j, "name", name);
        return j;
}

static const struct replica_fact *find_replica(const struct daemon *d, const char *stack,
                                               const char *service, unsigned replica)
{
        for (size_t i = 0; i < d->replicas_len; i++)
                if (d->replicas[i].replica == replica && streq(d->replicas[i].stack, stack) &&
                    streq(d->replicas[i].service, service))
                        return &d->replicas[i];
        return NULL;
}

static void set_status(const struct daemon *d, json_t *j, const char *stack, const char *service)
{
        const struct service_status *status = view_find_status(d, stack, service);

        if (!status)
                return;
        json_set_str(j, "phase", service_phase_name(status->phase));
        json_set_str(j, "why", status->why);
        set_time(j, "retry_at", status->retry_at_ms);
}

static void set_memory(const struct daemon *d, json_t *j, const char *stack, const char *service,
                       unsigned replica)
{
        const struct replica_fact *fact = find_replica(d, stack, service, replica);

        json_set_int(j, "restarts", fact ? fact->restarts : 0);
}

/* The last test of one that is not well: what it said is the reason. */
static void set_last_probe(json_t *j, const struct instance *in)
{
        json_t *last;

        if (in->probe.state != HEALTH_UNHEALTHY && in->probe.state != HEALTH_STARTING)
                return;
        last = probe_log_last_json(&in->probe.log);
        if (last)
                json_object_set_new(j, "last_probe", last);
}

static json_t *instance_json(const struct daemon *d, const struct instance *in)
{
        json_t *j = names_json(in->stack, in->service, in->replica);
        AUTO_FREE char *image = image_ref_familiar(in->image_ref);

        json_set_str(j, "id", in->id);
        json_set_str(j, "state",
                     vm_state_name(in->remove_wanted && in->state != VM_EXITED ? VM_STOPPING
                                                                               : in->state));
        json_set_str(j, "health",
                     health_state_name(in->state == VM_RUNNING ? in->probe.state : HEALTH_NONE));
        set_last_probe(j, in);
        set_time(j, "since", in->since_ms);
        set_status(d, j, in->stack, in->service);
        set_memory(d, j, in->stack, in->service, in->replica);
        json_object_set_new(j, "addresses", addresses_json(in));
        json_object_set_new(j, "ports", ports_json(d, in));
        json_set_str(j, "image", image);
        json_set_str(j, "digest", *in->digest ? in->digest : NULL);
        json_set_str(j, "boot_id", *in->boot_id ? in->boot_id : NULL);
        if (in->vm) {
                json_set_str(j, "isolation", vm_accel_name(vm_accel(in->vm)));
                json_set_int(j, "pid", vm_pid(in->vm));
                json_set_str(j, "birth", vm_birth_name(vm_birth(in->vm)));
                json_set_str(j, "birth_reason",
                             *vm_birth_reason(in->vm) ? vm_birth_reason(in->vm) : NULL);
        }
        if (in->exit_reason != EXIT_NONE) {
                json_set_str(j, "exit_reason", exit_reason_name(in->exit_reason));
                json_set_int(j, "exit_code", in->exit_code);
        }
        json_set_str(j, "message", in->message ? in->message : in->probe.message);
        json_object_set_new(j, "phases_ms", phases_json(&in->times));
        return j;
}

/* A replica that is wanted (or has run) but has no VM now. */
static json_t *absent_json(const struct daemon *d, const struct desired *desired,
                           const struct service *service, unsigned replica)
{
        const char *stack = desired->stack->name;
        const struct service_status *status = view_find_status(d, stack, service->name);
        const struct replica_fact *fact = find_replica(d, stack, service->name, replica);
        json_t *j = names_json(stack, service->name, replica);
        AUTO_FREE char *image = image_ref_familiar(service->image);

        json_set_str(j, "state",
                     fact && fact->completed                   ? "completed"
                     : status && status->phase == PHASE_FAILED ? "failed"
                                                               : "waiting");
        json_set_str(j, "health", health_state_name(HEALTH_NONE));
        if (fact)
                set_time(j, "since", fact->last_end_ms);
        set_status(d, j, stack, service->name);
        set_memory(d, j, stack, service->name, replica);
        json_set_str(j, "image", image);
        if (fact && fact->last_exit != EXIT_NONE) {
                json_set_str(j, "exit_reason", exit_reason_name(fact->last_exit));
                json_set_int(j, "exit_code", fact->last_exit_code);
        }
        return j;
}

static bool has_instance(const struct daemon *d, const char *stack, const char *service,
                         unsigned replica)
{
        for (size_t i = 0; i < d->instances_len; i++)
                if (instance_is_of(d->instances[i], stack, service, replica))
                        return true;
        return false;
}

/* All replicas of one service by number: VMs, then those that have none. */
static void add_replicas(const struct daemon *d, json_t *list, const struct desired *desired,
                         const struct service *service, bool all)
{
        const char *stack = desired->stack->name;

        for (unsigned n = 1; n <= service->replicas; n++) {
                for (size_t i = 0; i < d->instances_len; i++)
                        if (instance_is_of(d->instances[i], stack, service->name, n))
                                json_array_append_new(list, instance_json(d, d->instances[i]));
                if (all && !has_instance(d, stack, service->name, n))
                        json_array_append_new(list, absent_json(d, desired, service, n));
        }
}

/* VMs that no manifest wants any more, on their way out. */
static void add_strays(const struct daemon *d, json_t *list, const char *stack)
{
        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *in = d->instances[i];
                const struct desired *desired = daemon_find(d, in->stack);
                const struct service *service =
                        desired ? stack_find_service(desired->stack, in->service) : NULL;

                if (stack && !streq(stack, in->stack))
                        continue;
                if (!service || in->replica > service->replicas)
                        json_array_append_new(list, instance_json(d, in));
        }
}

json_t *view_replicas(const struct daemon *d, const char *stack, bool all)
{
        json_t *list = json_array();

        for (size_t i = 0; i < d->desired_len; i++) {
                const struct desired *desired = d->desired[i];

                if (stack && !streq(stack, desired->stack->name))
                        continue;
                for (size_t k = 0; k < desired->stack->services_len; k++)
                        add_replicas(d, list, desired, &desired->stack->services[k], all);
        }
        add_strays(d, list, stack);
        return list;
}

/* Whether some service waits for this one to complete: a job, not a server. */
static bool is_one_shot(const struct stack *stack, const struct service *service)
{
        for (size_t i = 0; i < stack->services_len; i++)
                for (size_t k = 0; k < stack->services[i].depends_on_len; k++)
                        if (streq(stack->services[i].depends_on[k].service, service->name) &&
                            stack->services[i].depends_on[k].condition == DEPENDS_COMPLETED)
                                return true;
        return service->restart == RESTART_NO || service->restart == RESTART_ON_FAILURE;
}

static unsigned count_ready(const struct daemon *d, const char *stack, const char *service)
{
        unsigned n = 0;

        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *in = d->instances[i];

                if (streq(in->stack, stack) && streq(in->service, service) &&
                    in->state == VM_RUNNING &&
                    (in->probe.state == HEALTH_NONE || in->probe.state == HEALTH_HEALTHY))
                        n++;
        }
        return n;
}

/* The phase of a service; of a stack that is being deleted there is no plan any more. */
static const char *phase_of(const struct daemon *d, const struct desired *desired,
                            const struct service *service, const struct service_status *status)
{
        if (desired->wanted == STACK_UP)
                return service_phase_name(status ? status->phase : PHASE_WAITING);
        for (size_t i = 0; i < d->instances_len; i++)
                if (streq(d->instances[i]->stack, desired->stack->name) &&
                    streq(d->instances[i]->service, service->name))
                        return service_phase_name(PHASE_STOPPING);
        return "removed";
}

static json_t *service_status_json(const struct daemon *d, const struct desired *desired,
                                   const struct service *service)
{
        const char *stack = desired->stack->name;
        const struct service_status *status = view_find_status(d, stack, service->name);
        json_t *j = json_object(), *replicas = json_array();

        json_set_str(j, "service", service->name);
        json_set_str(j, "phase", phase_of(d, desired, service, status));
        json_set_str(j, "why", status ? status->why : NULL);
        json_set_str(j, "waits_for", status ? status->waits_for : NULL);
        json_set_bool(j, "settled", status && status->settled);
        json_set_bool(j, "ok", status && status->ok);
        json_set_int(j, "replicas_wanted", service->replicas);
        json_set_int(j, "replicas_ready", count_ready(d, stack, service->name));
        json_set_int(j, "failures", status ? status->failures : 0);
        set_time(j, "retry_at", status ? status->retry_at_ms : 0);
        json_set_bool(j, "one_shot", is_one_shot(desired->stack, service));
        add_replicas(d, replicas, desired, service, true);
        json_object_set_new(j, "replicas", replicas);
        return j;
}

/* Services that are gone from the manifest still count until their VMs are gone, too. */
static bool has_strays(const struct daemon *d, const struct desired *desired)
{
        AUTO_JSON json_t *list = json_array();

        add_strays(d, list, desired->stack->name);
        return json_array_size(list) > 0;
}

json_t *view_status(const struct daemon *d, const struct desired *desired)
{
        json_t *j = json_object(), *services = json_array();
        bool settled = d->accel_known && !has_strays(d, desired) && desired->wanted == STACK_UP;
        bool ok = settled;

        for (size_t i = 0; i < desired->stack->services_len; i++) {
                const struct service *service = &desired->stack->services[i];
                const struct service_status *status =
                        view_find_status(d, desired->stack->name, service->name);

                settled = settled && status && status->settled;
                ok = ok && status && status->ok;
                json_array_append_new(services, service_status_json(d, desired, service));
        }
        json_set_str(j, "name", desired->stack->name);
        json_set_int(j, "revision", desired->revision);
        if (desired->undoes)
                json_set_int(j, "undoes", desired->undoes);
        json_set_bool(j, "deleting", desired->wanted != STACK_UP);
        json_set_bool(j, "settled", settled);
        json_set_bool(j, "ok", settled && ok);
        json_object_set_new(j, "services", services);
        return j;
}

json_t *view_stack(const struct daemon *d, const struct desired *desired)
{
        AUTO_JSON json_t *status = view_status(d, desired);
        json_t *j = json_object();

        json_set_str(j, "name", desired->stack->name);
        json_set_int(j, "revision", desired->revision);
        json_set_str(j, "source", desired->source);
        json_set_int(j, "services", (int64_t)desired->stack->services_len);
        json_set_bool(j, "settled", json_bool(status, "settled", false));
        json_set_bool(j, "ok", json_bool(status, "ok", false));
        json_set_bool(j, "deleting", desired->wanted != STACK_UP);
        set_time(j, "created", desired->created_ms);
        return j;
}

static void add_details(const struct daemon *d, json_t *j)
{
        const struct instance *in =
                daemon_instance(d, json_str(j, "stack", ""), json_str(j, "service", ""),
                                (unsigned)json_int(j, "replica", 0));
        json_t *volumes = json_array(), *probe = json_object(), *host;

        if (!in || !streq(in->id, json_str(j, "id", ""))) {
                json_decref(volumes);
                json_decref(probe);
                return;
        }
        host = instance_usage_json(in);
        if (host)
                json_object_set_new(j, "host", host);
        for (size_t i = 0; i < in->volumes.len; i++)
                json_array_append_new(volumes, json_string(in->volumes.items[i]));
        json_object_set_new(j, "volumes", volumes);
        json_set_str(probe, "state", health_state_name(in->probe.state));
        json_set_int(probe, "failures", in->probe.failures);
        json_object_set_new(probe, "log", probe_log_to_json(&in->probe.log));
        json_object_set_new(j, "healthcheck", probe);
}

json_t *view_service(const struct daemon *d, const struct desired *desired,
                     const struct service *service, unsigned replica)
{
        json_t *j = json_object(), *all = json_array(), *chosen = json_array(), *item;
        AUTO_JSON json_t *manifest = desired_manifest(desired);
        size_t i;

        add_replicas(d, all, desired, service, true);
        json_array_foreach(all, i, item) {
                if (replica && json_int(item, "replica", 0) != replica)
                        continue;
                add_details(d, item);
                json_array_append(chosen, item);
        }
        json_decref(all);
        json_object_set_new(j, "status", service_status_json(d, desired, service));
        json_object_del(json_object_get(j, "status"), "replicas");
        json_object_set(j, "service",
                        json_object_get(json_object_get(manifest, "services"), service->name));
        json_object_set_new(j, "replicas", chosen);
        return j;
}
