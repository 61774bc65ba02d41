/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RUN/vm/ID/instance.json: what the next daemon must know to take a VM over. Written before the
 * guest is configured, and when the service runs or its health changes. docs/state.md has the keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "orchestrator/instance_internal.h"

#define INSTANCE_FILE_VERSION 1
#define INSTANCE_FILE_MAX     (1u << 20)

static json_t *nics_json(const struct instance *in)
{
        json_t *list = json_array();

        for (size_t i = 0; i < in->nics_len; i++) {
                json_t *nic = json_object(), *aliases = json_array();

                json_set_str(nic, "network", in->nics[i].network);
                json_set_str(nic, "shared", in->nics[i].shared);
                json_set_int(nic, "ip", in->nics[i].ip);
                json_set_int(nic, "gateway", in->nics[i].gateway);
                json_set_int(nic, "bits", in->nics[i].bits);
                json_set_bool(nic, "egress", in->nics[i].egress);
                for (size_t k = 0; k < in->nics[i].aliases.len; k++)
                        json_array_append_new(aliases, json_string(in->nics[i].aliases.items[k]));
                json_object_set_new(nic, "aliases", aliases);
                json_array_append_new(list, nic);
        }
        return list;
}

static json_t *ports_json(const struct instance *in)
{
        json_t *list = json_array();

        for (size_t i = 0; i < in->ports_len; i++) {
                json_t *port = json_object();

                json_set_str(port, "host_ip", in->ports[i].host_ip);
                json_set_int(port, "published", in->ports[i].published);
                json_set_int(port, "published_last", in->ports[i].published_last);
                json_set_int(port, "target", in->ports[i].target);
                json_set_bool(port, "udp", in->ports[i].protocol == PORT_UDP);
                json_array_append_new(list, port);
        }
        return list;
}

static json_t *times_json(const struct instance_times *t)
{
        json_t *j = json_object();

        json_set_int(j, "decided", t->decided);
        json_set_int(j, "spawned", t->spawned);
        json_set_int(j, "up", t->up);
        json_set_int(j, "hello", t->hello);
        json_set_int(j, "configured", t->configured);
        json_set_int(j, "started", t->started);
        json_set_int(j, "kernel", t->kernel_ns);
        return j;
}

/* The end of its last run, which was told; it waits for the next. */
static json_t *exited_json(const struct instance *in)
{
        json_t *j = json_object();

        json_set_str(j, "reason", exit_reason_name(in->exit_reason));
        json_set_int(j, "code", in->exit_code);
        json_set_str(j, "message", in->message);
        return j;
}

static void read_exited(struct instance *in, const json_t *j)
{
        const char *name = json_str(j, "reason", "");

        if (!json_is_object(j))
                return;
        in->state = VM_EXITED;
        in->exit_reason = EXIT_CODE;
        for (int r = EXIT_NONE; r <= EXIT_STOPPED; r++)
                if (streq(name, exit_reason_name((enum exit_reason)r)))
                        in->exit_reason = (enum exit_reason)r;
        in->exit_code = (int)json_int(j, "code", 0);
        in->message = xstrdup(json_str(j, "message", NULL));
        in->open_streams = 0; /* what is left of its output comes before the next run's */
}

int instance_save(const struct instance *in, struct err *err)
{
        AUTO_JSON json_t *j = json_object();
        AUTO_FREE char *path = file_join(in->dir, "instance.json");
        AUTO_FREE char *text = NULL;
        json_t *volumes = json_array();

        json_set_int(j, "version", INSTANCE_FILE_VERSION);
        json_set_str(j, "id", in->id);
        json_set_str(j, "stack", in->stack);
        json_set_str(j, "service", in->service);
        json_set_int(j, "replica", in->replica);
        json_set_int(j, "lane", in->lane);
        json_set_str(j, "spec_hash", in->spec_hash);
        json_set_str(j, "image", in->image_ref);
        json_set_str(j, "digest", in->digest);
        json_set_str(j, "stop_signal", in->stop_signal);
        json_set_int(j, "stop_grace_ms", in->stop_grace_ms);
        if (in->post_start)
                json_object_set(j, "post_start", in->post_start);
        if (in->pre_stop)
                json_object_set(j, "pre_stop", in->pre_stop);
        json_set_str(j, "boot_id", in->boot_id);
        json_set_bool(j, "running", in->state == VM_RUNNING);
        if (in->ahead)
                json_set_bool(j, "ahead", true);
        json_set_int(j, "health", in->probe.state);
        json_object_set_new(j, "probes", probe_log_to_json(&in->probe.log));
        json_set_int(j, "since_ms", in->since_ms);
        json_set_int(j, "runs", in->runs);
        if (in->state == VM_EXITED)
                json_object_set_new(j, "exited", exited_json(in));
        for (size_t i = 0; i < in->volumes.len; i++)
                json_array_append_new(volumes, json_string(in->volumes.items[i]));
        json_object_set_new(j, "volumes", volumes);
        json_object_set_new(j, "nics", nics_json(in));
        json_object_set_new(j, "ports", ports_json(in));
        json_object_set_new(j, "times", times_json(&in->times));
        text = json_text(j);
        return file_write_atomic(path, text, strlen(text), 0600, err);
}

