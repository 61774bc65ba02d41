/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/ahead.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/daemon.h"
#include "storage/volume.h"

static void set_time(json_t *j, const char *key, int64_t wall_ms)
{
        char text[CLOCK_TEXT_MAX];

        clock_text(wall_ms * 1000000, text);
        json_set_str(j, key, text);
}

static json_t *version_json(const struct daemon *d)
{
        json_t *j = json_object();

        json_set_str(j, "version", BERTH_VERSION);
        json_set_int(j, "api", API_VERSION);
        json_set_int(j, "pid", getpid());
        json_set_str(j, "root", d->roots.state);
        return j;
}

void handle_version(struct request *req, void *ctx)
{
        response_json(req, 200, version_json(ctx));
}

/* Resident memory of this process, bytes; 0 when /proc does not say. */
static int64_t resident_bytes(void)
{
        AUTO_FILE FILE *f = fopen("/proc/self/statm", "re");
        long long size = 0, resident = 0;

        if (!f || fscanf(f, "%lld %lld", &size, &resident) != 2)
                return 0;
        return resident * sysconf(_SC_PAGESIZE);
}

static json_t *templates_json(const struct daemon *d)
{
        json_t *list = json_array();
        struct template_info info;

        for (size_t i = 0; d->templates && templates_at(d->templates, i, &info); i++) {
                json_t *j = json_object();

                json_set_int(j, "memory_bytes", info.memory_bytes);
                json_set_int(j, "cpus", info.cpus);
                json_set_str(j, "state", template_state_name(info.state));
                json_set_int(j, "build_ms", info.build_ms);
                json_set_int(j, "resident_bytes", info.resident_bytes);
                json_set_int(j, "clones", info.clones);
                json_set_str(j, "reason", *info.reason ? info.reason : NULL);
                json_array_append_new(list, j);
        }
        return list;
}

/* {size: 0, reason} when no machines wait. */
static json_t *pool_json(const struct daemon *d)
{
        json_t *j = json_object(), *list = json_array();
        struct pool_info info;

        for (size_t i = 0; d->env.pool && pool_at(d->env.pool, i, &info); i++) {
                json_t *shape = json_object();

                json_set_int(shape, "memory_bytes", info.memory_bytes);
                json_set_int(shape, "cpus", info.cpus);
                json_set_int(shape, "waiting", info.waiting);
                json_set_int(shape, "making", info.making);
                json_set_int(shape, "claims", info.claims);
                json_set_str(shape, "reason", *info.reason ? info.reason : NULL);
                json_array_append_new(list, shape);
        }
        json_set_int(j, "size", d->env.pool ? pool_size(d->env.pool) : 0);
        json_set_str(j, "reason", *d->pool_reason ? d->pool_reason : NULL);
        json_object_set_new(j, "shapes", list);
        return j;
}

static json_t *ahead_json(const struct daemon *d)
{
        json_t *j = json_object();
        unsigned made, making;

        ahead_count(d, &made, &making);
        json_set_int(j, "made", made);
        json_set_int(j, "making", making);
        return j;
}

static json_t *info_json(const struct daemon *d)
{
        json_t *j = version_json(d);

        json_set_str(j, "run", d->roots.run);
        json_set_str(j, "images", d->roots.images);
        json_set_str(j, "isolation", d->accel_known ? vm_accel_name(d->accel.accel) : "unknown");
        json_set_str(j, "isolation_reason",
                     d->accel_known ? d->accel.reason : "the self-test is running");
        json_set_str(j, "kernel", d->kernel);
        json_set_int(j, "stacks", (int64_t)d->desired_len);
        json_set_int(j, "vms", (int64_t)d->instances_len);
        json_set_int(j, "memory_bytes", resident_bytes());
        json_object_set_new(j, "memory", daemon_memory_json(d));
        set_time(j, "started", d->started_ms);
        json_object_set_new(j, "templates", templates_json(d));
        json_set_str(j, "memory_kept", *d->preload_reason ? d->preload_reason : NULL);
        json_object_set_new(j, "pool", pool_json(d));
        json_object_set_new(j, "ahead", ahead_json(d));
        return j;
}

/* Its answer waits for the version of QEMU. */
struct info_call {
        struct qemu_version_wait wait;
        struct daemon *daemon;
        struct request *req;
};

static void on_version(struct qemu_version_wait *wait, const char *version)
{
        struct info_call *call = container_of(wait, struct info_call, wait);
        json_t *j = info_json(call->daemon);

        json_set_str(j, "qemu", *version ? version : NULL);
        response_json(call->req, 200, j);
        loop_defer_free(call->daemon->loop, free, call);
}

static void on_info_client_gone(struct request *req, void *arg)
{
        struct info_call *call = arg;

        (void)req;
        qemu_version_forget(call->daemon->qemu_version, &call->wait);
        loop_defer_free(call->daemon->loop, free, call);
}

void handle_info(struct request *req, void *ctx)
{
        struct info_call *call = xnew(struct info_call);

        call->daemon = ctx;
        call->req = req;
        call->wait.on_version = on_version;
        request_on_close(req, on_info_client_gone, call);
        qemu_version_ask(call->daemon->qemu_version, &call->wait);
}

void handle_shutdown(struct request *req, void *ctx)
{
        struct err err = ERR_INIT;
        json_t *body;

        if (request_json(req, &body, &err) < 0) {
                response_error(req, 0, &err, NULL);
                return;
        }
        daemon_shutdown(ctx, json_bool(body, "stop_vms", false));
        response_json(req, 200, NULL);
}

/* Names of the VMs that have a volume attached. */
static json_t *volume_users(const struct daemon *d, const char *volume)
{
        json_t *list = json_array();

        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *in = d->instances[i];

                for (size_t k = 0; k < in->volumes.len; k++)
                        if (streq(in->volumes.items[k], volume)) {
                                AUTO_FREE char *name =
                                        xasprintf("%s/%s/%u", in->stack, in->service, in->replica);

                                json_array_append_new(list, json_string(name));
                        }
        }
        return list;
}

void handle_volumes(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        struct volume_info **volumes = NULL;
        json_t *list = json_array();
        struct err err = ERR_INIT;
        size_t n = 0;

        if (volume_list(d->volumes_dir, &volumes, &n, NULL, &err) < 0) {
                json_decref(list);
                response_error(req, 0, &err, NULL);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                json_t *j = json_object();

                json_set_str(j, "name", volumes[i]->name);
                json_set_str(j, "stack", volumes[i]->stack);
                json_set_int(j, "size_bytes", volumes[i]->size_bytes);
                json_set_int(j, "used_bytes", volumes[i]->used_bytes);
                set_time(j, "created", volumes[i]->created_ms);
                json_object_set_new(j, "in_use", volume_users(d, volumes[i]->name));
                json_array_append_new(list, j);
                volume_info_free(volumes[i]);
        }
        free(volumes);
        response_json(req, 200, list);
}

void handle_volume_delete(struct request *req, void *ctx)
{
        const struct daemon *d = ctx;
        const char *name = request_param(req, "volume");
        AUTO_JSON json_t *users = volume_users(d, name);
        struct err err = ERR_INIT;

        if (json_array_size(users)) {
                err_set(&err, EBUSY, "volume %s is in use by %s; delete that stack first", name,
                        json_string_value(json_array_get(users, 0)));
                response_error(req, 0, &err, NULL);
                return;
        }
        if (volume_remove(d->volumes_dir, name, &err) < 0)
                response_error(req, 0, &err, NULL);
        else
                response_json(req, 200, NULL);
}