static int read_nic(struct instance *in, const json_t *j, struct err *err)
{
        struct instance_nic *nic = array_push(&in->nics, &in->nics_len);
        const char *network;
        int64_t ip, gateway, bits;
        const json_t *alias;
        size_t i;

        nic->tap_fd = -1;
        if (json_need_str(j, "network", "nic", &network, err) < 0 ||
            json_need_int(j, "ip", 0, UINT32_MAX, "nic", &ip, err) < 0 ||
            json_need_int(j, "gateway", 0, UINT32_MAX, "nic", &gateway, err) < 0 ||
            json_need_int(j, "bits", 0, 32, "nic", &bits, err) < 0)
                return -err->code;
        nic->network = xstrdup(network);
        nic->shared = xstrdup(json_str(j, "shared", NULL));
        nic->ip = (uint32_t)ip;
        nic->gateway = (uint32_t)gateway;
        nic->bits = (unsigned)bits;
        nic->egress = json_bool(j, "egress", false);
        json_array_foreach(json_object_get(j, "aliases"), i, alias)
                if (json_is_string(alias))
                        *array_push(&nic->aliases.items, &nic->aliases.len) =
                                xstrdup(json_string_value(alias));
        return 0;
}

static int read_port(struct instance *in, const json_t *j, struct err *err)
{
        struct port *port = array_push(&in->ports, &in->ports_len);
        int64_t published, target;

        if (json_need_int(j, "published", 0, 65535, "port", &published, err) < 0 ||
            json_need_int(j, "target", 1, 65535, "port", &target, err) < 0)
                return -err->code;
        port->host_ip = xstrdup(json_str(j, "host_ip", NULL));
        port->published = (uint16_t)published;
        port->published_last = (uint16_t)json_int(j, "published_last", 0);
        port->target = (uint16_t)target;
        port->protocol = json_bool(j, "udp", false) ? PORT_UDP : PORT_TCP;
        return 0;
}

static void read_times(struct instance_times *t, const json_t *j)
{
        t->decided = json_int(j, "decided", 0);
        t->spawned = json_int(j, "spawned", 0);
        t->up = json_int(j, "up", 0);
        t->hello = json_int(j, "hello", 0);
        t->configured = json_int(j, "configured", 0);
        t->started = json_int(j, "started", 0);
        t->kernel_ns = json_int(j, "kernel", 0);
}

static int read_lists(struct instance *in, const json_t *j, struct err *err)
{
        const json_t *item;
        size_t i;
        int r = 0;

        json_array_foreach(json_object_get(j, "nics"), i, item)
                if (r == 0)
                        r = i < VM_NICS_MAX ? read_nic(in, item, err)
                                            : err_set(err, E2BIG, "too many nics");
        json_array_foreach(json_object_get(j, "ports"), i, item)
                if (r == 0)
                        r = read_port(in, item, err);
        json_array_foreach(json_object_get(j, "volumes"), i, item)
                if (json_is_string(item))
                        *array_push(&in->volumes.items, &in->volumes.len) =
                                xstrdup(json_string_value(item));
        return r;
}

static int read_file(struct instance *in, const char *dir, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, "instance.json");
        AUTO_FREE char *text = NULL;
        AUTO_JSON json_t *j = NULL;
        const char *id, *stack, *service, *hash, *image, *digest;
        int64_t version, replica, health;
        size_t len;

        if (file_read(path, INSTANCE_FILE_MAX, &text, &len, err) < 0 ||
            json_parse(text, len, INSTANCE_FILE_MAX, path, &j, err) < 0 ||
            json_need_int(j, "version", 1, INSTANCE_FILE_VERSION, path, &version, err) < 0 ||
            json_need_str(j, "id", path, &id, err) < 0 ||
            json_need_str(j, "stack", path, &stack, err) < 0 ||
            json_need_str(j, "service", path, &service, err) < 0 ||
            json_need_int(j, "replica", 1, SERVICE_REPLICAS_MAX, path, &replica, err) < 0 ||
            json_need_str(j, "spec_hash", path, &hash, err) < 0 ||
            json_need_str(j, "image", path, &image, err) < 0 ||
            json_need_str(j, "digest", path, &digest, err) < 0 ||
            json_need_int(j, "health", HEALTH_NONE, HEALTH_UNHEALTHY, path, &health, err) < 0)
                return -err->code;
        free(in->id);
        free(in->dir);
        free(in->scratch);
        in->id = xstrdup(id);
        in->dir = xstrdup(dir);
        in->scratch = xasprintf("%s/%s.ext4", in->env->scratch_dir, id);
        in->stack = xstrdup(stack);
        in->service = xstrdup(service);
        in->replica = (unsigned)replica;
        in->lane = json_int(j, "lane", 0) == 1 ? 1 : 0;
        (void)snprintf(in->spec_hash, sizeof(in->spec_hash), "%s", hash); /* compared, no more */
        (void)snprintf(in->digest, sizeof(in->digest), "%s", digest);     /* shown, no more */
        in->image_ref = xstrdup(image);
        in->image = image_pinned(image, digest);
        (void)snprintf(in->boot_id, sizeof(in->boot_id), "%s", json_str(j, "boot_id", ""));
        in->stop_signal = xstrdup(json_str(j, "stop_signal", NULL));
        in->stop_grace_ms = json_int(j, "stop_grace_ms", 10000);
        in->post_start = json_incref(json_object_get(j, "post_start"));
        in->pre_stop = json_incref(json_object_get(j, "pre_stop"));
        in->since_ms = json_int(j, "since_ms", 0);
        in->probe.state = in->health_shown = (enum health_state)health;
        (void)snprintf(in->boot_id, sizeof(in->boot_id), "%s", json_str(j, "boot_id", ""));
        probe_log_from_json(&in->probe.log, json_object_get(j, "probes"));
        in->runs = (unsigned)json_int(j, "runs", 1);
        in->state = json_bool(j, "running", false) ? VM_RUNNING : VM_BOOTING;
        in->ahead = json_bool(j, "ahead", false);
        read_exited(in, json_object_get(j, "exited"));
        read_times(&in->times, json_object_get(j, "times"));
        return read_lists(in, j, err);
}

/* A folder that makes no sense: end its QEMU, if any, and remove it. */
static void discard(struct instance *in, const char *dir)
{
        struct vm_events none = {0};
        struct vm *vm = NULL;
        struct err err = ERR_INIT;

        if (vm_adopt(in->env->loop, dir, &none, &vm, &err) == 0) {
                vm_kill(vm);
                vm_free(vm);
        }
        if (file_remove_tree(dir, &err) < 0)
                log_warn("vm", dir, "%s", err.msg);
}

int instance_adopt(struct instance_env *env, const char *dir, struct instance **ret,
                   struct err *err)
{
        AUTO(instance) struct instance *in = instance_new(env, NULL, NULL, 0);
        struct vm_events events = instance_vm_events;
        struct err why = ERR_INIT;
        int r;

        r = read_file(in, dir, err);
        if (r == 0 && in->ahead)
                r = err_set(err, ECANCELED, "its service waited for others");
        if (r < 0) {
                discard(in, dir);
                return r;
        }
        events.ctx = in;
        r = vm_adopt(env->loop, dir, &events, &in->vm, &why);
        if (r == 0)
                r = instance_connect(in, &why);
        if (r < 0)
                instance_fail(in, EXIT_VMM, why.msg);
        else if (in->state == VM_BOOTING)
                instance_arm(in, INSTANCE_BOOT_TIMEOUT_MS);
        *ret = STEAL(in);
        return 0;
}
